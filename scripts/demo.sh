#!/usr/bin/env bash
# make demo: set up, run the quick start on the pocket model, write out/quickstart.html, say what was found.
set -euo pipefail
. "$(dirname "$0")/env.sh"
cd "$root"
must_write demo
notebook=notebooks/quickstart.ipynb
[ -f "$notebook" ] || die "demo: $notebook is missing; git checkout $notebook brings it back"
scripts/setup.sh demo
t0=$SECONDS
scripts/build.sh
key=$(find "$notebook" bin/clt notebooks/lab viz notebooks/templates scripts/notebook.py -type f ! -name '*.pyc' ! -name '*_test.go' -print0 |
	LC_ALL=C sort -z | xargs -0 cat | digest)
if [ "${FORCE:-}" = "" ] && [ -f out/quickstart.html ] && [ "$(cat "$state/stamps/demo" 2>/dev/null)" = "$key" ]; then
	cat "$state/demo.txt"
	echo "demo: nothing changed since the last run (make demo FORCE=1 runs it again)"
	exit
fi
rm -f "$state/stamps/demo"
"$venv/bin/python" scripts/notebook.py run --report "$notebook" | tee "$state/demo.txt"
echo "$key" >"$state/stamps/demo"
echo "demo: set-up $t0 s, build and notebook $((SECONDS - t0)) s"
