package bench

import (
	"context"
	"math/rand/v2"
	"runtime"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
)

// pruneDensity is the share of possible edges that a random graph has.
const pruneDensity = 0.1

// pruneSuite times the two-step pruning of random graphs, as masks of nodes and
// edges; the matrix product is no peak for it, its share says nothing.
func pruneSuite(ctx context.Context, r *runner) error {
	for _, n := range r.cfg.Nodes {
		g := randomGraph(n)
		err := r.measure(ctx, func(row *Row) (err error) {
			row.Sizes = []Size{{"nodes", n}, {"density_pct", int(100 * pruneDensity)}}
			row.Times, err = timed(ctx, r.cfg.Reps, func() error {
				_, err := g.Select(attribution.DefaultPruneConfig())
				return err
			})
			if err != nil {
				return err
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err = g.Select(attribution.DefaultPruneConfig())
			runtime.ReadMemStats(&after)
			row.WorkMB = float64(after.TotalAlloc-before.TotalAlloc) / 1e6
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// randomGraph has n nodes in the order of a graph of 12 layers and 16 positions,
// and one possible edge in ten, with the same seed each time.
func randomGraph(n int) *attribution.Graph {
	const layers, length, logits = 12, 16, 10
	r := rand.New(rand.NewPCG(1, uint64(n)))
	g := &attribution.Graph{Settings: attribution.Settings{Layers: layers}}
	features := max(1, n-layers*length-length-logits)
	for i := range features {
		layer := i * layers / features
		g.Nodes = append(g.Nodes, attribution.Node{ID: attribution.ID{Kind: attribution.Feature, Layer: layer, Pos: i % length, Index: i}})
	}
	for l := range layers {
		for p := range length {
			g.Nodes = append(g.Nodes, attribution.Node{ID: attribution.ID{Kind: attribution.Error, Layer: l, Pos: p}})
		}
	}
	for p := range length {
		g.Nodes = append(g.Nodes, attribution.Node{ID: attribution.ID{Kind: attribution.Token, Pos: p, Index: p}})
		g.Tokens, g.IDs = append(g.Tokens, "t"), append(g.IDs, int32(p))
	}
	for k := range logits {
		g.Nodes = append(g.Nodes, attribution.Node{ID: attribution.ID{Kind: attribution.Logit, Layer: layers, Pos: length - 1, Index: k}, Prob: 0.1})
	}
	g.Weights = attribution.NewMatrix(n, false)
	for t := range g.Nodes {
		target := g.Nodes[t]
		if target.Kind != attribution.Feature && target.Kind != attribution.Logit {
			continue
		}
		for s := range g.Nodes[:n-logits] {
			source := g.Nodes[s]
			earlier := source.Kind == attribution.Token || source.Layer < target.Layer
			if earlier && r.Float64() < pruneDensity {
				g.Weights.Set(t, s, r.NormFloat64())
			}
		}
	}
	return g
}
