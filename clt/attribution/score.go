package attribution

import "math"

// Score says how much of a graph is explained.
type Score struct {
	// Replacement is the share of end-to-end influence that starts at the prompt
	// (tokens and positions) and not at errors.
	Replacement float64 `json:"replacement"`
	// Completeness is the share of the targets' and features' input that comes
	// from no error, each weighted by its influence plus probability.
	Completeness float64 `json:"completeness"`
	// CompletenessCT is the same sum over all nodes, as circuit-tracer and
	// Neuronpedia report it: nodes without inputs count as explained.
	CompletenessCT float64 `json:"completeness_ct"`
	// PathLength is the mean number of edges from the prompt to a target.
	PathLength float64 `json:"path_length"`
	// RowIdentityMaxError is the largest |row sum - value| / max(1, |value|);
	// -1 if the graph cannot be checked (no bias node, or edges were dropped).
	RowIdentityMaxError float64 `json:"row_identity_max_error"`
}

// Score measures the graph as it is. The bias node counts neither as input nor
// as error and stays out of the shares. Dropped edges are not seen, so score a
// pruned graph after folding (PruneConfig.Fold), where they count as errors.
// All fields are NaN if the graph is not valid; Validate says why.
func (g *Graph) Score() Score {
	sp, err := g.sparse()
	if err != nil {
		nan := math.NaN()
		return Score{nan, nan, nan, nan, nan}
	}
	w := g.targetWeights()
	infl := sp.influence(w)
	var inputs, errors, explained, targets, leaves float64
	for i := range g.Nodes {
		switch kind := g.Nodes[i].Kind; {
		case kind.IsInput():
			inputs += infl[i]
			leaves += infl[i]
		case kind == Error:
			errors += infl[i]
			leaves += infl[i]
		case kind.IsTarget():
			c := infl[i] + w[i]
			targets += c
			explained += c * (1 - sp.errorShare(g, i))
		}
	}
	s := Score{
		Replacement:    ratio(inputs, inputs+errors),
		Completeness:   ratio(explained, targets),
		CompletenessCT: ratio(explained+leaves, targets+leaves),
		PathLength:     sp.meanPathLength(g, w),
	}
	s.RowIdentityMaxError, _ = g.CheckRows()
	return s
}

// errorShare is the share of a target's input that comes from errors.
func (sp *sparse) errorShare(g *Graph, t int) float64 {
	sum := 0.0
	for k, s := range sp.col[t] {
		if g.Nodes[s].Kind == Error {
			sum += sp.abs[t][k]
		}
	}
	return sum / max(sp.mass[t], minRowMass)
}

// ratio is a/b, and 0 if there is nothing.
func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
