package replacement

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"testing"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/internal/toy"
)

// The tests of this file are the invariants 24 to 38 of the method: the attribution
// graph of random models. 27 is TestColumnsByPerturbation, 31 and 32 stand beside
// global weights and heads.

func TestInvariant24Nodes(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		g := graphOf(t, c.Local)
		active := 0
		for _, act := range c.plain.Act {
			for _, v := range act {
				if v != 0 {
					active++
				}
			}
		}
		tokens, logits := len(c.Tokens), g.Count(attribution.Logit)
		if n := active + 3*tokens + 2*tokens + 1 + logits; g.Count(attribution.Feature) != active || len(g.Nodes) != n || g.Settings.Active != active {
			t.Errorf("%d features of %d active, %d nodes, want %d", g.Count(attribution.Feature), active, len(g.Nodes), n)
		}
		if !slices.IsSortedFunc(c.Active, func(a, b Active) int {
			return cmp.Or(cmp.Compare(a.Layer, b.Layer), cmp.Compare(a.Pos, b.Pos), cmp.Compare(a.Index, b.Index))
		}) {
			t.Error("features are not in order")
		}
		if err := g.Validate(); err != nil {
			t.Error(err)
		}
	})
}

// TestInvariant25FeatureRows and 26: rows add up to pre-activations and to centred
// logits, which come from the oracle. Bias columns, whose attention part does not
// depend on the pattern (23), are compared with it in the package of the oracle.
func TestInvariant25FeatureRows(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		checkRowSums(t, c, graphOf(t, c.Local), attribution.Feature, func(n attribution.Node) float64 {
			return c.plain.Pre[n.Layer][n.Pos*c.CLT.Features+n.Index]
		})
	})
}

func TestInvariant26LogitRows(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		checkRowSums(t, c, graphOf(t, c.Local), attribution.Logit, func(n attribution.Node) float64 {
			row, mean := c.plain.Clean["logits"][n.Pos*13:(n.Pos+1)*13], 0.0
			for _, v := range row {
				mean += v / 13
			}
			return row[n.Index] - mean
		})
	})
}

func checkRowSums(t *testing.T, c randomCase, g *attribution.Graph, kind attribution.Kind, value func(attribution.Node) float64) {
	t.Helper()
	rows := 0
	for i, n := range g.Nodes {
		if n.Kind != kind {
			continue
		}
		rows++
		sum := 0.0
		for s := range g.Nodes {
			sum += g.Weight(i, s)
		}
		if want := value(n); math.Abs(sum-want) > 1e-11 || math.Abs(n.Preactivation-want) > 1e-11 {
			t.Fatalf("row of %v adds up to %.12g, its value is %.12g and was stored as %.12g", n.ID, sum, want, n.Preactivation)
		}
	}
	if rows == 0 {
		t.Error("there are no such rows")
	}
}

func TestInvariant28ZeroPattern(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		g := graphOf(t, c.Local, append(c.TopTargets(3, 1), Target{Prob: 1, Demean: true, Tokens: []Weighted{{4, 1}}, Pos: 3})...)
		full := 0
		for at, n := range g.Nodes {
			for s, m := range g.Nodes {
				w := g.Weight(at, s)
				switch {
				case n.Kind != attribution.Feature && n.Kind != attribution.Logit, m.Kind == attribution.Logit,
					m.Kind != attribution.Bias && m.Pos > n.Pos,
					n.Kind == attribution.Feature && (m.Kind == attribution.Feature || m.Kind == attribution.Error) && m.Layer >= n.Layer:
					if w != 0 {
						t.Fatalf("edge %v -> %v is %g, it cannot be", m.ID, n.ID, w)
					}
				case w != 0:
					full++
				}
			}
		}
		if full < 500 {
			t.Errorf("only %d edges", full)
		}
	})
}

// TestInvariant29BatchSizes: batches of 1, 7 and 64 give the same matrix.
func TestInvariant29BatchSizes(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		want := graphOf(t, c.Local)
		for _, batch := range []int{1, 7} {
			cfg := DefaultAttributeConfig()
			cfg.Batch = batch
			g, err := c.Attribute(t.Context(), cfg, nil)
			if err != nil {
				t.Fatal(err)
			}
			if d, at := maxDiff(func(i int) float64 { return g.Weights.F64[i] }, want.Weights.F64); d > 1e-12 {
				t.Errorf("batch %d: entry %d differs by %g", batch, at, d)
			}
		}
	})
}

// TestCapKeepsRows: with a cap the rows of the features that are kept are those of
// the whole graph, as many as the cap says, the same in every run.
func TestCapKeepsRows(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		whole := graphOf(t, c.Local)
		cfg := DefaultAttributeConfig()
		cfg.MaxFeatures, cfg.Batch = 12, 2
		g, err := c.Attribute(t.Context(), cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		again, err := c.Attribute(t.Context(), cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		if d := attribution.Compare(g, again, 0); !d.Same() || g.Count(attribution.Feature) != 12 {
			t.Fatalf("%d features are kept, two runs differ: %v", g.Count(attribution.Feature), !d.Same())
		}
		for at, n := range g.Nodes {
			if !n.Kind.IsTarget() {
				continue
			}
			for s, m := range g.Nodes {
				if m.Kind == attribution.Error {
					continue // what is beyond the cap is added here
				}
				w := whole.Weight(whole.Find(n.ID), whole.Find(m.ID))
				if math.Abs(g.Weight(at, s)-w) > 1e-12 {
					t.Fatalf("edge %v -> %v is %.12g with a cap, %.12g without", m.ID, n.ID, g.Weight(at, s), w)
				}
			}
		}
		checkRowSums(t, c, g, attribution.Feature, func(n attribution.Node) float64 { return c.plain.Pre[n.Layer][n.Pos*c.CLT.Features+n.Index] })
	})
}

// TestInvariant30Prefix: other tokens later change no node and no edge before them.
func TestInvariant30Prefix(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		a := graphOf(t, c.Local)
		b := graphOf(t, localized(t, c.Model, append(slices.Clone(c.Tokens[:4]), 11, 1, 8)))
		early := func(g *attribution.Graph) (ids []attribution.ID) {
			for _, n := range g.Nodes {
				if n.Kind != attribution.Logit && n.Pos < 4 {
					ids = append(ids, n.ID)
				}
			}
			return ids
		}
		ids := early(a)
		if !slices.Equal(ids, early(b)) || len(ids) < 30 {
			t.Fatalf("%d early nodes in one graph, %d in the other", len(ids), len(early(b)))
		}
		for _, at := range ids {
			for _, s := range ids {
				x, y := a.Weight(a.Find(at), a.Find(s)), b.Weight(b.Find(at), b.Find(s))
				if math.Abs(x-y) > 1e-12 {
					t.Fatalf("edge %v -> %v is %.12g before some tokens and %.12g before others", s, at, x, y)
				}
			}
		}
	})
}

// TestInvariant33LogitCentring: over the whole vocabulary the rows add up to
// nothing, and a vector added to every unembedding changes no row.
func TestInvariant33LogitCentring(t *testing.T) {
	cfg := toy.RandomConfig()
	cfg.TieEmbeddings = false
	kind := toy.RandomKinds(cfg)["jumprelu mlp.hook_in"]
	params, x := toy.RandomModel(cfg, 8), toy.RandomCLT(kind, 9)
	every := func(l *Local) (list []Target) {
		for id := range int32(cfg.DVocab) {
			list = append(list, l.tokenTarget(id, 1.0/13, len(l.Tokens)-1))
		}
		return list
	}
	local := localized(t, joined(t, cfg, params, x), randomPrompt)
	g := graphOf(t, local, every(local)...)
	for s, n := range g.Nodes {
		sum := 0.0
		for at, m := range g.Nodes {
			if m.Kind == attribution.Logit {
				sum += g.Weight(at, s)
			}
		}
		if math.Abs(sum) > 1e-11 {
			t.Errorf("edges from %v to all tokens add up to %g", n.ID, sum)
		}
	}
	for i := range params["lm_head.weight"].F64 {
		params["lm_head.weight"].F64[i] += float64(i%cfg.DModel) - 2.5
	}
	shifted := localized(t, joined(t, cfg, params, x), randomPrompt)
	h := graphOf(t, shifted, every(shifted)...)
	if d, at := maxDiff(func(i int) float64 { return h.Weights.F64[i] }, g.Weights.F64); d > 1e-10 || len(g.Nodes) != len(h.Nodes) {
		t.Errorf("a vector added to all unembeddings changes entry %d by %g", at, d)
	}
}

// TestInvariant34LogitSet: the fewest tokens that reach the mass, at most n, by
// descending probability.
func TestInvariant34LogitSet(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		row := c.plain.Clean["logits"][5*13:]
		probs, total := make([]float64, 13), 0.0
		for i, v := range row {
			probs[i] = math.Exp(v)
			total += probs[i]
		}
		for i := range probs {
			probs[i] /= total
		}
		sorted := slices.Clone(probs)
		slices.SortFunc(sorted, func(a, b float64) int { return cmp.Compare(b, a) })
		for _, want := range []struct {
			n    int
			mass float64
		}{{10, 0.95}, {10, 0.5}, {3, 1}, {13, 1}, {1, 0.01}} {
			k, sum := 0, 0.0
			for k < want.n && sum < want.mass && k < 13 {
				sum += sorted[k]
				k++
			}
			list := c.TopTargets(want.n, want.mass)
			if len(list) != k && !(want.mass == 1 && len(list) == min(want.n, 13)) {
				t.Errorf("%+v: %d targets, want %d", want, len(list), k)
			}
			for i, target := range list {
				if p := probs[target.Tokens[0].ID]; math.Abs(target.Prob-p) > 1e-12 || math.Abs(p-sorted[i]) > 1e-12 || !target.Demean {
					t.Errorf("%+v: target %d is %+v, probability %g, rank %d has %g", want, i, target, p, i, sorted[i])
				}
			}
		}
	})
}

// TestInvariant38Targets: rows are linear in the target: a difference is the
// difference of two rows, and a feature as target has the feature's own row.
func TestInvariant38Targets(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		token := func(id int32, demean bool, pos int) Target {
			return Target{Prob: 1, Tokens: []Weighted{{id, 1}}, Demean: demean, Pos: pos}
		}
		a := c.Active[len(c.Active)-1]
		targets := []Target{token(3, true, 4), token(5, true, 4), {Prob: 1, Tokens: []Weighted{{3, 1}, {5, -1}}, Pos: 4},
			{Prob: 1, Tokens: []Weighted{{3, 2}, {5, 0.5}}, Pos: 4}, token(3, false, 4), token(5, false, 4), {Prob: 1, Feature: &a.Feature, Pos: a.Pos}}
		g := graphOf(t, c.Local, targets...)
		first := len(g.Nodes) - len(targets)
		for s := range g.Nodes {
			w := func(i int) float64 { return g.Weight(first+i, s) }
			if d := w(0) - w(1) - w(2); math.Abs(d) > 1e-11 {
				t.Fatalf("difference of two logits misses the difference of their rows by %g", d)
			}
			if d := 2*w(4) + 0.5*w(5) - w(3); math.Abs(d) > 1e-11 {
				t.Fatalf("row of a sum misses the sum of rows by %g", d)
			}
			if d := w(6) - g.Weight(len(c.Active)-1, s); math.Abs(d) > 1e-12 {
				t.Fatalf("a feature as target misses its own row by %g", d)
			}
		}
	})
}

// TestTargetForms: a token by text, by id and as part of a difference is the same
// target.
func TestTargetForms(t *testing.T) {
	local := toyLocal(t, toy.Circuits()[0])
	a, err1 := local.ParseTarget("6")
	b, err2 := local.ParseTarget("6@2")
	d, err3 := local.ParseTarget("6-2@1")
	f, err4 := local.ParseTarget("feature:0/1@2")
	if err1 != nil || err2 != nil || err3 != nil || err4 != nil {
		t.Fatal(err1, err2, err3, err4)
	}
	if a.Tokens[0] != b.Tokens[0] || a.Pos != 2 || b.Pos != 2 || len(d.Tokens) != 2 || d.Tokens[1].Scale != -1 || d.Pos != 1 || *f.Feature != (clt.Feature{Layer: 0, Index: 1}) {
		t.Errorf("targets %+v, %+v, %+v, %+v", a, b, d, f)
	}
	for _, bad := range []string{"", "7", "6@3", "feature:1/0@1", "feature:0/2", "feature:x", "6-99"} {
		if got, err := local.ParseTarget(bad); err == nil {
			t.Errorf("target %q was taken as %+v", bad, got)
		}
	}
}

// TestFrozenRowsIgnoreTokens: with patterns and divisors at hand the tokens
// themselves change no row: nothing else of the clean run is read.
func TestFrozenRowsIgnoreTokens(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		want := graphOf(t, c.Local)
		other := c.copied()
		other.Tokens = []int32{12, 8, 1, 10, 11, 2}
		got := graphOf(t, other)
		if d, at := maxDiff(func(i int) float64 { return got.Weights.F64[i] }, want.Weights.F64); d > 1e-12 {
			t.Errorf("entry %d differs by %g", at, d)
		}
	})
}

// TestSameBytes: two runs, from localizing to the file, give the same bytes.
func TestSameBytes(t *testing.T) {
	kind := toy.RandomKinds(toy.RandomConfig())["jumprelu mlp.hook_in"]
	var files [2]bytes.Buffer
	for i := range files {
		m := joined(t, toy.RandomConfig(), toy.RandomModel(toy.RandomConfig(), 3), toy.RandomCLT(kind, 4))
		g := graphOf(t, localized(t, m, randomPrompt))
		pruned, err := g.Prune(attribution.DefaultPruneConfig())
		if err == nil {
			err = attribution.WriteSafetensors(&files[i], g)
		}
		if err == nil {
			err = attribution.WriteJSON(&files[i], pruned, attribution.View{})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(files[0].Bytes(), files[1].Bytes()) || files[0].Len() < 1000 {
		t.Error("two runs give different bytes")
	}
}
