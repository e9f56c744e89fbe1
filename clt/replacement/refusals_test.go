package replacement

import (
	"math"
	"slices"
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
	last := some.copied()
	last.Active = slices.DeleteFunc(slices.Clone(some.Active), func(a Active) bool { return a.Pos == 5 })
	if b, err := last.newBuilder(DefaultAttributeConfig()); err != nil || len(b.feature) != len(last.Active) {
		t.Errorf("without features at the last position: %v", err)
	}
	unlikely := Target{Prob: 0, Demean: true, Tokens: []Weighted{{7, 1}}, Pos: 5}
	if g := graphOf(t, some, unlikely); g.Nodes[len(g.Nodes)-1].Prob != 0 {
		t.Errorf("a target of probability 0 has %g", g.Nodes[len(g.Nodes)-1].Prob)
	}
	for _, bad := range []AttributeConfig{{}, {Batch: 1, MaxLogits: 1, LogitProb: 2}, {Batch: 1, MaxLogits: 1, LogitProb: 1, MaxFeatures: -1}, {Batch: 1, MaxLogits: 1, LogitProb: 1, Compat: "x"},
		{Batch: 1, Targets: []Target{{Pos: 9, Tokens: []Weighted{{1, 1}}}}}, {Batch: 1, Targets: []Target{{Tokens: []Weighted{{13, 1}}}}}} {
		if _, err := some.Attribute(t.Context(), bad, nil); err == nil {
			t.Errorf("%+v was accepted", bad)
		}
	}
}

// TestRefusedTranscoders: another width or number of layers is refused.
func TestRefusedTranscoders(t *testing.T) {
	cfg := toy.RandomConfig()
	lm, err := gpt2.New(testbackend.Open(t, "go"), cfg, toy.RandomModel(cfg, 3), gpt2.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	kind := toy.RandomKinds(cfg)["relu hook_resid_mid"]
	for _, change := range []func(*clt.Config){func(c *clt.Config) { c.Layers = 2 }, func(c *clt.Config) { c.DModel = 6 }} {
		other := kind
		change(&other)
		if _, err := New(lm, toy.RandomCLT(other, 1), attribution.Artifact{}); err == nil {
			t.Errorf("%+v was accepted", other)
		}
	}
}
