#!/usr/bin/env bash
# Prints the path of a Chromium for the browser tests. In CI, as root and with apt, it installs one if there is none.
set -euo pipefail
find_browser() {
	local b
	for b in "${CLT_CHROMIUM:-}" chromium chromium-browser google-chrome; do
		[ -n "$b" ] && command -v "$b" && return
	done
	return 1
}
find_browser && exit
if [ "${CI:-}" = true ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	echo "browser: installing chromium" >&2
	(apt-get update -qq && DEBIAN_FRONTEND=noninteractive timeout 600 apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core) >/dev/null 2>&1 || true
	find_browser && exit
fi
echo "browser: no chromium; the browser tests will be skipped (apt-get install chromium)" >&2
exit 1
