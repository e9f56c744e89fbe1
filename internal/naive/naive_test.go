package naive_test

import (
	"math"
	"testing"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/clt/replacement"
	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/internal/naive"
	"github.com/etredal/cross-layer-transcoder/internal/testbackend"
	"github.com/etredal/cross-layer-transcoder/internal/toy"
)

var prompt = []int32{12, 3, 7, 3, 0, 9}

// maxDiff is the largest difference of two arrays, infinite if they are not of
// one length.
func maxDiff(a, b []float64) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	d := 0.0
	for i := range a {
		if e := math.Abs(a[i] - b[i]); !(e <= d) {
			d = e
		}
	}
	return d
}

func model(t *testing.T, cfg gpt2.Config, seed uint64) (*gpt2.Model, *naive.Model) {
	t.Helper()
	p := toy.RandomModel(cfg, seed)
	m, err := gpt2.New(testbackend.Open(t, "go"), cfg, p, gpt2.LoadOptions{Double: true})
	if err != nil {
		t.Fatal(err)
	}
	return m, toy.NaiveModel(cfg, p)
}

// TestForward compares every hook of gpt2.Forward with the loops; a failure names
// the first hook that differs.
func TestForward(t *testing.T) {
	for _, tied := range []bool{true, false} {
		cfg := toy.RandomConfig()
		cfg.TieEmbeddings = tied
		m, plain := model(t, cfg, 1)
		for _, tokens := range [][]int32{prompt, {5}, {1, 1}, {0, 1, 2, 3, 4, 5, 6, 7}} {
			c, err := m.RunWithCache(tokens, "*")
			if err != nil {
				t.Fatal(err)
			}
			acts := plain.Forward(tokens, nil)
			for _, name := range gpt2.HookNames(cfg.Layers) {
				if d := maxDiff(c.Hooks[name].F64, acts[string(name)]); d > 1e-9 {
					t.Fatalf("tied %v, %v: %s differs by %g", tied, tokens, name, d)
				}
			}
			if d := maxDiff(c.Logits.F64, acts["logits"]); d > 1e-10 {
				t.Errorf("tied %v, %v: logits differ by %g", tied, tokens, d)
			}
		}
	}
}

// TestHooks replaces an activation and freezes others in both.
func TestHooks(t *testing.T) {
	cfg := toy.RandomConfig()
	m, plain := model(t, cfg, 2)
	zero := gpt2.Program{Key: "zero", Hook: toy.ZeroAt(gpt2.ResidMid.At(1))}
	c, err := m.RunProgram(zero, prompt, "*hook_resid_post")
	if err != nil {
		t.Fatal(err)
	}
	acts := plain.Forward(prompt, func(name string, x []float64) []float64 {
		if name == "blocks.1.hook_resid_mid" {
			return make([]float64, len(x))
		}
		return x
	})
	if d := maxDiff(c.Logits.F64, acts["logits"]); d > 1e-10 {
		t.Errorf("logits with a hook differ by %g", d)
	}
}

// TestRows compares the local replacement model and every row of the graph with
// the loops, for every kind of transcoder.
func TestRows(t *testing.T) {
	cfg := toy.RandomConfig()
	m, plain := model(t, cfg, 3)
	for name, kind := range toy.RandomKinds(cfg) {
		t.Run(name, func(t *testing.T) {
			x := toy.RandomCLT(kind, 4)
			r, err := replacement.New(m, x, attribution.Artifact{})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			local, err := r.Localize(prompt)
			if err != nil {
				t.Fatal(err)
			}
			want := naive.Localize(plain, toy.NaiveCLT(x), prompt)
			checkActive(t, local, want)
			g, err := local.Attribute(t.Context(), replacement.DefaultAttributeConfig(), nil)
			if err != nil {
				t.Fatal(err)
			}
			checkRows(t, g, want)
		})
	}
}

func checkActive(t *testing.T, got *replacement.Local, want *naive.Local) {
	t.Helper()
	if len(got.Active) != len(want.Active) || len(want.Active) < 20 {
		t.Fatalf("%d active features, the loops find %d", len(got.Active), len(want.Active))
	}
	for i, w := range want.Active {
		a := got.Active[i]
		if (a.Feature != clt.Feature{Layer: w.Layer, Index: w.Index}) || a.Pos != w.Pos || math.Abs(a.Value-w.Value) > 1e-12 {
			t.Fatalf("active feature %d is %+v, the loops say %+v", i, a, w)
		}
	}
}

func checkRows(t *testing.T, g *attribution.Graph, want *naive.Local) {
	t.Helper()
	n := len(want.Tokens)
	worst, rows := 0.0, 0
	for at, node := range g.Nodes {
		var target naive.Target
		switch node.Kind {
		case attribution.Feature:
			target = naive.Target{Feature: true, Layer: node.Layer, Pos: node.Pos, Index: node.Index}
		case attribution.Logit:
			target = want.LogitTarget(node.Pos, node.Index)
		default:
			continue
		}
		rows++
		r := want.Row(target)
		if d := math.Abs(r.Sum() - r.Value); d > 1e-10 {
			t.Fatalf("%v: the loops' own row misses its value by %g", node.ID, d)
		}
		expect := append(append(append(append(append([]float64{}, r.Features...), r.Errors...), r.Tokens...), r.Positions...), r.Bias)
		got := make([]float64, len(expect))
		for s := range got {
			got[s] = g.Weight(at, s)
		}
		if d := maxDiff(got, expect); d > 1e-10 {
			t.Fatalf("row of %v (%d features, %d tokens) differs by %g", node.ID, len(r.Features), n, d)
		} else {
			worst = max(worst, d)
		}
	}
	if rows < 20 {
		t.Errorf("only %d rows were compared", rows)
	}
	t.Logf("%d rows of %d features: worst difference %.2g", rows, len(want.Active), worst)
}

// TestLocalIsExact: unedited, the live local replacement model is the clean run.
func TestLocalIsExact(t *testing.T) {
	cfg := toy.RandomConfig()
	for name, kind := range toy.RandomKinds(cfg) {
		plain := toy.NaiveModel(cfg, toy.RandomModel(cfg, 5))
		l := naive.Localize(plain, toy.NaiveCLT(toy.RandomCLT(kind, 6)), prompt)
		acts := l.Run(nil)
		for hook, x := range l.Clean {
			if d := maxDiff(acts[hook], x); d > 1e-9 {
				t.Errorf("%s: %s differs by %g", name, hook, d)
			}
		}
	}
}
