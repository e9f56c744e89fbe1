package attribution

import (
	"math"
	"slices"
)

// The mathematics of the package once more, in plain dense loops.

func naiveShares(g *Graph) [][]float64 {
	n := len(g.Nodes)
	shares := make([][]float64, n)
	for t := range shares {
		shares[t] = make([]float64, n)
		sum := 0.0
		for s := range n {
			if g.Nodes[s].Kind != Bias {
				shares[t][s] = math.Abs(g.Weight(t, s))
				sum += shares[t][s]
			}
		}
		for s := range n {
			shares[t][s] /= max(sum, 1e-10)
		}
	}
	return shares
}

func times(v []float64, m [][]float64) []float64 {
	out := make([]float64, len(v))
	for t, x := range v {
		if x != 0 {
			for s, w := range m[t] {
				out[s] += x * w
			}
		}
	}
	return out
}

func sumOf(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum
}

// naiveInfluence is the power series of method 6.1, and the number of its terms.
func naiveInfluence(g *Graph) ([]float64, int) {
	shares, v := naiveShares(g), g.targetWeights()
	infl := make([]float64, len(v))
	for terms := 0; ; terms++ {
		v = times(v, shares)
		if sumOf(v) == 0 {
			return infl, terms
		}
		for i := range v {
			infl[i] += v[i]
		}
	}
}

// naivePrune is circuit-tracer's pruning with dense masks (reference D.6), ties
// by storage order.
func naivePrune(g *Graph, cfg PruneConfig) (mask []bool, edges [][2]int, cutShare float64) {
	n := len(g.Nodes)
	infl, _ := naiveInfluence(g)
	mask = naiveTop(infl, cfg.Node)
	for i := range mask {
		kind := g.Nodes[i].Kind
		mask[i] = mask[i] && kind != Bias || kind == Token || kind == Position || kind == Logit
	}
	sub := g.Clone()
	for t := range n {
		for s := range n {
			if !mask[t] || !mask[s] {
				sub.Weights.Set(t, s, 0)
			}
		}
	}
	shares := naiveShares(sub)
	infl, _ = naiveInfluence(sub)
	w := g.targetWeights()
	scores := make([]float64, n*n)
	for t := range n {
		for s := range n {
			scores[t*n+s] = shares[t][s] * (infl[t] + w[t])
		}
	}
	keep := naiveTop(scores, cfg.Edge)
	kept := 0.0
	for i := range keep {
		if keep[i] {
			kept += scores[i]
		}
	}
	cutShare = kept / sumOf(scores)
	for changed := true; changed; {
		changed = false
		for i := range n {
			in, out := false, false
			for j := range n {
				in = in || keep[i*n+j]
				out = out || keep[j*n+i]
			}
			kind := g.Nodes[i].Kind
			lost := !out && (kind == Feature || kind == Error || kind == Position) || !in && kind == Feature
			if mask[i] && lost {
				mask[i], changed = false, true
				for j := range n {
					keep[i*n+j], keep[j*n+i] = false, false
				}
			}
		}
	}
	for t := range n {
		for s := range n {
			if keep[t*n+s] || mask[t] && g.Nodes[s].Kind == Bias && g.Weight(t, s) != 0 {
				edges = append(edges, [2]int{t, s})
				mask[s] = true
			}
		}
	}
	return mask, edges, cutShare
}

func naiveTop(values []float64, threshold float64) []bool {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		if values[a] > values[b] {
			return -1
		} else if values[a] < values[b] {
			return 1
		}
		return 0
	})
	top, total, sum := make([]bool, len(values)), sumOf(values), 0.0
	for _, i := range order {
		if values[i] == 0 {
			break
		}
		top[i] = true
		if sum += values[i]; sum/total >= threshold && threshold < 1 {
			break
		}
	}
	return top
}
