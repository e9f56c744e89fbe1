package attribution

import "fmt"

// InfluenceOf is, for every target, the share of its input that comes from one node
// over all paths: the node's column of Ahat + Ahat² + … with Ahat the row-normalised
// |weights|. Influence is its probability-weighted sum over the logits.
func (g *Graph) InfluenceOf(source int) ([]float64, error) {
	if source < 0 || source >= len(g.Nodes) {
		return nil, fmt.Errorf("attribution: influence of node %d; the graph has nodes 0..%d", source, len(g.Nodes)-1)
	}
	sp, err := g.sparse()
	if err != nil {
		return nil, err
	}
	share := make([]float64, len(g.Nodes))
	for i := len(sp.order) - 1; i >= 0; i-- { // sources before targets
		t := sp.order[i]
		if int(t) == source {
			continue
		}
		sum := 0.0
		for k, s := range sp.col[t] {
			if int(s) == source {
				sum += sp.abs[t][k]
			} else {
				sum += sp.abs[t][k] * share[s]
			}
		}
		share[t] = sum / max(sp.mass[t], minRowMass)
	}
	return share, nil
}
