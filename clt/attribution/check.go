package attribution

import (
	"fmt"
	"math"
	"slices"
)

// CheckRows proves the graph: it adds up each target's row, bias included, and
// compares with the target's value (pre-activation; for logits the logit minus
// the mean logit). It returns the largest |sum - value| / max(1, |value|) and
// the node where that is. Without a bias node, without values (other programs write
// biases too, but not what rows add up to), or with edges dropped and not folded, there
// is nothing to prove: -1, -1.
func (g *Graph) CheckRows() (maxError float64, worst int) {
	if g.Count(Bias) == 0 || g.Cut() && !g.Settings.Folded {
		return -1, -1
	}
	valued := func(n Node) bool { return n.Kind.IsTarget() && n.Preactivation != 0 }
	if !slices.ContainsFunc(g.Nodes, valued) {
		return -1, -1
	}
	worst = -1
	for t := range g.Nodes {
		if !g.Nodes[t].Kind.IsTarget() {
			continue
		}
		sum := g.Weights.rowSum(t)
		value := g.Nodes[t].Preactivation
		e := math.Abs(sum-value) / max(1, math.Abs(value))
		if worst < 0 || e > maxError || math.IsNaN(e) {
			maxError, worst = e, t
		}
		if math.IsNaN(e) {
			return maxError, worst
		}
	}
	return maxError, worst
}

// Validate checks everything that a graph promises: sizes, the storage order of
// nodes, finite numbers, and that edges run from an earlier layer to a later
// one and never back in position. The error names the node.
func (g *Graph) Validate() error {
	if err := g.check(); err != nil {
		return err
	}
	if err := g.checkOrder(); err != nil {
		return err
	}
	for t := range g.Nodes {
		if !g.Nodes[t].Kind.IsTarget() {
			continue
		}
		for s := range g.Nodes {
			if g.Weight(t, s) == 0 {
				continue
			}
			if err := checkEdge(g.Nodes[s].ID, g.Nodes[t].ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// check is the part of Validate that every algorithm here relies on; readers
// and writers insist on it.
func (g *Graph) check() error {
	seen := make(map[ID]int, len(g.Nodes))
	for i := range g.Nodes {
		n := &g.Nodes[i]
		if n.Kind > Logit {
			return fmt.Errorf("attribution: node %d has unknown kind %d; kinds are 0 to 5", i, uint8(n.Kind))
		}
		if first, double := seen[n.ID]; double {
			return fmt.Errorf("attribution: nodes %d and %d are both %v; identities must be unique", first, i, n.ID)
		}
		seen[n.ID] = i
		for _, v := range [...]float64{n.Activation, n.Preactivation, n.Prob, n.Cumulative} {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return fmt.Errorf("attribution: %v has the value %v; numbers must be finite", n.ID, v)
			}
		}
		if n.Prob < 0 {
			return fmt.Errorf("attribution: %v has probability %v; it must be 0 or more", n.ID, n.Prob)
		}
		if n.Layer < 0 || n.Pos < 0 || n.Index < 0 {
			return fmt.Errorf("attribution: node %d, a %v, has layer %d, position %d and index %d; none may be negative", i, n.Kind, n.Layer, n.Pos, n.Index)
		}
	}
	if len(g.IDs) > 0 && len(g.Tokens) > 0 && len(g.IDs) != len(g.Tokens) {
		return fmt.Errorf("attribution: the graph has %d token ids and %d token strings; write it again with one of each", len(g.IDs), len(g.Tokens))
	}
	_, err := g.sparse()
	return err
}

// checkOrder verifies the storage order: kinds in turn; features by (layer,
// pos, index), errors by (layer, pos), tokens and positions by pos, at most one
// bias, logits by descending probability.
func (g *Graph) checkOrder() error {
	for i := 1; i < len(g.Nodes); i++ {
		a, b := &g.Nodes[i-1], &g.Nodes[i]
		ordered := compareIDs(a.ID, b.ID) < 0
		if a.Kind == Logit && b.Kind == Logit {
			ordered = a.Prob >= b.Prob
		}
		if !ordered {
			return fmt.Errorf("attribution: node %d, %v, comes after %v; order is features by (layer, pos, index), errors, tokens, positions, bias, logits by probability",
				i, b.ID, a.ID)
		}
	}
	if g.Count(Bias) > 1 {
		return fmt.Errorf("attribution: the graph has %d bias nodes; there is one at most", g.Count(Bias))
	}
	return nil
}

// checkEdge says why an edge cannot be in a causal, layered model.
func checkEdge(source, target ID) error {
	layered := source.Kind == Feature || source.Kind == Error
	if layered && target.Kind == Feature && source.Layer >= target.Layer {
		return fmt.Errorf("attribution: edge from %v to %v goes against the layers; is the matrix transposed?", source, target)
	}
	if source.Kind != Bias && source.Pos > target.Pos {
		return fmt.Errorf("attribution: edge from %v to %v goes back in position; is the matrix transposed?", source, target)
	}
	return nil
}
