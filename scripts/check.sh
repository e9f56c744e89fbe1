#!/usr/bin/env bash
# The one-minute part: format, vet, staticcheck if it is built, layering and fast tests.
set -euo pipefail
. "$(dirname "$0")/env.sh"
. "$root/scripts/steps.sh"
cd "$root"
step gofmt check_format
step vet go vet $(build_tags) ./...
staticcheck_step
step "fast tests" go test -short -timeout 5m $(build_tags) ./...
finish
