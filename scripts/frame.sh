#!/usr/bin/env bash
# Joins the script of the interactive graph and makes it short: viz/frame/zframe.js,
# which viz embeds. A test compares the sum in its first line with the sources.
set -euo pipefail
cd "$(dirname "$0")/.."
sources=(viz/frame/frame.js viz/frame/tools.js viz/frame/keys.js)
sum=$(cat "${sources[@]}" | sha256sum | cut -d' ' -f1)
out=$(mktemp)
trap 'rm -f "$out"' EXIT
# No result of forEach is used, and map is shorter.
{ echo "(() => {'use strict';"; cat "${sources[@]}"; echo '})();'; } |
	(cd tools/frame && go tool esbuild --minify --target=es2020 --charset=utf8 --log-level=warning) | sed 's/\.forEach(/.map(/g' >"$out"
{ echo "// $sum by scripts/frame.sh"; cat "$out"; } >viz/frame/zframe.js
echo "viz/frame/zframe.js: $(wc -c <"$out") bytes"
