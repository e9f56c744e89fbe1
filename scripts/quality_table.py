"""Writes the table of scripts/quality.sh from the numbers that its runs left: quality_table.py FOLDER"""
import json
import pathlib
import re
import sys

folder = pathlib.Path(sys.argv[1])
NAMES = {"jumprelu-4": "cross-layer, JumpReLU", "per-layer-4": "per-layer, JumpReLU", "jumprelu-8": "cross-layer, JumpReLU, smaller λ",
         "batchtopk-8-kl": "cross-layer, BatchTopK, k 8, KL steps"}
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
        print(f"| {title} | {len(m)} | {spread(of('l0'), '{:.2f}')} | {spread(of('nmse'), '{:.5f}')} | {spread([100 * x for x in of('dead')], '{:.1f}')} |"
              f" {spread(of('kl'))} | {spread(of('top1'), '{:.3f}')} |")
if "per-layer-4" in runs and "jumprelu-4" in runs:
    mean = lambda name, key: sum(x[key] for x in runs[name]) / len(runs[name])
    print(f"\nThe cross-layer transcoder's NMSE is {100 * (1 - mean('jumprelu-4', 'nmse') / mean('per-layer-4', 'nmse')):.0f} % below the per-layer"
          f" one's, at an L0 of {mean('jumprelu-4', 'l0'):.2f} and {mean('per-layer-4', 'l0'):.2f}.")
