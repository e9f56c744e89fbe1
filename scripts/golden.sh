#!/usr/bin/env bash
# Writes the golden files of the tests again: packages whose tests have an -update flag. Read the diff before committing.
set -euo pipefail
. "$(dirname "$0")/env.sh"
cd "$root"
packages=$(grep -rlE --include='*_test.go' 'flag\.Bool\("update"' . | xargs -r -n 1 dirname | sort -u)
[ -n "$packages" ] || die "golden: no package has an -update flag"
for p in $packages; do go test "$p" $(build_tags) -count=1 -update; done
git diff --stat
