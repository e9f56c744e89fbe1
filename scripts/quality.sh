#!/usr/bin/env bash
# Trains the recipes on the pocket model's world, three seeds each, and writes a table of mean and range: scripts/quality.sh
# What is done stays done (rm -r out/quality starts again). CLT names another program, SEEDS other seeds, RECIPES other files
# of scripts/recipes, OUT another folder.
set -euo pipefail
. "$(dirname "$0")/env.sh"
cd "$root"
out=${OUT:-out/quality}
mkdir -p "$out"
train() { # name of a recipe, seed
	local name=$1 seed=$2
	[ -f "$out/$name-$seed.json" ] && return
	"${CLT:-bin/clt}" train -world -resume -seed "$seed" -config "scripts/recipes/$name.json" -o "$out/$name-$seed" -json >"$out/$name-$seed.tmp"
	mv "$out/$name-$seed.tmp" "$out/$name-$seed.json"
	echo "quality: $name, seed $seed, done after $SECONDS s" >&2
}
for seed in ${SEEDS:-1 2 3}; do
	for recipe in ${RECIPES:-jumprelu-4 per-layer-4 jumprelu-8 batchtopk-8-kl}; do
		train "$recipe" "$seed"
	done
done
"${PYTHON:-python3}" scripts/quality_table.py "$out"
