#!/bin/sh
# Starts GoNB so that cells import this repository offline, with no set-up cell: -go_work puts the clone into a workspace
# in GoNB's temporary directory. exec keeps the process id that Jupyter signals and the engine watches.
# CLT_NO_GOPLS=1 starts without gopls (completion and help), CLT_GONB_FLAGS adds flags of GoNB.
set -eu
here=$(cd -P "$(dirname "$0")" && pwd -P) # -P: the kernel spec is a symbolic link into the clone
root=$(cd "$here/../.." && pwd -P)
. "$here/env.sh"
if [ ! -x "$root/.venv/bin/gonb" ]; then
	echo "gonb is not built; run make setup in $root" >&2
	exit 1
fi
if [ -z "${CLT_NO_GOPLS:-}" ] && [ -x "$root/.venv/clt/gopls/gopls" ]; then
	export PATH="$root/.venv/clt/gopls:$PATH"
fi
log="$root/.venv/clt/gonb.log"
if [ ! -w "$root/.venv/clt" ]; then # a clone that is read-only
	mkdir -p -m 700 "${TMPDIR:-/tmp}/clt-$(id -u)"
	log="${TMPDIR:-/tmp}/clt-$(id -u)/gonb.log"
fi
exec "$root/.venv/bin/gonb" -go_work="$root" -logtostderr=false -stderrthreshold=FATAL -log_file="$log" \
	${CLT_GONB_FLAGS:-} "$@"
