#!/usr/bin/env bash
# Builds bin/clt. Without a C compiler, or where no XLA plugin exists, it is built without XLA.
set -euo pipefail
. "$(dirname "$0")/env.sh"
cd "$root"
must_write build
mkdir -p bin
tags=$(build_tags)
[ -z "$tags" ] || export CGO_ENABLED=0
go build -trimpath "$(vcs_flag)" $tags -o bin/clt ./cmd/clt
touch bin/clt # an unchanged program is not written again; its time says when it was checked
if [ -n "$tags" ]; then
	echo "bin/clt: built without XLA; everything runs on the Go backend" >&2
	if xla_platform; then
		echo "  for XLA install a C compiler (apt-get install gcc libc6-dev) and run make build again" >&2
	fi
fi
