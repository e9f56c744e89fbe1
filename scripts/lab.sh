#!/usr/bin/env bash
# Opens JupyterLab on the clone. Its settings and signatures stay in .venv.
set -euo pipefail
. "$(dirname "$0")/env.sh"
cd "$root"
root_flag=()
[ "$(id -u)" != 0 ] || root_flag=(--allow-root)
exec "$venv/bin/jupyter-lab" --ServerApp.root_dir="$root" --config="$root/notebooks/templates/lab/server.py" ${root_flag[@]+"${root_flag[@]}"} "$@"
