"""Times attribution, interventions and pruning of clt beside circuit-tracer in turns, on GPT-2 small's shape with random
weights and a random cross-layer transcoder of 1,024 features a layer, about 40 of which are active on a token.

Both do the same work: all active features and top logits are targets, batches of 64, float32, two threads. circuit-tracer
runs in a process of its own, so that peak memory is its own. The share of the GEMM peak counts the work that is needed.
"""
import argparse
import json
import os
import resource
import statistics
import subprocess
import sys

from peers import best

GOALS = {"attribution": 0.2, "attribution memory": 0.5, "intervention": 0.2, "prune": 0.04, "prune memory": 1.5, "share": {"xla": 50, "go": 35}}
LAYERS, WIDTH, VOCAB, FEATURES, ACTIVE, BATCH, DENSITY = 12, 768, 50257, 1024, 40, 64, 0.1


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--clt", default="bin/clt")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--reps", type=int, default=2, help="calls of each side in a round, the best of which counts")
    p.add_argument("--backends", default="go,xla:cpu")
    p.add_argument("--tokens", default="16,32")
    p.add_argument("--nodes", default="2000,5000,10000", help="sizes of the graphs that are pruned")
    p.add_argument("--only", default="attribution,intervention,prune")
    p.add_argument("--json", help="file for all numbers")
    p.add_argument("--peer", nargs=2, metavar=("WORK", "SIZE"), help=argparse.SUPPRESS)
    return p.parse_args()


def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


class Ids:
    """A tokenizer for prompts that are ids: circuit-tracer asks for its special tokens alone."""

    vocab_size = VOCAB
    bos_token_id = eos_token_id = pad_token_id = VOCAB - 1
    all_special_ids, padding_side = [VOCAB - 1], "right"

    def decode(self, ids, **_):
        return " ".join(map(str, ids if hasattr(ids, "__iter__") else [ids]))


def replacement_model(torch):
    import transformer_lens as tl
    from circuit_tracer.replacement_model.replacement_model_transformerlens import TransformerLensReplacementModel
    from circuit_tracer.transcoder.cross_layer_transcoder import CrossLayerTranscoder

    torch.manual_seed(1)
    config = tl.HookedTransformerConfig(n_layers=LAYERS, d_model=WIDTH, n_ctx=1024, d_head=64, n_heads=12, d_mlp=4 * WIDTH,
                                        d_vocab=VOCAB, act_fn="gelu_new", normalization_type="LN", device="cpu", model_name="gpt2")
    clt = CrossLayerTranscoder(LAYERS, FEATURES, WIDTH, activation_function="jump_relu", lazy_decoder=False, dtype=torch.float32,
                               device=torch.device("cpu"))
    with torch.no_grad():
        clt.W_enc.normal_(0, WIDTH ** -0.5)
        for w in clt.W_dec:
            w.normal_(0, 0.01)
    model = TransformerLensReplacementModel.from_config(config, clt)
    model.tokenizer = Ids()
    return model


def calibrate(torch, model, ids):
    """Sets each layer's threshold so that ACTIVE features are active on a token, over all layers."""
    acts = model.transcoders
    _, cache = model.run_with_cache(ids[None], names_filter=lambda n: n.endswith(model.feature_input_hook))
    for layer in range(LAYERS):
        pre = cache[f"blocks.{layer}.{model.feature_input_hook}"][0] @ acts.W_enc[layer].T + acts.b_enc[layer]
        keep = round(ACTIVE / LAYERS * (len(ids) - 1))
        acts.activation_function.threshold.data[layer] = pre[1:].flatten().topk(keep + 1).values[-1]


def peer_model(work, size):
    import torch
    from circuit_tracer.attribution.attribute import attribute

    torch.set_num_threads(2)
    ids = torch.cat([torch.tensor([VOCAB - 1]), (torch.arange(size - 1) * 7919 + 13).remainder(VOCAB - 1)])
    model = replacement_model(torch)
    with torch.no_grad():
        calibrate(torch, model, ids)
    if work == "attribution":
        graph = attribute(ids, model, batch_size=BATCH)
        return {"active": len(graph.active_features)}, lambda: attribute(ids, model, batch_size=BATCH)
    with torch.no_grad():
        _, acts = model.get_activations(ids, sparse=True)
    layer, pos, index = acts.coalesce().indices()[:, acts._nnz() // 2].tolist()
    value = -acts.coalesce().values()[acts._nnz() // 2].item()
    edit = [(layer, pos, index, value)]
    call = lambda: model.feature_intervention(ids, edit, constrained_layers=range(LAYERS))
    return {"active": acts._nnz()}, call


def random_graph(torch, size):
    """A dense matrix of which one causal edge in ten is there."""
    from circuit_tracer.graph import Graph

    positions, logits = 16, 10
    features = size - LAYERS * positions - positions - logits
    g = torch.Generator().manual_seed(size)
    layer = torch.arange(features) * LAYERS // features
    a = torch.zeros(size, size)
    for t in list(range(features)) + list(range(size - logits, size)):
        top = layer[t].item() if t < features else LAYERS
        row = torch.where(torch.rand(size, generator=g) < DENSITY, torch.randn(size, generator=g), torch.zeros(size))
        row[:features][layer >= top] = 0
        row[features + top * positions:features + LAYERS * positions] = 0
        row[size - logits:] = 0
        a[t] = row
    from transformer_lens import HookedTransformerConfig
    cfg = HookedTransformerConfig(n_layers=LAYERS, d_model=WIDTH, n_ctx=64, d_head=64, n_heads=12, d_vocab=VOCAB, act_fn="gelu_new")
    active = torch.stack([layer, torch.arange(features) % positions, torch.arange(features)], 1)
    from circuit_tracer.attribution.targets import LogitTarget
    return Graph(input_string="", input_tokens=torch.arange(positions), active_features=active, adjacency_matrix=a, cfg=cfg,
                 selected_features=torch.arange(features), activation_values=torch.ones(features),
                 logit_targets=[LogitTarget(token_str=str(i), vocab_idx=i) for i in range(logits)], logit_probabilities=torch.full((logits,), 0.1), scan="random")


def peer_prune(size):
    import torch
    from circuit_tracer.graph import prune_graph

    torch.set_num_threads(2)
    graph = random_graph(torch, size)
    return {"nodes": size}, lambda: prune_graph(graph)


def peer(args):
    """One size in this process: seconds and peak memory as JSON."""
    work, size = args.peer[0], int(args.peer[1])
    info, call = peer_prune(size) if work == "prune" else peer_model(work, size)
    before = peak_mb()
    call()
    print(json.dumps({**info, "min_s": best(args.reps, call), "peak_rss_mb": peak_mb(), "base_mb": before}))


def run_json(command):
    r = subprocess.run(command, capture_output=True, text=True)
    if r.returncode:
        sys.exit(f"{' '.join(command[:4])}: {(r.stderr.strip().splitlines() or ['no answer'])[-1]}")
    return [json.loads(line) for line in r.stdout.splitlines() if line.startswith("{")]


def theirs(args, work, size):
    return run_json([sys.executable, __file__, "--reps", str(args.reps), "--peer", work, str(size)])[-1]


def ours(args, work, size, backend):
    flags = ["-nodes" if work == "prune" else "-tokens", str(size)]
    return run_json([args.clt, "bench", work, "-json", "-backend", backend, "-reps", str(args.reps), "-features", str(FEATURES), *flags])[-1]


def rows(args):
    """Every comparison: its rounds in turns, the median of the ratios, and the goal."""
    for work in args.only.split(","):
        for size in [int(n) for n in (args.nodes if work == "prune" else args.tokens).split(",")]:
            for backend in ["go"] if work == "prune" else args.backends.split(","):
                pairs = [(ours(args, work, size, backend), theirs(args, work, size)) for _ in range(args.rounds)]
                yield row(work, size, backend, "s", GOALS[work], pairs, "min_s")
                if work == "attribution":
                    yield row(work + " memory", size, backend, "MB", GOALS["attribution memory"], pairs, "peak_rss_mb")
                    share = statistics.median(a["pct_gemm"] for a, _ in pairs)
                    goal = GOALS["share"][backend.split(":")[0]]
                    yield {"work": "share of GEMM", "size": size, "backend": backend, "unit": "%", "ours": share, "theirs": None, "ratio": None,
                           "goal": goal, "met": share >= goal, "active": pairs[0][0]["active"], "theirs_active": pairs[0][1]["active"]}
                if work == "prune":
                    matrix = 4e-6 * size * size
                    extra = statistics.median(a["work_mb"] for a, _ in pairs)
                    yield {"work": "prune memory", "size": size, "backend": backend, "unit": "MB", "ours": matrix + extra,
                           "theirs": statistics.median(b["peak_rss_mb"] - b["base_mb"] for _, b in pairs) + matrix, "ratio": (matrix + extra) / matrix,
                           "goal": GOALS["prune memory"], "met": (matrix + extra) / matrix <= GOALS["prune memory"]}


def row(work, size, backend, unit, goal, pairs, key):
    a, b = min(p[0][key] for p in pairs), min(p[1][key] for p in pairs)
    ratio = statistics.median(p[0][key] / p[1][key] for p in pairs)
    return {"work": work, "size": size, "backend": backend, "unit": unit, "ours": a, "theirs": b, "ratio": ratio, "goal": goal, "met": ratio <= goal}


def show(r):
    verdict = "met" if r["met"] else "MISSED"
    number = lambda v: "" if v is None else f"{v:.0f} {r['unit']}" if r["unit"] != "s" else f"{1e3 * v:.0f} ms"
    ratio = "" if r["ratio"] is None else f"{r['ratio']:.3f}"
    sign = ">=" if r["unit"] == "%" else "<="
    print(f"{r['work']:18} {r['size']:>6}  {r['backend']:8} {number(r['ours']):>10}  {number(r['theirs']):>10}  {ratio:>7}  {sign} {r['goal']:g}  {verdict}", flush=True)


def main():
    args = arguments()
    if args.peer:
        peer(args)
        return
    print(f"attribution beside circuit-tracer; load {os.getloadavg()[0]:.1f}, {args.rounds} rounds of {args.reps} calls")
    print(f"{'work':18} {'size':>6}  {'ours':8} {'':>10}  {'theirs':>10}  {'ratio':>7}  goal")
    done = []
    try:
        for r in rows(args):
            show(r)
            done.append(r)
    except KeyboardInterrupt:
        print("interrupted; this is what there is", file=sys.stderr)
    if args.json and done:
        with open(args.json, "w") as f:
            json.dump(done, f, indent=1)


if __name__ == "__main__":
    main()
