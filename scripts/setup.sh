#!/usr/bin/env bash
# Sets up everything inside the clone, once: usage scripts/setup.sh [demo|lab|test|cuda]...
#   demo  what make demo needs: JupyterLab, GoNB, the XLA CPU plugin, bin/clt
#   lab   the same and gopls, for completion in notebooks
#   test  the same and pytest, nbmake, playwright, staticcheck
#   cuda  the CUDA plugin and its libraries (several GB)
# Each phase keeps a stamp with the hash of what it depends on; a phase whose stamp fits is not done again.
set -euo pipefail
. "$(dirname "$0")/env.sh"
. "$root/scripts/phases.sh"
cd "$root"

want() { [[ " $profiles " == *" $1 "* ]]; }
profiles="${*:-lab}"
for p in $profiles; do
	case $p in demo | lab | test | cuda) ;; *) die "setup: $p is not one of demo, lab, test, cuda" ;; esac
done

find_prerequisites
mkdir -p "$state/stamps" "$IPYTHONDIR" "$venv/bin"

requirements=requirements.txt
want test && requirements=requirements-test.txt # a superset, same versions
start_python "$requirements"                    # in the background: pip waits for the network, Go for the processor
trap stop_python EXIT

phase tools "$(cat tools/go.mod tools/go.sum | digest) $go_version" build_tools
want test && phase staticcheck "$(cat tools/go.mod tools/go.sum | digest) $go_version" build_staticcheck
want lab && [ -z "${CLT_NO_GOPLS:-}" ] &&
	phase gopls "$(cat tools/gopls/go.mod tools/gopls/go.sum | digest) $go_version" build_gopls
phase cells "$(cells_inputs)" warm_cells
[ -x bin/clt ] || rm -f "$state/stamps/clt"
phase clt "$(clt_inputs)" scripts/build.sh

wait_python
phase plugin "$(cat requirements-xla*.txt | digest) $python_stamp" install_plugin
want cuda && phase cuda "$(digest <requirements-cuda.txt) $python_stamp" install_cuda
phase kernel "$python_stamp $(cat notebooks/templates/lab/overrides.json | digest)" link_kernel

summary
