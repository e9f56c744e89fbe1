package attribution

import (
	"math"
	"strings"
	"testing"
)

// inverse is (I - W)⁻¹ over features by Gaussian elimination, W[t][s] the edge over
// the activation of s.
func inverse(g *Graph) [][]float64 {
	n := g.Count(Feature)
	m := make([][]float64, n)
	for t := range m {
		m[t] = make([]float64, 2*n)
		m[t][t], m[t][n+t] = 1, 1
		for s := range n {
			m[t][s] -= g.Weight(t, s) / g.Nodes[s].Activation
		}
	}
	for c := range n {
		for r := range n {
			if k := m[r][c] / m[c][c]; r != c && k != 0 {
				for j := range m[r] {
					m[r][j] -= k * m[c][j]
				}
			}
		}
	}
	for t := range m {
		for j := n; j < 2*n; j++ {
			m[t][j] /= m[t][t]
		}
		m[t] = m[t][n:]
	}
	return m
}

// TestTotalEffects holds the pass against an inverted matrix, and the leaves
// against the target's value.
func TestTotalEffects(t *testing.T) {
	each(t, func(t *testing.T, g *Graph) {
		// A feature's activation is its pre-activation, as ReLU has it.
		for i := range g.Nodes {
			if g.Nodes[i].Kind == Feature {
				g.Nodes[i].Activation = g.Nodes[i].Preactivation
			}
		}
		inv := inverse(g)
		for _, target := range g.Targets() {
			effects := must(g.TotalEffects(target))(t)
			leaves, scale := 0.0, 1.0
			for s, n := range g.Nodes {
				if n.Kind != Feature {
					leaves += effects[s]
					scale += math.Abs(effects[s])
					continue
				}
				want := 0.0
				for f := range inv { // over the last feature before the target
					want += g.Weight(target, f) / g.Nodes[f].Activation * inv[f][s] * n.Activation
				}
				if !near(effects[s], want, 1e-9*(1+math.Abs(want))) {
					t.Fatalf("total effect of %v on %v is %v, wants %v", n.ID, g.Nodes[target].ID, effects[s], want)
				}
			}
			if v := g.Nodes[target].Preactivation; !near(leaves, v, 1e-9*scale) {
				t.Errorf("leaves of %v add up to %v, value %v", g.Nodes[target].ID, leaves, v)
			}
		}
	})
}

// TestRespond: changes go through as the inverse says, changed features stay what
// they are set to, and pushes arrive.
func TestRespond(t *testing.T) {
	each(t, func(t *testing.T, g *Graph) {
		inv := inverse(g)
		const moved, by = 0, 0.3
		r := must(g.Respond([]Change{{Node: moved, Factor: 1, Add: by}}, nil))(t)
		for f := range inv {
			if want := by * inv[f][moved]; !near(r.Activation[f], want, 1e-9*(1+math.Abs(want))) {
				t.Fatalf("%v moves by %v, wants %v", g.Nodes[f].ID, r.Activation[f], want)
			}
		}
		for _, target := range g.Targets() {
			effects := must(g.TotalEffects(target))(t)
			if want := by * effects[moved] / g.Nodes[moved].Activation; target != moved && !near(r.Value[target], want, 1e-9*(1+math.Abs(want))) {
				t.Fatalf("%v moves by %v, its total effect says %v", g.Nodes[target].ID, r.Value[target], want)
			}
		}
		last := g.Count(Feature) - 1
		push := make([]float64, len(g.Nodes))
		push[last] = 2
		a := g.Nodes[last].Activation
		if r := must(g.Respond([]Change{{Node: last, Factor: 0.5, Add: 1}}, push))(t); r.Value[last] != 2 || !near(r.Activation[last], 0.5*(a+2)+1-a, 1e-12) {
			t.Errorf("the changed feature gets %v and passes on %v", r.Value[last], r.Activation[last])
		}
		if r := must(g.Respond(nil, nil))(t); r.Value[g.TopTarget()] != 0 {
			t.Error("no change moves the logit")
		}
	})
}

func TestTotalRefusals(t *testing.T) {
	g := random(3, 3, 3, 2, 2, .5)
	for want, err := range map[string]error{
		"is no target":        second(g.TotalEffects(g.Find(ID{Kind: Bias}))),
		"node -1 is no":       second(g.TotalEffects(-1)),
		"is no feature":       second(g.Respond([]Change{{Node: len(g.Nodes) - 1}}, nil)),
		"changed twice":       second(g.Respond([]Change{{Node: 1}, {Node: 1}}, nil)),
		"1 pushes":            second(g.Respond(nil, []float64{1})),
		"has the activation ": second(graphB().TotalEffects(7)),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, wants %q", err, want)
		}
	}
}

func second[T any](_ T, err error) error { return err }
