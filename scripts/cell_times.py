"""How long cells take: the first of a fresh kernel, and then trivial ones, against their budgets. Used by make bench-cells.

cell_times.py [-n CELLS] [-k KERNELS] [--json]

Each cell has another text, so that none finds itself in the build cache. A busy machine shows in the difference between
median and maximum: run it on a quiet one.
"""
import argparse
import json
import os
import pathlib
import queue
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
LAB = 'import "github.com/etredal/cross-layer-transcoder/notebooks/lab"\n%%\n'
for _key, _sub in (("CONFIG", "config"), ("DATA", "data"), ("RUNTIME", "runtime")):
    os.environ.setdefault(f"JUPYTER_{_key}_DIR", str(ROOT / ".venv" / "clt" / "jupyter" / _sub))
os.environ.setdefault("IPYTHONDIR", str(ROOT / ".venv" / "clt" / "jupyter" / "ipython"))
os.environ["CLT_KEEP_GOING"] = "1"

# what is measured: the code of cell number i, and the budget in seconds
KINDS = {
    "plain Go": (lambda i: f"%%\nfmt.Println({i})", 0.3),
    "lab, asks the engine": (lambda i: LAB + f"fmt.Println(lab.Open().State().PID, {i})", 0.6),
    "lab, shows a check": (lambda i: LAB + f'lab.Check(true, "number {i}")', 0.6),
    "lab, tokens of a prompt": (lambda i: LAB + f'lab.Show(lab.Open("pocket").Tokens(" {i} plus 5 is"))', 0.6),
    "lab, a graph": (lambda i: LAB + f'lab.Show(lab.Open("pocket").Graph(" {i % 10} plus {i // 10 % 10} is").Prune())', None),
}
FIRST = LAB + 'lab.Show(lab.Open("pocket").Predict(" The capital of France is"), {i})'
FIRST_BUDGET = 3.0


class Kernel:
    def __init__(self):
        from jupyter_client.manager import start_new_kernel

        begin = time.monotonic()
        self.manager, self.client = start_new_kernel(kernel_name="gonb", cwd=str(ROOT / "notebooks"), startup_timeout=120)
        self.start = time.monotonic() - begin

    def cell(self, code):
        """Seconds until the kernel is idle again; a cell that fails ends the program."""
        begin = time.monotonic()
        message = self.client.execute(code)
        said = []
        while True:
            try:
                m = self.client.get_iopub_msg(timeout=300)
            except queue.Empty:
                sys.exit("cell_times: a cell did not end in 300 s; is the machine very busy?")
            if m["parent_header"].get("msg_id") != message:
                continue
            if m["msg_type"] in ("stream", "error"):
                said.append(str(m["content"].get("text") or m["content"].get("evalue")))
            if m["msg_type"] == "error":
                sys.exit("cell_times: a cell failed: " + " ".join(said)[-400:])
            if m["msg_type"] == "status" and m["content"]["execution_state"] == "idle":
                return time.monotonic() - begin

    def close(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=False)


def row(name, times, budget):
    times = sorted(times)
    return {"cell": name, "n": len(times), "best": times[0], "median": statistics.median(times), "max": times[-1], "budget": budget}


def main():
    parser = argparse.ArgumentParser(prog="cell_times.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=20, help="cells of each kind")
    parser.add_argument("-k", type=int, default=5, help="fresh kernels")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    seed, rows, starts, firsts = int(time.time()) % 100_000 * 1000, [], [], []
    warm = Kernel()  # builds the engine if its sources have changed, fills the caches; not counted
    warm.cell(FIRST.format(i=seed))
    warm.close()
    for k in range(args.k):
        kernel = Kernel()
        starts.append(kernel.start)
        firsts.append(kernel.cell(FIRST.format(i=seed + k + 1)))
        if k < args.k - 1:
            kernel.close()
    rows.append(row("start of a kernel", starts, None))
    rows.append(row("first of a fresh kernel: lab, engine, model", firsts, FIRST_BUDGET))
    for number, (name, (code, budget)) in enumerate(KINDS.items()):
        rows.append(row(name, [kernel.cell(code(seed + 100 * (number + 1) + i)) for i in range(args.n)], budget))
    kernel.close()
    if args.json:
        print(json.dumps(rows, indent=1))
        return
    load = os.getloadavg()[0]
    print(f"seconds; {os.cpu_count()} processors, load {load:.1f}")
    print(f"{'cell':46}{'n':>4}{'best':>8}{'median':>8}{'max':>8}{'budget':>8}")
    for r in rows:
        budget = f"{r['budget']:8.1f}" if r["budget"] else f"{'':8}"
        print(f"{r['cell']:46}{r['n']:4}{r['best']:8.2f}{r['median']:8.2f}{r['max']:8.2f}{budget}")


if __name__ == "__main__":
    main()
