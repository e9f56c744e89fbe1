"""Writes the table of scripts/quality.sh from the numbers that its runs left: quality_table.py FOLDER"""
import json
import pathlib
import re
import sys

folder = pathlib.Path(sys.argv[1])
NAMES = {"jumprelu-4": "cross-layer, JumpReLU, λ 0.45", "jumprelu-8": "cross-layer, JumpReLU, λ 0.2",
         "batchtopk-8": "cross-layer, BatchTopK, k 8",
         "batchtopk-8-kl": "cross-layer, BatchTopK, k 8, KL steps", "per-layer-8": "per-layer, BatchTopK, k 8"}
runs = {}
for file in sorted(folder.glob("*-*.json")):
    name, seed = re.fullmatch(r"(.*)-(\d+)", file.stem).groups()
    runs.setdefault(name, []).append(json.loads(file.read_text())["metrics"])


def spread(values, form="{:.4f}"):
    text = form.format(sum(values) / len(values))
    return text if len(values) == 1 else f"{text} ({form.format(min(values))}–{form.format(max(values))})"


print("| transcoder | seeds | L0 per layer | NMSE | dead, % | KL | same top-1 |")
print("|---|---|---|---|---|---|---|")
for name, title in NAMES.items():
    if name in runs:
        m = runs[name]
        of = lambda key: [x[key] for x in m]
        print(f"| {title} | {len(m)} | {spread(of('l0'), '{:.2f}')} | {spread(of('nmse'))} | {spread([100 * x for x in of('dead')], '{:.1f}')} |"
              f" {spread(of('kl'))} | {spread(of('top1'), '{:.3f}')} |")
if "per-layer-8" in runs and "batchtopk-8" in runs:
    mean = lambda name: sum(x["nmse"] for x in runs[name]) / len(runs[name])
    print(f"\nAt k = 8 the cross-layer transcoder's NMSE is {100 * (1 - mean('batchtopk-8') / mean('per-layer-8')):.0f} % below the per-layer one's.")
