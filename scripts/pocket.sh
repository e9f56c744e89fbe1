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
# The transcoders that the clone holds were made with these settings, by the compiled graph.
echo '{"path":"dense","batch":2048,"lr":3e-3,"dead_penalty":1e-4}' >"$out/transcoders.config"
train() { # name, flags...
	local name=$1
	shift
	phase "$name" "$name.json" bin/clt train -model "$out/model" -world -resume -config "$out/transcoders.config" -o "$out/$name" "$@"
}
phase "language model" model.json bin/clt train-lm -world -resume -o "$out/model"
train clt -activation jumprelu -lambda 0.37 -steps 1800
train batchtopk -activation batchtopk -k 4 -steps 1500
train per-layer -activation jumprelu -lambda 0.42 -steps 1500 -per-layer
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
