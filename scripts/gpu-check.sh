#!/usr/bin/env bash
# make gpu-check: measures forward, training step and attribution on the accelerator, holds each against the roofline of the card and
# writes out/gpu-check.json. GPU_CHECK_FLAGS="--backend xla:cpu --quick" tries the script itself on a processor.
set -euo pipefail
. "$(dirname "$0")/env.sh"
cd "$root"
exec "${PYTHON:-python3}" scripts/gpu_check.py --clt bin/clt "$@"
