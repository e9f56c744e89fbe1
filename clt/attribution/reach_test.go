package attribution

import (
	"math"
	"testing"
)

// Influence is the probability-weighted sum of the logits' columns, and a column is
// one of (I - Ahat)⁻¹ - I.
func TestInfluenceOf(t *testing.T) {
	for k, g := range samples() {
		infl, err := g.Influence()
		if err != nil {
			t.Fatal(err)
		}
		for s := range g.Nodes {
			if g.Nodes[s].Kind == Bias {
				continue
			}
			share, err := g.InfluenceOf(s)
			if err != nil {
				t.Fatal(err)
			}
			sum := 0.0
			for i, n := range g.Nodes {
				if n.Kind == Logit {
					sum += n.Prob * share[i]
				}
			}
			if math.Abs(sum-infl[s]) > 1e-9*max(1, infl[s]) {
				t.Fatalf("graph %d, %v: columns give %g, influence is %g", k, g.Nodes[s].ID, sum, infl[s])
			}
		}
		if _, err := g.InfluenceOf(len(g.Nodes)); err == nil {
			t.Error("a node beyond the graph is taken")
		}
	}
}
