package lab

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/internal/testenv"
)

// hugeGraph has about n features on 40 tokens and 12 layers, each fed by a dozen nodes
// before it.
func hugeGraph(n int) *attribution.Graph {
	const layers, tokens = 12, 40
	r := rand.New(rand.NewPCG(1, 2))
	g := &attribution.Graph{Settings: attribution.Settings{Layers: layers}}
	for i := range tokens {
		g.Tokens, g.IDs = append(g.Tokens, " word"), append(g.IDs, int32(i))
	}
	add := func(id attribution.ID, prob float64) {
		g.Nodes = append(g.Nodes, attribution.Node{ID: id, Prob: prob, Activation: 1, Preactivation: 1})
	}
	for l := range layers {
		for p := range tokens {
			for i := range n / layers / tokens {
				add(attribution.ID{Kind: attribution.Feature, Layer: l, Pos: p, Index: i}, 0)
			}
		}
	}
	features := len(g.Nodes)
	for p := range tokens {
		add(attribution.ID{Kind: attribution.Token, Pos: p, Index: p}, 0)
	}
	add(attribution.ID{Kind: attribution.Logit, Layer: layers, Pos: tokens - 1, Index: 7}, 1)
	g.Weights = attribution.NewMatrix(len(g.Nodes), false)
	for t, node := range g.Nodes {
		for range 12 {
			s := r.IntN(len(g.Nodes) - 1)
			if a := g.Nodes[s]; s < features && (a.Layer >= node.Layer || a.Pos > node.Pos) || node.Kind == attribution.Token || s >= features && a.Pos > node.Pos {
				continue
			}
			g.Weights.F32[t*g.Weights.N+s] = float32(r.NormFloat64())
		}
	}
	return g
}

// A graph of 10,000 nodes is pruned, put into words and drawn as a picture of
// the size that a notebook can hold, which says what it leaves out.
func TestGraphOfTenThousandNodes(t *testing.T) {
	testenv.Slow(t)
	kernel(t)
	shown, status := screen(t)
	g := &Graph{Graph: hugeGraph(10_100), session: &Session{}, Prompt: "many words"}
	begin := time.Now()
	Show(g, g.Prune())
	Say("%s", g.Prune().Caption())
	t.Logf("%d nodes shown in %v", len(g.Nodes), time.Since(begin))
	if *status != 0 || len(*shown) != 3 {
		t.Fatalf("status %d, %d outputs", *status, len(*shown))
	}
	for i, o := range (*shown)[:2] {
		if len(o.HTML) > 1<<20 {
			t.Errorf("output %d has %d bytes", i, len(o.HTML))
		}
		if o.Kind != "graph" || !strings.Contains(o.Plain+o.HTML, "shown ") || !strings.Contains(o.HTML, "<img") {
			t.Errorf("output %d: %.200s", i, o.Plain)
		}
	}
}

// After pruning, a graph is described with the shares that it has as a whole.
func TestCaptionOfPruned(t *testing.T) {
	g := &Graph{Graph: hugeGraph(500), session: &Session{}}
	p := g.PruneTo(attribution.PruneConfig{Node: 0.3, Edge: 0.9})
	if len(p.Nodes) >= len(g.Nodes) {
		t.Fatalf("%d of %d nodes kept", len(p.Nodes), len(g.Nodes))
	}
	if p.Caption() != g.Caption() || p.Graph.Caption() == g.Caption() {
		t.Errorf("pruned: %s\nwhole: %s\nrenormalised: %s", p.Caption(), g.Caption(), p.Graph.Caption())
	}
}
