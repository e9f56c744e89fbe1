package replacement

import (
	"testing"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/internal/golden"
)

// cutAt has graphs made with the cut at one layer, -1 for none.
func cutAt(t *testing.T, cut int) {
	forceCut = cut
	t.Cleanup(func() { forceCut = -2 })
}

// TestCutsGiveOneMatrix: wherever sources that are carried up meet targets that are
// carried down, and in whatever batches, edges are the same, and those that cannot be
// are zero.
func TestCutsGiveOneMatrix(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		cutAt(t, -1)
		for _, compat := range []string{"", "circuit-tracer"} {
			cfg := DefaultAttributeConfig()
			cfg.Compat = compat
			cfg.Targets = append(c.TopTargets(3, 1), Target{Prob: 1, Demean: true, Tokens: []Weighted{{4, 1}}, Pos: 3})
			forceCut = -1
			want, err := c.Attribute(t.Context(), cfg, nil)
			if err != nil {
				t.Fatal(err)
			}
			for cut := range c.CLT.Layers {
				for _, batch := range []int{1, 7, 64} {
					forceCut, cfg.Batch = cut, batch
					done := 0
					g, err := c.Attribute(t.Context(), cfg, func(n, total int) { done = total - n })
					if err != nil {
						t.Fatal(err)
					}
					if done != 0 {
						t.Errorf("%d rows were not reported", done)
					}
					sameMatrix(t, g, want, cut, batch)
				}
			}
		}
	})
}

func sameMatrix(t *testing.T, g, want *attribution.Graph, cut, batch int) {
	t.Helper()
	for i, w := range want.Weights.F64 {
		got := g.Weights.F64[i]
		if d := got - w; d > 1e-12 || d < -1e-12 || (got == 0) != (w == 0) {
			n := len(g.Nodes)
			t.Fatalf("cut %d, batch %d: edge %v -> %v is %g, without a cut %g", cut, batch, g.Nodes[i%n], g.Nodes[i/n], got, w)
		}
	}
}

// TestCutsMatchReference: the same against circuit-tracer.
func TestCutsMatchReference(t *testing.T) {
	for _, cut := range []int{0, 1} {
		cutAt(t, cut)
		checkSets(t, "testdata", "../../gpt2/testdata/tiny2")
	}
}

func TestGoldenCutsMatchReference(t *testing.T) {
	dir := golden.Dir(t)
	cutAt(t, 0)
	checkSets(t, dir+"/attribution", dir+"/gpt2/tiny2")
}
