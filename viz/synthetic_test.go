package viz

import (
	"math"
	"math/rand/v2"
	"sort"
	"testing"

	at "github.com/etredal/cross-layer-transcoder/clt/attribution"
)

// planted is a two-hop circuit, Dallas to Texas to say-a-capital to Austin, in
// a haystack of features with heavy-tailed weights: what a real graph looks
// like. features is the number per (layer, position), growing to the right.
func planted(seed uint64, layers int, perCell float64) *at.Graph {
	tokens := []string{endOfText, "Fact", ":", " the", " capital", " of", " the", " state", " containing", " Dallas", " is"}
	rng := rand.New(rand.NewPCG(seed, 7))
	g := &at.Graph{Tokens: tokens, Prompt: "Fact: the capital of the state containing Dallas is"}
	g.Settings = at.Settings{DType: "f32", Layers: layers, RowIdentity: 3.1e-6}
	for l := range layers {
		for p := range tokens {
			n := int(perCell * rng.ExpFloat64() * (0.4 + 2.2*float64(p)/10))
			for range n {
				g.Nodes = append(g.Nodes, at.Node{ID: at.ID{Kind: at.Feature, Layer: l, Pos: p, Index: rng.IntN(4096)}, Activation: 0.3 + 3*rng.ExpFloat64()})
			}
		}
	}
	story := []struct {
		layer, pos, index int
		label             string
	}{
		{0, 9, 101, "Dallas"}, {0, 4, 102, "capital"}, {0, 7, 103, "state"}, {2, 9, 104, "Texas cities"}, {4, 9, 105, "Texas"}, {3, 4, 106, "capitals"},
		{6, 10, 107, "Texas"}, {7, 10, 108, "say a capital"}, {10, 10, 109, "say Austin"}, {9, 10, 110, "say a place"}, {11, 10, 111, "say Austin"},
	}
	for _, s := range story {
		g.Nodes = append(g.Nodes, at.Node{ID: at.ID{Kind: at.Feature, Layer: s.layer * layers / 12, Pos: s.pos, Index: 5000 + s.index}, Activation: 4, Label: s.label})
	}
	sort.Slice(g.Nodes, func(i, j int) bool {
		a, b := g.Nodes[i].ID, g.Nodes[j].ID
		if a.Layer != b.Layer {
			return a.Layer < b.Layer
		}
		if a.Pos != b.Pos {
			return a.Pos < b.Pos
		}
		return a.Index < b.Index
	})
	uniq := g.Nodes[:1]
	for _, n := range g.Nodes[1:] {
		if n.ID != uniq[len(uniq)-1].ID {
			uniq = append(uniq, n)
		}
	}
	g.Nodes = uniq
	for l := range layers {
		for p := range tokens {
			g.Nodes = append(g.Nodes, at.Node{ID: at.ID{Kind: at.Error, Layer: l, Pos: p}})
		}
	}
	for p := range tokens {
		g.Nodes = append(g.Nodes, at.Node{ID: at.ID{Kind: at.Token, Pos: p, Index: 1000 + p}})
	}
	for p := range tokens {
		g.Nodes = append(g.Nodes, at.Node{ID: at.ID{Kind: at.Position, Pos: p}})
	}
	g.Nodes = append(g.Nodes, at.Node{ID: at.ID{Kind: at.Bias}})
	for k, l := range []string{" Austin", " Dallas", " Texas", " the", " Houston"} {
		g.Nodes = append(g.Nodes, at.Node{ID: at.ID{Kind: at.Logit, Layer: layers, Pos: 10, Index: 7000 + k}, Prob: []float64{0.41, 0.12, 0.08, 0.05, 0.02}[k], Preactivation: 9 - float64(k), Label: l})
	}
	weigh(g, rng)
	return g
}

func weigh(g *at.Graph, rng *rand.Rand) {
	n := len(g.Nodes)
	g.Weights = at.NewMatrix(n, false)
	level := func(m at.Node) int {
		switch m.Kind {
		case at.Feature, at.Error:
			return m.Layer
		case at.Logit:
			return 99
		}
		return -1
	}
	for t, a := range g.Nodes {
		if a.Kind != at.Feature && a.Kind != at.Logit {
			continue
		}
		for s, b := range g.Nodes {
			if b.Kind == at.Logit || level(b) >= level(a) || b.Pos > a.Pos {
				continue
			}
			if b.Kind != at.Bias && rng.Float64() < 0.5 {
				continue
			}
			w := 0.02 * math.Exp(1.3*rng.NormFloat64())
			if b.Pos == a.Pos {
				w *= 3
			}
			if b.Kind == at.Token {
				w *= 4
			}
			if rng.Float64() < 0.4 {
				w = -w
			}
			g.Weights.Set(t, s, w)
		}
	}
	chain := [][2]int{{5101, 5104}, {5104, 5105}, {5105, 5107}, {5102, 5106}, {5106, 5108}, {5107, 5109}, {5108, 5109}, {5103, 5106}, {5108, 5110}, {5109, 5111}, {5107, 5111}}
	at1 := map[int]int{}
	for i, m := range g.Nodes {
		if m.Kind == at.Feature && m.Index >= 5000 {
			at1[m.Index] = i
		}
		if m.Kind == at.Token {
			at1[-m.Pos] = i
		}
		if m.Kind == at.Logit {
			at1[m.Index] = i
		}
	}
	set := func(s, t int, w float64) {
		if g.Nodes[s].Layer < g.Nodes[t].Layer || g.Nodes[s].Kind == at.Token {
			g.Weights.Set(t, s, w)
		}
	}
	for _, c := range chain {
		set(at1[c[0]], at1[c[1]], 6)
	}
	set(at1[-9], at1[5101], 8)
	set(at1[-4], at1[5102], 8)
	set(at1[-7], at1[5103], 8)
	set(at1[5111], at1[7000], 9)
	set(at1[5109], at1[7000], 7)
	set(at1[5110], at1[7000], 3)
	set(at1[5111], at1[7001], -4)
	set(at1[5107], at1[7002], 4)
	for t := range g.Nodes { // a graph adds up
		g.Nodes[t].Preactivation = 0
		for s := range g.Nodes {
			g.Nodes[t].Preactivation += g.Weight(t, s)
		}
		g.Nodes[t].Preactivation *= 1 + 3e-6
	}
}

func pruned(t testing.TB, g *at.Graph, node, edge float64) *at.Graph {
	t.Helper()
	c := at.DefaultPruneConfig()
	c.Node, c.Edge = node, edge
	p, err := g.Prune(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
