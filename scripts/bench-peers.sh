#!/usr/bin/env bash
# Times clt beside its Python peers in one run: make bench-peers [TEXT=file] [PEERS_FLAGS="--only tokenizer --rounds 5", or "train ...", "attribution ..." for these alone].
# The peers live in out/peers-venv, apart from everything else (2 GB, mostly PyTorch).
set -euo pipefail
. "$(dirname "$0")/env.sh"
cd "$root"
peers="$root/out/peers-venv"
want=$(cat requirements-peers.txt scripts/peers_cuda.py | digest)
if [ "$(cat "$peers/ready" 2>/dev/null)" != "$want" ]; then
	echo "bench-peers: installing the peers into out/peers-venv" >&2
	rm -f "$peers/ready"
	[ -x "$peers/bin/python" ] || "${PYTHON:-python3}" -m venv "$peers"
	"$peers/bin/python" -m pip install -q --disable-pip-version-check --no-deps -r requirements-peers.txt
	"$peers/bin/python" scripts/peers_cuda.py "$peers/cuda"
	echo "$want" >"$peers/ready"
fi
scripts/build.sh
text=${TEXT:-$(dirname "$root")/shared/data/tinyshakespeare.txt}
[ -f "$text" ] || text=
ranks="$(go list -m -f '{{.Dir}}' github.com/pkoukk/tiktoken-go-loader)/assets/r50k_base.tiktoken"
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false LD_LIBRARY_PATH="$peers/cuda${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
if [ "${1-}" = attribution ]; then # PEERS_FLAGS="attribution ..."
	shift
	exec "$peers/bin/python" scripts/peers_attribution.py --clt bin/clt "$@"
fi
if [ "${1-}" = train ]; then # PEERS_FLAGS="train ..."
	shift
	exec "$peers/bin/python" scripts/peers_train.py --clt bin/clt "$@"
fi
"$peers/bin/python" scripts/peers.py --clt bin/clt --ranks "$ranks" ${text:+--text "$text"} "$@"
case " $* " in *" --only "* | *" --help "*) ;; *) exec "$peers/bin/python" scripts/peers_train.py --clt bin/clt ;; esac
