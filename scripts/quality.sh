#!/usr/bin/env bash
# Trains the recipes on the pocket model's world, three seeds each, and writes a table of mean and range: scripts/quality.sh
# What is done stays done (rm -r out/quality starts again). CLT names another program, SEEDS other seeds, OUT another folder.
set -euo pipefail
. "$(dirname "$0")/env.sh"
cd "$root"
out=${OUT:-out/quality}
mkdir -p "$out"
train() { # name, seed, flags...
	local name=$1 seed=$2
	shift 2
	[ -f "$out/$name-$seed.json" ] && return
	"${CLT:-bin/clt}" train -world -resume -seed "$seed" -o "$out/$name-$seed" -json "$@" >"$out/$name-$seed.tmp"
	mv "$out/$name-$seed.tmp" "$out/$name-$seed.json"
	echo "quality: $name, seed $seed, done after $SECONDS s" >&2
}
echo '{"dead_penalty":0.02,"lambda_ramp":0.7,"decay":0.8,"final_lr":0.01,"beta2":0.99,"scale_out":"variance"}' >"$out/jumprelu.config"
echo '{"dead_penalty":0.001,"decay":0.8,"final_lr":0.01,"beta2":0.99,"kl_steps":400,"kl_weight":200,"kl_batch":8,"kl_lr":3e-4}' >"$out/batchtopk-kl.config"
for seed in ${SEEDS:-1 2 3}; do
	train jumprelu-4 "$seed" -activation jumprelu -lambda 0.345 -batch 256 -steps 8000 -lr 0.003 -config "$out/jumprelu.config"
	train per-layer-4 "$seed" -activation jumprelu -lambda 0.51 -batch 256 -steps 8000 -lr 0.003 -per-layer -config "$out/jumprelu.config"
	train jumprelu-8 "$seed" -activation jumprelu -lambda 0.17 -batch 256 -steps 8000 -lr 0.003 -config "$out/jumprelu.config"
	train batchtopk-8-kl "$seed" -activation batchtopk -k 8 -batch 256 -steps 8000 -lr 0.002 -config "$out/batchtopk-kl.config"
done
"${PYTHON:-python3}" scripts/quality_table.py "$out"
