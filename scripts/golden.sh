#!/usr/bin/env bash
# Parity with the reference outputs that may lie beside the clone: the tests of the packages that read them.
set -euo pipefail
. "$(dirname "$0")/env.sh"
cd "$root"
reference="$(dirname "$root")/shared/golden"
[ -d "$reference" ] || die "golden: no shared/golden beside the clone; make test checks the subset in testdata"
packages=$(grep -rl --include='*_test.go' '/internal/golden"' . | xargs -r -n 1 dirname | sort -u)
[ -n "$packages" ] || die "golden: no test reads the reference outputs"
go test -count=1 -timeout 40m $(build_tags) $packages
