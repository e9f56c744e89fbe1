#!/usr/bin/env bash
# make pocket: trains the embedded model and its transcoders again from their seeds, into out/pocket, and writes the model card there.
# POCKET_INSTALL=1 also copies the result into gpt2/pocket/data.
set -euo pipefail
. "$(dirname "$0")/env.sh"
cd "$root"
out=out/pocket
mkdir -p "$out"
began=$SECONDS
phase() { # name, file for the numbers, command...; what is done stays done (rm -r out/pocket starts again)
	local name=$1 file=$2 from=$SECONDS
	shift 2
	[ ! -f "$out/$file" ] || return 0
	"$@" -json >"$out/$file.tmp"
	mv "$out/$file.tmp" "$out/$file"
	echo "pocket: $name $((SECONDS - from)) s"
}
# Another backend gives other last digits and in the end other weights: BACKEND=go bash scripts/pocket.sh, where there is no XLA.
backend=${BACKEND:-xla}
seed=3 # of the transcoders; the card says why
train() { # name, recipe
	phase "$1" "$1.json" "${CLT:-bin/clt}" train -backend "$backend" -model "$out/model" -world -resume -seed "$seed" -config "scripts/recipes/$2.json" -o "$out/$1"
}
phase "language model" model.json "${CLT:-bin/clt}" train-lm -backend "$backend" -world -resume -o "$out/model"
train clt jumprelu-4
train batchtopk batchtopk-8-kl
train per-layer per-layer-4
"${PYTHON:-python3}" scripts/pocket_card.py "$out" >"$out/README.md"
echo "pocket: all in $((SECONDS - began)) s; the card is $out/README.md"
if [ "${POCKET_INSTALL:-}" = 1 ]; then
	data=gpt2/pocket/data
	rm -rf "$data"
	mkdir -p "$data"
	for d in model clt batchtopk per-layer; do
		mkdir "$data/$d"
		cp "$out/$d"/*.safetensors "$data/$d/"
		for f in config.json config.yaml clt.json vocab.json merges.txt; do
			[ ! -f "$out/$d/$f" ] || cp "$out/$d/$f" "$data/$d/"
		done
	done
	cp "$out/README.md" "$data/"
	echo "pocket: installed into $data; build again to embed it"
else
	echo "pocket: POCKET_INSTALL=1 make pocket copies it into gpt2/pocket/data"
fi
