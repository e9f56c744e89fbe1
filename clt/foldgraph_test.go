package clt_test

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

// unfolded is a transcoder that works on scaled activations, in plain loops: what
// it reads is scaled before the encoder, what it decodes is scaled back.
type unfolded struct {
	*naive.CLT
	*naive.Model
	stats  *clt.Stats
	tokens []int32
	clean  naive.Acts
	act    [][]float64 // layer -> [T, F], position 0 zero
	errors [][]float64 // layer -> [T, d]
}

func newUnfolded(m *naive.Model, c *naive.CLT, s *clt.Stats, tokens []int32) *unfolded {
	u := &unfolded{CLT: c, Model: m, stats: s, tokens: tokens, clean: m.Forward(tokens, nil)}
	for l := range c.Layers {
		_, act := c.Encode(l, u.scaled(l, u.clean[naive.At(l, c.Read)]))
		clear(act[:c.Features])
		u.act = append(u.act, act)
	}
	for l, y := range u.decode(u.act, func(l int) []float64 { return u.clean[naive.At(l, c.Read)] }) {
		e := make([]float64, len(y))
		for i, v := range u.clean[naive.At(l, "hook_mlp_out")] {
			e[i] = v - y[i]
		}
		u.errors = append(u.errors, e)
	}
	return u
}

func (u *unfolded) scaled(l int, x []float64) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = v * u.stats.ScaleIn[l]
	}
	return y
}

// decode is the raw output by layer for activations, with the skip of raw reads.
func (u *unfolded) decode(act [][]float64, read func(l int) []float64) [][]float64 {
	reads := make([][]float64, u.CLT.Layers)
	for l := range reads {
		if reads[l] = read(l); reads[l] == nil {
			reads[l] = make([]float64, len(u.tokens)*u.CLT.DModel)
		} else {
			reads[l] = u.scaled(l, reads[l])
		}
	}
	out := u.Decode(act, reads)
	for l := range out {
		for i := range out[l] {
			out[l][i] /= u.stats.ScaleOut[l]
		}
	}
	return out
}

// run is the frozen model with these activations, errors and embeddings: the
// pre-activations by layer and the logits.
func (u *unfolded) run(act, errors [][]float64, embed, pos []float64) (pres [][]float64, logits []float64) {
	reads := make([][]float64, u.CLT.Layers)
	acts := u.Forward(u.tokens, func(name string, x []float64) []float64 {
		l, site, _ := gpt2.HookName(name).Split()
		switch site {
		case gpt2.AttnPattern, gpt2.Ln1Scale, gpt2.Ln2Scale:
			return u.clean[name]
		case gpt2.MLPOut:
			y := u.decode(act, func(k int) []float64 { return reads[k] })[l]
			for i := range y {
				y[i] += errors[l][i]
			}
			return y
		}
		switch gpt2.HookName(name) {
		case gpt2.HookLnFinalScale:
			return u.clean[name]
		case gpt2.HookEmbed:
			return embed
		case gpt2.HookPosEmbed:
			return pos
		}
		if string(site) == u.Read {
			reads[l] = x
			pre, _ := u.Encode(l, u.scaled(l, x))
			pres = append(pres, pre)
		}
		return x
	})
	return pres, acts["logits"]
}

// column is what doubling the output of one node does to every target of a graph.
func (u *unfolded) column(g *attribution.Graph, source attribution.ID) []float64 {
	d, f := u.CLT.DModel, u.CLT.Features
	values := func(act, errors [][]float64, embed, pos []float64) []float64 {
		pres, logits := u.run(act, errors, embed, pos)
		out := make([]float64, len(g.Nodes))
		for i, n := range g.Nodes {
			switch n.Kind {
			case attribution.Feature:
				out[i] = pres[n.Layer][n.Pos*f+n.Index]
			case attribution.Logit:
				row := logits[n.Pos*u.Vocab:][:u.Vocab]
				out[i] = row[n.Index]
				for _, v := range row {
					out[i] -= v / float64(u.Vocab)
				}
			}
		}
		return out
	}
	double := func(layers [][]float64, layer, from, n int) [][]float64 {
		list := append([][]float64(nil), layers...)
		list[layer] = append([]float64(nil), layers[layer]...)
		for i := range n {
			list[layer][from+i] *= 2
		}
		return list
	}
	embed, pos := u.clean[string(gpt2.HookEmbed)], u.clean[string(gpt2.HookPosEmbed)]
	before := values(u.act, u.errors, embed, pos)
	act, errors := u.act, u.errors
	switch source.Kind {
	case attribution.Feature:
		act = double(act, source.Layer, source.Pos*f+source.Index, 1)
	case attribution.Error:
		errors = double(errors, source.Layer, source.Pos*d, d)
	case attribution.Token:
		embed = double([][]float64{embed}, 0, source.Pos*d, d)[0]
	case attribution.Position:
		pos = double([][]float64{pos}, 0, source.Pos*d, d)[0]
	}
	after := values(act, errors, embed, pos)
	for i := range after {
		after[i] -= before[i]
	}
	return after
}

// TestInvariant08FoldedGraph: the attribution graph of the folded weights is that
// of the transcoder before folding, whose edges are measured in plain loops that
// scale and scale back: the same active features with the same activations, and
// the same weight of every edge.
func TestInvariant08FoldedGraph(t *testing.T) {
	cfg := toy.RandomConfig()
	prompt := []int32{12, 3, 7, 0}
	stats := &clt.Stats{ScaleIn: []float64{2, 0.25, 1.5}, ScaleOut: []float64{0.5, 4, 0.75}} // exact in binary
	kinds := toy.RandomKinds(cfg)
	for _, name := range []string{"relu hook_resid_mid", "jumprelu ln2.hook_normalized", "topk mlp.hook_in", "batchtopk other mlp.hook_in"} {
		kind, ok := kinds[name]
		if !ok {
			t.Fatalf("there is no transcoder %q", name)
		}
		params, x := toy.RandomModel(cfg, 3), toy.RandomCLT(kind, 4)
		lm, err := gpt2.New(testbackend.Open(t, "go"), cfg, params, gpt2.LoadOptions{Double: true})
		if err != nil {
			t.Fatal(err)
		}
		m, err := replacement.New(lm, stats.Fold(x), attribution.Artifact{Name: "folded"})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		local, err := m.Localize(prompt)
		if err != nil {
			t.Fatal(err)
		}
		g, err := local.Attribute(t.Context(), replacement.DefaultAttributeConfig(), nil)
		if err != nil {
			t.Fatal(err)
		}
		u := newUnfolded(toy.NaiveModel(cfg, params), toy.NaiveCLT(x), stats, prompt)
		active := 0
		for l, act := range u.act {
			for i, v := range act {
				if v == 0 {
					continue
				}
				active++
				n := g.Find(attribution.ID{Kind: attribution.Feature, Layer: l, Pos: i / kind.Features, Index: i % kind.Features})
				if n < 0 || math.Abs(g.Nodes[n].Activation-v) > 1e-5 {
					t.Fatalf("%s: L%d/F%d at %d has %g before folding, the graph has node %d", name, l, i%kind.Features, i/kind.Features, v, n)
				}
			}
		}
		if active < 10 || active != g.Count(attribution.Feature) {
			t.Fatalf("%s: %d active features before folding, %d nodes", name, active, g.Count(attribution.Feature))
		}
		edges := 0
		for s, n := range g.Nodes {
			if n.Kind == attribution.Bias || n.Kind == attribution.Logit {
				continue
			}
			for target, want := range u.column(g, n.ID) {
				if got := g.Weight(target, s); math.Abs(got-want) > 1e-5*max(1, math.Abs(want)) {
					t.Fatalf("%s: edge %v -> %v is %.9g, before folding %.9g", name, n.ID, g.Nodes[target].ID, got, want)
				} else if got != 0 {
					edges++
				}
			}
		}
		if edges < 100 {
			t.Errorf("%s: only %d edges", name, edges)
		}
	}
}
