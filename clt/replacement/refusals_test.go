package replacement

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/internal/testbackend"
	"github.com/etredal/cross-layer-transcoder/internal/toy"
)

// TestPromptEdgeCases: prompts and transcoders with next to nothing make graphs.
func TestPromptEdgeCases(t *testing.T) {
	cfg := toy.RandomConfig()
	for _, name := range []string{"relu hook_resid_mid", "jumprelu mlp.hook_in", "topk ln2.hook_normalized"} {
		kind := toy.RandomKinds(cfg)[name]
		x := toy.RandomCLT(kind, 4)
		m := joined(t, cfg, toy.RandomModel(cfg, 3), x)
		for _, prompt := range [][]int32{{12}, {3}, {12, 5, 5, 5, 5}, {12, 0, 1, 2, 3, 4, 5, 6}} {
			g := graphOf(t, localized(t, m, prompt))
			if err := g.Validate(); err != nil {
				t.Errorf("%s %v: %v", name, prompt, err)
			}
			if n := g.Count(attribution.Feature); len(prompt) == 1 && n != 0 {
				t.Errorf("%s: %d features at position 0", name, n)
			}
			if _, err := g.Prune(attribution.DefaultPruneConfig()); err != nil {
				t.Errorf("%s %v: %v", name, prompt, err)
			}
		}
		if _, err := m.Localize(make([]int32, cfg.Context+1)); err == nil || !strings.Contains(err.Error(), "context") {
			t.Errorf("a prompt beyond the context: %v", err)
		}
		if _, err := m.Localize(nil); err == nil {
			t.Error("an empty prompt was accepted")
		}
	}
	// Nothing active anywhere, then nothing at the last position alone.
	kind := toy.RandomKinds(cfg)["relu hook_resid_mid"]
	x := toy.RandomCLT(kind, 4)
	for l := range x.Layers {
		for f := range x.BEnc[l] {
			x.BEnc[l][f] = -1e4
		}
	}
	silent := localized(t, joined(t, cfg, toy.RandomModel(cfg, 3), x), randomPrompt)
	g := graphOf(t, silent)
	if s := g.Score(); len(silent.Active) != 0 || g.Count(attribution.Feature) != 0 || math.IsNaN(s.Replacement) {
		t.Errorf("without features: %d nodes, %+v", len(g.Nodes), s)
	}
	some := localized(t, joined(t, cfg, toy.RandomModel(cfg, 3), toy.RandomCLT(kind, 4)), randomPrompt)
	unlikely := Target{Prob: 0, Demean: true, Tokens: []Weighted{{7, 1}}, Pos: 5}
	if g := graphOf(t, some, unlikely); g.Nodes[len(g.Nodes)-1].Prob != 0 {
		t.Errorf("a target of probability 0 has %g", g.Nodes[len(g.Nodes)-1].Prob)
	}
	twice := AttributeConfig{Batch: 1, Interval: 1, Targets: []Target{some.tokenTarget(3, 1, -1), some.tokenTarget(3, .5, 5)}}
	if _, err := some.Attribute(t.Context(), twice, nil); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("a target twice: %v", err)
	}
	for _, bad := range []AttributeConfig{{}, {Batch: 1, MaxLogits: 1, LogitProb: 2}, {Batch: 1, MaxLogits: 1, LogitProb: 1, MaxFeatures: -1}, {Batch: 1, MaxLogits: 1, LogitProb: 1, Compat: "x"},
		{Batch: 1, Targets: []Target{{Pos: 9, Tokens: []Weighted{{1, 1}}}}}, {Batch: 1, Targets: []Target{{Tokens: []Weighted{{13, 1}}}}}} {
		if _, err := some.Attribute(t.Context(), bad, nil); err == nil {
			t.Errorf("%+v was accepted", bad)
		}
	}
}

// TestInactiveLastPosition: with no feature active at the last position there is
// still a whole graph, whose logits hang on errors, tokens, positions and on
// features of earlier positions; all else works on it too.
func TestInactiveLastPosition(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		x := *c.CLT
		x.Activation, x.K, x.Threshold = clt.ActJumpReLU, 0, nil
		last := len(c.Tokens) - 1
		for l := range x.Layers {
			theta := make([]float32, x.Features)
			for f := range theta { // above what is there at the last position
				theta[f] = float32(max(0.05, c.pre[l].At(last*x.Features+f)+0.05))
			}
			x.Threshold = append(x.Threshold, theta)
		}
		m, err := New(c.LM, &x, attribution.Artifact{Name: "silent"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(m.Close)
		local := localized(t, m, c.Tokens)
		g := graphOf(t, local)
		if err := g.Validate(); err != nil {
			t.Fatal(err)
		}
		if e, _ := g.CheckRows(); !(e >= 0 && e < 1e-10) {
			t.Errorf("a row misses its value by %g", e)
		}
		for _, n := range g.Nodes {
			if n.Kind == attribution.Feature && n.Pos == last {
				t.Errorf("%v is active", n.ID)
			}
		}
		top := g.TopTarget()
		incoming, kinds := 0, map[attribution.Kind]bool{}
		for s, n := range g.Nodes {
			if g.Weight(top, s) != 0 {
				incoming++
				kinds[n.Kind] = true
			}
		}
		if len(local.Active) == 0 || !kinds[attribution.Feature] || !kinds[attribution.Error] || !kinds[attribution.Token] || !kinds[attribution.Position] {
			t.Errorf("%d features are active; the top logit has %d edges from %v", len(local.Active), incoming, kinds)
		}
		checkEverything(t, local, g)
	})
}

// TestNextToNothing: a prompt of one token and one without active features take
// every question without a fault.
func TestNextToNothing(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		one := localized(t, c.Model, []int32{12})
		checkEverything(t, one, graphOf(t, one))
	})
	onRandom(t, func(_ gpt2.Params, x *clt.Transcoder) {
		for l := range x.Layers {
			for f := range x.BEnc[l] {
				x.BEnc[l][f] = -1e4
			}
		}
	}, func(t *testing.T, c randomCase) {
		if len(c.Active) > 0 {
			t.Fatalf("%d features are active", len(c.Active))
		}
		checkEverything(t, c.Local, graphOf(t, c.Local))
		if p, err := c.Predict(t.Context(), graphOf(t, c.Local), []Edit{SetTo(clt.Feature{Index: 2}, 2, 1)}); err != nil || len(p.Crossing) > 0 {
			t.Errorf("switching one on: %v", err)
		}
	})
}

// checkEverything asks a prompt all there is to ask.
func checkEverything(t *testing.T, l *Local, g *attribution.Graph) {
	t.Helper()
	if s := g.Score(); math.IsNaN(s.Replacement + s.Completeness + s.CompletenessCT + s.PathLength) {
		t.Errorf("score %+v", s)
	}
	for _, share := range []float64{0, 0.8, 1} {
		p, err := g.Prune(attribution.PruneConfig{Node: share, Edge: share, Fold: true})
		if err != nil {
			t.Fatalf("prune at %g: %v", share, err)
		}
		if p.Caption() == "" {
			t.Error("no caption")
		}
	}
	if _, err := g.TotalEffects(g.TopTarget()); err != nil {
		t.Errorf("total effects: %v", err)
	}
	if _, err := g.SuggestGroups(); err != nil {
		t.Errorf("groups: %v", err)
	}
	if _, err := l.Heads(t.Context(), l.TopTargets(1, 1)...); err != nil {
		t.Errorf("heads: %v", err)
	}
	if a, err := l.AttributeScore(t.Context(), 1, 1, len(l.Tokens)-1, 0); err != nil || len(a.Top(3)) == 0 {
		t.Errorf("score of a head: %v", err)
	}
	for _, mode := range []string{Constrained, Iterative, Live} {
		cfg := l.everythingFrozen()
		cfg.Mode = mode
		if e := intervened(t, l, cfg); maxOf(e.KL()) > 1e-10 {
			t.Errorf("%s without edits has a divergence of %g", mode, e.KL())
		}
	}
	if p, err := l.Predict(t.Context(), g, nil); err != nil || len(p.Crossing) > 0 {
		t.Errorf("prediction of nothing: %v", err)
	}
	if _, err := l.DirectEffects(t.Context(), l.TopTargets(1, 1), nil); err != nil {
		t.Errorf("direct effects of nothing: %v", err)
	}
}

// TestBudget: a graph beyond the budget is refused before it is made, with the
// number of features that fit, and that number fits.
func TestBudget(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		cfg := DefaultAttributeConfig()
		cfg.MaxLogits, cfg.LogitProb, cfg.MaxBytes = 3, 1, 8*70*70
		_, err := c.Attribute(t.Context(), cfg, nil)
		if err == nil {
			t.Fatalf("a graph of %d features was made", len(c.Active))
		}
		at := strings.Index(err.Error(), "cap the features at ")
		if at < 0 || !strings.Contains(err.Error(), "the budget is 0.0 MiB") {
			t.Fatal(err)
		}
		if _, err := fmt.Sscanf(err.Error()[at:], "cap the features at %d", &cfg.MaxFeatures); err != nil {
			t.Fatal(err)
		}
		for cfg.MaxFeatures > 1 { // the rows of a capped graph count too
			if _, err = c.Attribute(t.Context(), cfg, nil); err == nil {
				return
			}
			cfg.MaxFeatures /= 2
		}
		t.Errorf("no cap is small enough: %v", err)
	})
	if err := (AttributeConfig{Batch: 1, Interval: 1, MaxLogits: 1, LogitProb: 1, MaxBytes: -1}).Validate(); err == nil {
		t.Error("a negative budget was accepted")
	}
}

// TestRefusedTranscoders: another width, number of layers or read point is refused.
func TestRefusedTranscoders(t *testing.T) {
	cfg := toy.RandomConfig()
	lm, err := gpt2.New(testbackend.Open(t, "go"), cfg, toy.RandomModel(cfg, 3), gpt2.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	kind := toy.RandomKinds(cfg)["relu hook_resid_mid"]
	for want, change := range map[string]func(*clt.Config){
		"2 layers of width 8":                      func(c *clt.Config) { c.Layers = 2 },
		"3 layers of width 6":                      func(c *clt.Config) { c.DModel = 6 },
		`input_hook is "hook_mlp_in"`:              func(c *clt.Config) { c.Read = "hook_mlp_in" },
		`input_hook is "hook_attn_out"`:            func(c *clt.Config) { c.Read = gpt2.AttnOut },
		"must be one of [mlp.hook_in ln2.hook_nor": func(c *clt.Config) { c.Read = "" },
	} {
		other := kind
		change(&other)
		if _, err := New(lm, toy.RandomCLT(other, 1), attribution.Artifact{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}
