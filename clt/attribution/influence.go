package attribution

import "math"

// Influence is, for each node, the probability-weighted share of the targets
// that flows through it over all paths (method: Neumann series of the
// row-normalised |weights|, see the package documentation). It is summed
// exactly in one pass over the edges, targets first. The bias has none.
func (g *Graph) Influence() ([]float64, error) {
	sp, err := g.sparse()
	if err != nil {
		return nil, err
	}
	return sp.influence(g.targetWeights()), nil
}

// targetWeights is the probability of each logit and 0 elsewhere.
func (g *Graph) targetWeights() []float64 {
	w := make([]float64, len(g.Nodes))
	for i := range g.Nodes {
		if g.Nodes[i].Kind == Logit {
			w[i] = g.Nodes[i].Prob
		}
	}
	return w
}

// influence solves I[s] = sum_t share[t][s]·(w[t] + I[t]).
func (sp *sparse) influence(w []float64) []float64 {
	infl := make([]float64, len(w))
	for _, t := range sp.order {
		c := (w[t] + infl[t]) / max(sp.mass[t], minRowMass)
		if c == 0 {
			continue
		}
		abs := sp.abs[t]
		for k, s := range sp.col[t] {
			infl[s] += c * abs[k]
		}
	}
	return infl
}

// PathLengths is the curve P_1, P_2, …: the part of the targets' probability
// that reaches tokens and positions over paths of at most 1, 2, … edges. The
// last value is the whole; it equals replacement score × sum of probabilities
// when no row is empty.
func (g *Graph) PathLengths() ([]float64, error) {
	sp, err := g.sparse()
	if err != nil {
		return nil, err
	}
	v, reached := g.targetWeights(), 0.0
	var curve []float64
	for {
		next, moved := make([]float64, len(v)), false
		for _, t := range sp.order {
			c := v[t] / max(sp.mass[t], minRowMass)
			if c == 0 {
				continue
			}
			moved = moved || len(sp.col[t]) > 0
			for k, s := range sp.col[t] {
				next[s] += c * sp.abs[t][k]
			}
		}
		if !moved {
			return curve, nil
		}
		for i := range g.Nodes {
			if g.Nodes[i].Kind.IsInput() {
				reached += next[i]
			}
		}
		curve, v = append(curve, reached), next
	}
}

// meanPathLength is the mean number of edges on the way from a token or
// position to a target, each path weighted by its product of shares; 0 if no
// path exists. Mass and mass×length travel down together.
func (sp *sparse) meanPathLength(g *Graph, w []float64) float64 {
	mass, long := make([]float64, len(w)), make([]float64, len(w))
	for _, t := range sp.order {
		m := w[t] + mass[t]
		if m == 0 {
			continue
		}
		inv := 1 / max(sp.mass[t], minRowMass)
		cm, cl := m*inv, (long[t]+m)*inv
		for k, s := range sp.col[t] {
			mass[s] += cm * sp.abs[t][k]
			long[s] += cl * sp.abs[t][k]
		}
	}
	var m, l float64
	for i := range g.Nodes {
		if g.Nodes[i].Kind.IsInput() {
			m, l = m+mass[i], l+long[i]
		}
	}
	if m == 0 || math.IsNaN(m) {
		return 0
	}
	return l / m
}
