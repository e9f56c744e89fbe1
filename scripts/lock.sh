#!/usr/bin/env bash
# Writes the hash-locked requirements anew from the lists below. Needs uv. Run it when a version changes, and read the diff.
set -euo pipefail
cd "$(dirname "$0")/.."
lock() { # lock FILE [flags]: the wishes on standard input
	local out=$1
	shift
	uv pip compile -q --generate-hashes --no-emit-index-url --no-header --no-annotate --python-version 3.11 "$@" -o "$out" -
	sed -i '1i # Written by scripts/lock.sh; do not edit.' "$out"
}
base='jupyterlab==4.6.6
jupyter_client==8.10.0
nbclient==0.11.0
nbconvert==7.17.2
nbformat==5.11.1
latex2mathml==3.81.1'
lock requirements.txt --universal <<<"$base"
lock requirements-test.txt --universal -c requirements.txt <<<"$base
nbmake==1.5.5
playwright==1.65.2
pytest==9.2.0"
# PJRT plugins carry one shared library each; their declared dependencies are not needed.
linux="; sys_platform == 'linux' and platform_machine == 'x86_64'"
lock requirements-xla.txt --universal --no-deps <<<"lammps-jax-pjrt-cpu==0.11.2 $linux"
lock requirements-xla-fallback.txt --universal --no-deps <<<"xla-cpu-pjrt==0.0.1 $linux"
# The JAX team's plugin declares no dependencies: the libraries are those of jax-cuda13-plugin[with-cuda].
lock requirements-cuda.txt --python-platform x86_64-manylinux_2_28 <<<'jax-cuda13-pjrt==0.12.0.1
nvidia-cublas>=13.0.0.19
nvidia-cuda-cupti>=13.0.48
nvidia-cuda-nvcc>=13.0.48
nvidia-cuda-runtime>=13.0.48
nvidia-cudnn-cu13>=9.12.0.46,<10
nvidia-cufft>=12.0.0.15
nvidia-cusolver>=12.0.3.29
nvidia-cusparse>=12.6.2.49
nvidia-nccl-cu13>=2.27.7
nvidia-nvjitlink>=13.0.39
nvidia-cuda-nvrtc>=13.0.48
nvidia-nvshmem-cu13>=3.3.20
nvidia-nvvm'
