"""Times clt and its Python peers in turns and prints both side by side.

A shared machine changes its speed from minute to minute: in each round, ours and theirs run one right after the other and
give one ratio, the median of which is printed. Times are the best of all rounds; their ratio stands beside, because a busy
machine slows some programs down more than others (PyTorch's threads wait for each other). A goal is met when both meet it.
"""
import argparse
import base64
import json
import os
import statistics
import subprocess
import sys
import time

# What the ratios should be: ours by theirs for times and memory, the other way round for speeds.
GOALS = {
    "forward": {"xla": {16: 0.5, 64: 0.75, 256: 0.85, 1024: 0.9}, "go": {16: 0.9, 64: 1.3, 256: 1.7, 1024: 2.0}},
    "hooks": {"xla": {16: 0.25, 64: 0.45, 256: 0.6, 1024: 0.7}, "go": {16: 0.45, 64: 0.8, 256: 1.2, 1024: 1.5}},
    "generate": {"xla": 2.0, "go": 1.0},
    "tokenizer": {"tiktoken": 1.5, "tokenizers": 10.0},
    "batch": None,  # texts in parallel: on as many threads as clt takes
    "memory": 1.0,
}
SPEEDS = ("tokenizer", "batch", "generate")  # theirs by ours in time
SIZES = [16, 64, 256, 1024]
PROMPT, NEW, SHORT, DOCUMENT, TEXT = 16, 50, 100, 32 << 10, 5 << 20


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--clt", default="bin/clt")
    p.add_argument("--ranks", help="r50k_base.tiktoken")
    p.add_argument("--text", help="English; repeated to 5 MiB")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--reps", type=int, default=5, help="calls of each side in a round, the best of which counts")
    p.add_argument("--only", default="checkpoint,tokenizer,forward,hooks,generate,memory")
    p.add_argument("--backends", default="go,xla:cpu")
    p.add_argument("--tokens", default=",".join(map(str, SIZES)))
    p.add_argument("--json", help="file for all numbers")
    p.add_argument("--peak", help=argparse.SUPPRESS)
    return p.parse_args()


def best(reps, f):
    times = []
    for _ in range(reps):
        start = time.perf_counter()
        f()
        times.append(time.perf_counter() - start)
    return min(times)


class Clt:
    def __init__(self, args):
        self.path, self.reps, self.shown = args.clt, args.reps, set()

    def bench(self, suite, backend, *flags, reps=None):
        """The rows of a suite, or none where the backend is not there."""
        r = subprocess.run([self.path, "bench", suite, "-json", "-reps", str(reps or self.reps), "-backend", backend, *flags],
                           capture_output=True, text=True)
        if r.returncode and (suite, backend) not in self.shown:
            self.shown.add((suite, backend))
            print(f"clt bench {suite} -backend {backend}: {r.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return [json.loads(line) for line in r.stdout.splitlines()]


class Table:
    """Pairs of times by what was done, with who is ours and who the peer."""

    def __init__(self):
        self.pairs = {}

    def add(self, work, size, ours, theirs, a, b):
        self.pairs.setdefault((work, size, ours, theirs), []).append((a, b))

    def rows(self):
        for (work, size, ours, theirs), pairs in self.pairs.items():
            a, b = min(p[0] for p in pairs), min(p[1] for p in pairs)
            fast = work in SPEEDS
            ratio = statistics.median((q / p if fast else p / q) for p, q in pairs)
            by_best = b / a if fast else a / b
            goal = GOALS[work]
            if isinstance(goal, dict):
                goal = goal.get(theirs.split()[0] if work == "tokenizer" else ours.split(":")[0])
            if isinstance(goal, dict):
                goal = goal.get(size)
            met = None if goal is None else (min(ratio, by_best) >= goal if fast else max(ratio, by_best) <= goal)
            yield {"work": work, "size": size, "ours": ours, "theirs": theirs, "ours_value": a, "theirs_value": b,
                   "ratio": ratio, "ratio_of_best": by_best, "goal": goal, "met": met, "rounds": len(pairs)}

    def show(self):
        line = "{:10} {:>8}  {:8} {:>12}  {:16} {:>12}  {:>6} {:>6} {:>8}  {}"
        print(line.format("work", "size", "ours", "", "theirs", "", "ratio", "best", "goal", ""))
        for r in self.rows():
            goal = "" if r["goal"] is None else (">= " if r["work"] in SPEEDS else "<= ") + f"{r['goal']:g}"
            verdict = {None: "", True: "met", False: "MISSED"}[r["met"]]
            print(line.format(r["work"], r["size"], r["ours"], value(r, "ours_value"), r["theirs"], value(r, "theirs_value"),
                              f"{r['ratio']:.2f}", f"{r['ratio_of_best']:.2f}", goal, verdict))


def value(r, key):
    v = r[key]
    if r["work"] in ("tokenizer", "batch"):
        return f"{TEXT / 1e6 / v:.1f} MB/s"
    if r["work"] == "generate":
        return f"{NEW / v:.1f} tok/s"
    return f"{v:.0f} MB" if r["work"] == "memory" else f"{1e3 * v:.0f} ms"


def english(args):
    """5 MiB of text, as clt bench makes it from the same file."""
    if args.text:
        data = open(args.text, encoding="utf-8").read()
    else:
        os.makedirs("out", exist_ok=True)
        args.text = os.path.join("out", "peers-text.txt")
        words = "the of and to in is was he for it with as his on be at by had are but from or have an they which one you".split()
        data = "".join(words[i * i % len(words)].title() + " " + words[i * 7 % len(words)] + f" item {i} didn't say.\n" for i in range(20000))
        open(args.text, "w", encoding="utf-8").write(data)
    if len(data) != len(data.encode()):
        sys.exit(f"{args.text}: give a text in ASCII, so that all cut it in the same places")
    return (data * (TEXT // len(data) + 1))[:TEXT]


def cut_at(text, separator, size):
    """Cuts as clt bench does."""
    out, at = [], 0
    while len(text) - at > size:
        n = text.find(separator, at + size)
        if n < 0:
            break
        out.append(text[at:n])
        at = n
    return out + [text[at:]]


def split_merges(ranks):
    """merges.txt from the ranks: a token is made of the two parts into which the merges before it cut it."""
    for token, rank in sorted(ranks.items(), key=lambda x: x[1]):
        parts = [token[i:i + 1] for i in range(len(token))]
        while len(parts) > 2:
            joined = [ranks.get(parts[i] + parts[i + 1], rank) for i in range(len(parts) - 1)]
            low = min(range(len(joined)), key=joined.__getitem__)
            parts[low:low + 2] = [parts[low] + parts[low + 1]]
        if len(parts) == 2:
            yield tuple(parts)


def tokenizer_peers(path):
    import tiktoken
    from tokenizers import Tokenizer, models, pre_tokenizers

    ranks = {base64.b64decode(t): int(r) for t, r in (line.split() for line in open(path))}
    pattern = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
    tik = tiktoken.Encoding("gpt2", pat_str=pattern, mergeable_ranks=ranks, special_tokens={"<|endoftext|>": 50256})
    printable = [b for b in range(256) if 33 <= b <= 126 or 161 <= b <= 172 or b >= 174]
    spelt = {b: chr(b) for b in printable}
    spelt.update({b: chr(256 + i) for i, b in enumerate(b for b in range(256) if b not in spelt)})
    spell = lambda token: "".join(spelt[b] for b in token)
    hf = Tokenizer(models.BPE({spell(t): r for t, r in ranks.items()}, [(spell(a), spell(b)) for a, b in split_merges(ranks)]))
    hf.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    def hf_batch(pieces, threads):
        os.environ["TOKENIZERS_PARALLELISM"], os.environ["RAYON_NUM_THREADS"] = "true", str(threads)  # the pool is made on first use
        encoded = hf.encode_batch(pieces)
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        return [e.ids for e in encoded]

    return {f"tiktoken {tiktoken.__version__}": (tik.encode_ordinary, lambda pieces, n: tik.encode_ordinary_batch(pieces, num_threads=n)),
            "tokenizers": (lambda text: hf.encode(text).ids, hf_batch)}


def bench_tokenizer(args, clt, table):
    text = english(args)
    texts = {"whole": [text], "docs": cut_at(text, "\n", DOCUMENT), "lines": text.splitlines(keepends=True), "short": cut_at(text, " ", SHORT)}
    peers = tokenizer_peers(args.ranks)
    for _ in range(args.rounds):
        ours = {}
        for row in clt.bench("tokenizer", "go", "-text", args.text):
            ours.setdefault(row["texts"], {})[row["threads"]] = row
        for way, pieces in texts.items():
            # splitting after the last newline gives Go one more, empty, text
            rows = ours.get(len(pieces)) or ours.get(len(pieces) + 1)
            if rows is None:
                sys.exit(f"clt cuts the text into {sorted(ours)} pieces, here there are {len(pieces)}")
            for threads, row in rows.items():
                for name, (encode, batch) in peers.items():
                    counts = []
                    if threads == 1:
                        work, f = "tokenizer", lambda: counts.append(sum(len(encode(p)) for p in pieces))
                    else:
                        work, f = "batch", lambda: counts.append(sum(map(len, batch(pieces, threads))))
                    theirs = best(1 if name == "tokenizers" else min(args.reps, 3), f)
                    if abs(row["tokens_per_s"] * row["min_s"] - counts[0]) > 20:
                        sys.exit(f"{name} has {counts[0]} tokens, clt {row['tokens_per_s'] * row['min_s']:.0f}")
                    table.add(work, way, "clt" if threads == 1 else f"clt x{threads}", name, row["min_s"], theirs)


def transformers_model():
    import torch
    import transformers

    torch.set_num_threads(2)
    torch.manual_seed(1)
    transformers.logging.set_verbosity_error()
    config = transformers.GPT2Config(attn_implementation="eager")
    return torch, transformers.GPT2LMHeadModel(config).eval(), "transformers"


def lens_model():
    import torch
    import transformer_lens as tl

    torch.set_num_threads(2)
    torch.manual_seed(1)
    config = tl.HookedTransformerConfig(n_layers=12, d_model=768, n_ctx=1024, d_head=64, n_heads=12, d_mlp=3072, d_vocab=50257,
                                        act_fn="gelu_new", normalization_type="LN")
    return torch, tl.HookedTransformer(config).eval(), "transformer-lens"


def prompt(torch, n):
    return (torch.arange(n) * 7919 + 13).remainder(50257)[None]


def peer_call(work, torch, model, n):
    ids = prompt(torch, n)
    if work == "forward":
        return lambda: model(ids, use_cache=False)
    if work == "hooks":
        return lambda: model.run_with_cache(ids)
    return lambda: model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=NEW, min_new_tokens=NEW, do_sample=False, pad_token_id=50256)


def bench_model(args, clt, table, work):
    torch, model, name = (lens_model if work == "hooks" else transformers_model)()
    sizes = [PROMPT] if work == "generate" else [int(n) for n in args.tokens.split(",")]
    suite = {"forward": "gpt2"}.get(work, work)
    with torch.inference_mode():
        for n in sizes:
            call = peer_call(work, torch, model, n)
            call()
            reps = args.reps if n < 1024 and work != "generate" else max(1, args.reps // 2)
            for _ in range(args.rounds):
                for backend in args.backends.split(","):
                    rows = clt.bench(suite, backend, *([] if work == "generate" else ["-tokens", str(n)]), reps=reps)
                    theirs = best(reps, call)
                    if rows:
                        table.add(work, n, backend, name, rows[0]["min_s"], theirs)
            print(f"  {work} {n}: done", file=sys.stderr)


# A process counts the memory of the one that forked it into its peak, and this one is large: a small one stands between.
MEASURE = """import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss if code == 0 else 0)"""


def peak_mb(command):
    """Peak resident memory of a command, MB; 0 where it fails."""
    r = subprocess.run([sys.executable, "-c", MEASURE, *command], capture_output=True, text=True, check=True)
    return int(r.stdout) * 1024 / 1e6


def bench_memory(args, clt, table):
    """Peak memory of a process that loads a checkpoint of the size of GPT-2 small and does one forward pass over 64 tokens."""
    folder = os.path.join("out", "peers-small")
    if not os.path.exists(os.path.join(folder, "config.json")):
        transformers_model()[1].save_pretrained(folder)
    ids = ",".join(str(i) for i in prompt(__import__("torch"), 64)[0].tolist())
    theirs = peak_mb([sys.executable, __file__, "--peak", folder])
    for backend in args.backends.split(","):
        ours = peak_mb([args.clt, "run", "-model", folder, "-backend", backend, "-ids", ids, "-json"])
        if ours and theirs:
            table.add("memory", 64, backend, "transformers", ours, theirs)


def check_checkpoint(args, clt, table):
    """What clt writes must be the same model, and the same tokenizer, for transformers."""
    import torch
    import transformers
    from safetensors.torch import load_file

    folder, ids = os.path.join("out", "peers-lm"), [1, 5, 9, 200, 30, 7]
    text = "The capital of France is\n\n  Paris.<|endoftext|>"
    run = lambda *a, **k: subprocess.run([args.clt, *a], check=True, capture_output=True, text=True, **k).stdout
    run("train-lm", "-world", "-steps", "20", "-backend", "go", "-o", folder)
    run("run", "-backend", "go", "-model", folder, "-ids", ",".join(map(str, ids)), "-o", folder + ".safetensors", "-hooks", "all")
    with torch.inference_mode():
        model = transformers.GPT2LMHeadModel.from_pretrained(folder).eval()
        error = (model(torch.tensor([ids])).logits[0] - load_file(folder + ".safetensors")["logits"]).abs().max().item()
    ours = json.loads(run("tokenize", "-model", folder, "-jsonl", input=json.dumps({"text": text, "allow_special": True})))["ids"]
    theirs = transformers.AutoTokenizer.from_pretrained(folder)(text).input_ids
    print(f"checkpoint of clt in transformers: logits differ by {error:.1e} at most; tokens {'equal' if ours == theirs else 'DIFFER'}")
    if error > 1e-4 or ours != theirs:
        sys.exit("a checkpoint that clt wrote is another model in transformers")


def main():
    args = arguments()
    if args.peak:
        import torch
        import transformers

        model = transformers.GPT2LMHeadModel.from_pretrained(args.peak, attn_implementation="eager").eval()
        with torch.inference_mode():
            peer_call("forward", torch, model, 64)()
        return
    clt, table = Clt(args), Table()
    try:
        for work in args.only.split(","):
            print(f"{work} ...", file=sys.stderr)
            {"checkpoint": check_checkpoint, "tokenizer": bench_tokenizer, "memory": bench_memory}.get(
                work, lambda *a: bench_model(*a, work))(args, clt, table)
    except KeyboardInterrupt:
        print("interrupted; this is what there is", file=sys.stderr)
    if not table.pairs:
        return
    cpu = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "?") if os.path.exists("/proc/cpuinfo") else "?"
    print(f"{cpu}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {args.rounds} rounds")
    table.show()
    if args.json:
        with open(args.json, "w") as f:
            json.dump(list(table.rows()), f, indent=1)


if __name__ == "__main__":
    main()
