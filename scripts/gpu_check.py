"""Measures forward, training step and attribution on an accelerator against its roofline and writes a JSON record.

The roofline of a row is the larger of its floating-point work at the card's peak and its memory traffic at the card's bandwidth;
`share` is that time by the measured one. Peaks are those of the maker for known cards, otherwise what clt measures for a plain
product of matrices. Work counts are those of clt bench: causal masks are not subtracted.
"""
import argparse
import datetime
import json
import os
import platform
import subprocess
import sys

CARDS = {  # TFLOP/s float32 (no TF32), bfloat16 (dense), TB/s; the first name that occurs in the card's
    "H200": (67, 989, 4.8), "H100": (67, 989, 3.35), "A100": (19.5, 312, 2.0), "L40": (90.5, 181, 0.864),
    "A10": (31.2, 125, 0.6), "L4": (30.3, 121, 0.3), "4090": (82.6, 165, 1.01), "3090": (35.6, 71, 0.936), "T4": (8.1, 8.1, 0.3),
}
WANTED = {"forward": 0.4, "train": 0.45, "attribution": 0.1}  # shares that count as good
PARAMETERS = 124_439_808  # of GPT-2 small


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--clt", default="bin/clt")
    p.add_argument("--backend", default="xla:cuda")
    p.add_argument("--out", default="out/gpu-check.json")
    p.add_argument("--quick", action="store_true", help="small sizes, to try the script")
    p.add_argument("--reps", type=int, default=10)
    return p.parse_args()


def card():
    """Name, driver and memory of the first card, if there is one."""
    try:
        r = subprocess.run(["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    name, driver, memory = [x.strip() for x in r.stdout.splitlines()[0].split(",")]
    return {"name": name, "driver": driver, "memory": memory}


def bench(args, suite, **flags):
    line = [args.clt, "bench", suite, "-json", "-backend", args.backend, "-reps", str(2 if args.quick else args.reps)]
    for name, value in flags.items():
        line += ["-" + name, str(value)]
    r = subprocess.run(line, capture_output=True, text=True)
    if r.returncode:
        sys.exit(f"gpu-check: {' '.join(line)}: {(r.stderr.strip().splitlines() or ['no message'])[-1]}")
    return [json.loads(x) for x in r.stdout.splitlines()]


def traffic(kind, row, half):
    """Bytes that a row must move at least."""
    if kind == "forward":
        return 4 * PARAMETERS if row["layers"] == 12 else 0
    if kind == "train":  # w, m, v read and written, gradient; products' operands
        blocks = row["layers"] * (row["layers"] + 1) // 2
        parameters = row["features"] * row["d_model"] * (row["layers"] + blocks)
        return 28 * parameters + (2 if half else 4) * row["batch"] * 6 * row["layers"] * row["features"]
    return 0


def measure(args, peaks):
    shape = "pocket" if args.quick else "small"
    jobs = [("forward", "gpt2", False, {"shape": shape, "tokens": "16,64" if args.quick else "16,64,256,1024"})]
    sizes = [(64, 128)] if args.quick else [(1024, 4096), (2048, 8192), (8192, 8192)]
    for features, batch in sizes:
        for half in (False, True):
            jobs.append(("train", "train", half, {"shape": shape, "features": features, "batch": batch, "path": "dense",
                                                  "compute": "bfloat16" if half else "float32"}))
    jobs.append(("attribution", "attribution", False, {"shape": shape, "tokens": "8" if args.quick else "16,64", "features": sizes[0][0]}))
    for kind, suite, half, flags in jobs:
        print(f"gpu-check: {kind} {flags} ...", file=sys.stderr)
        for row in bench(args, suite, **flags):
            flops = (peaks[half] if peaks else row["gemm_gflops_now"] / 1e3) * 1e12
            by_memory = traffic(kind, row, half) / (peaks[2] * 1e12) if peaks else 0
            least = max(row["gflop"] * 1e9 / flops, by_memory)
            share = least / row["min_s"]
            yield {"kind": kind, "dtype": "bfloat16" if half else "float32", **row, "roofline_s": least, "bound": "memory" if by_memory == least else "compute",
                   "share": share, "wanted": WANTED[kind], "good": share >= WANTED[kind]}


def main():
    args = arguments()
    found = card()
    if args.backend == "xla:cuda" and not found:
        sys.exit("gpu-check: nvidia-smi finds no card; run on a machine with one, or try the script with --backend xla:cpu --quick")
    peaks = next((v for k, v in CARDS.items() if found and args.backend == "xla:cuda" and k in found["name"]), None)
    rows = list(measure(args, peaks))
    doctor = subprocess.run([args.clt, "doctor", "-json"], capture_output=True, text=True)
    record = {"format": "clt-gpu-check/1", "time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), "backend": args.backend,
              "card": found, "peaks": peaks and {"float32_tflops": peaks[0], "bfloat16_tflops": peaks[1], "tb_per_s": peaks[2]},
              "peak_from": "the maker" if peaks else "a plain product of matrices, measured", "python": platform.python_version(),
              "doctor": json.loads(doctor.stdout) if doctor.stdout else None, "rows": rows}
    os.makedirs(os.path.dirname(args.out) or ".", exist_ok=True)
    with open(args.out + ".tmp", "w") as f:
        json.dump(record, f, indent=1)
    os.replace(args.out + ".tmp", args.out)
    line = "{:12} {:9} {:10} {:>7} {:>9} {:>10} {:>12} {:>7}  {}"
    print(line.format("work", "type", "activation", "tokens", "features", "ms", "roofline ms", "share", "bound"))
    for r in rows:
        print(line.format(r["kind"], r["dtype"], r.get("activation", ""), r.get("batch" if r["kind"] == "train" else "tokens", ""), r.get("features", ""),
                          f"{1e3 * r['min_s']:.2f}", f"{1e3 * r['roofline_s']:.2f}", f"{r['share']:.2f}", r["bound"] + ("" if r["good"] else f", wanted {r['wanted']:.2f}")))
    print(f"wrote {args.out}")


if __name__ == "__main__":
    main()
