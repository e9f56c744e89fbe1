package attribution

import (
	"math/rand/v2"
	"testing"
)

// large is a float32 graph of n nodes with a tenth of its possible edges: the
// worst case, as real graphs are concentrated.
func large(n int) *Graph {
	const layers, seq, logits = 12, 32, 10
	r := rand.New(rand.NewPCG(1, 2))
	g := &Graph{Settings: Settings{Layers: layers}}
	features := n - layers*seq - seq - logits
	for i := range features {
		l := i * layers / features
		rest := i - l*features/layers
		g.Nodes = append(g.Nodes, id(Feature, l, rest*seq*layers/features%seq, i))
	}
	for l := range layers {
		for p := range seq {
			g.Nodes = append(g.Nodes, id(Error, l, p, 0))
		}
	}
	for p := range seq {
		g.Nodes = append(g.Nodes, id(Token, 0, p, p))
	}
	for k := range logits {
		node := id(Logit, layers, seq-1, k)
		node.Prob = 1 / float64(k+2)
		g.Nodes = append(g.Nodes, node)
	}
	g.Weights = NewMatrix(len(g.Nodes), false)
	for t := range g.Nodes {
		if !g.Nodes[t].Kind.IsTarget() {
			continue
		}
		for s := range g.Nodes {
			source := &g.Nodes[s]
			if source.Kind == Logit || source.Kind != Token && source.Layer >= g.Nodes[t].Layer {
				continue
			}
			if r.Float64() < .2 { // half of all pairs are possible
				g.Weights.Set(t, s, r.NormFloat64())
			}
		}
	}
	return g
}

func BenchmarkPrune(b *testing.B) {
	g := large(10000)
	for _, fold := range []bool{false, true} {
		name := "drop"
		if fold {
			name = "fold"
		}
		b.Run(name, func(b *testing.B) {
			cfg := DefaultPruneConfig()
			cfg.Fold = fold
			for b.Loop() {
				if _, err := g.Prune(cfg); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("select", func(b *testing.B) {
		for b.Loop() {
			if _, err := g.Select(DefaultPruneConfig()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("score", func(b *testing.B) {
		for b.Loop() {
			g.Score()
		}
	})
}
