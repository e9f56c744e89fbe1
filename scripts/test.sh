#!/usr/bin/env bash
# Every test: Go with and without SIMD and XLA, kernels, notebooks, browser.
set -euo pipefail
. "$(dirname "$0")/env.sh"
. "$root/scripts/steps.sh"
cd "$root"
tags=$(build_tags)

without_simd() { CLT_GOEXPERIMENT= GOEXPERIMENT= go build -o /dev/null ./...; }
without_xla() { CGO_ENABLED=0 go vet -tags noxla ./... && CGO_ENABLED=0 go build -tags noxla -o /dev/null ./...; }
notebook_tests() {
	CLT_KEEP_GOING=1 CLT_GONB_FLAGS=-raw_error "$venv/bin/python" -m pytest -q -p no:cacheprovider --nbmake --nbmake-timeout=300 --nbmake-kernel=gonb "$@"
}
python_tests() { CLT_GONB_FLAGS=-raw_error "$venv/bin/python" -m pytest -q -rs -p no:cacheprovider tests; }

step set-up scripts/setup.sh test
step gofmt check_format
step vet go vet $tags ./...
staticcheck_step
step "go test" go test -timeout 40m $tags ./...
step "build without SIMD" without_simd
step "build without cgo and XLA" without_xla

# The committed outputs of every notebook are checked by the Go tests; here notebooks are run again: by default those that
# reach every verb, with CLT_ALL_NOTEBOOKS=1 all of them, which takes twice as long.
shopt -s nullglob
notebooks=(notebooks/quickstart.ipynb tutorials/0[0567]-*.ipynb tutorials/08-*.ipynb tutorials/10-*.ipynb tutorials/exercises/solutions/0[67]-*.ipynb)
[ -z "${CLT_ALL_NOTEBOOKS:-}" ] || notebooks=(notebooks/*.ipynb tutorials/*.ipynb tutorials/exercises/solutions/*.ipynb)
if [ ${#notebooks[@]} = 0 ]; then
	skip notebooks "there are none"
else
	step notebooks notebook_tests "${notebooks[@]}"
fi
scripts/browser.sh || true
step "kernel, report and browser tests" python_tests
finish
