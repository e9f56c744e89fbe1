package attribution

import (
	"fmt"
	"math"
	"slices"
)

// Double says whether the entries are float64.
func (m Matrix) Double() bool { return m.F64 != nil }

// rowSum adds up a row in float64.
func (m Matrix) rowSum(target int) float64 {
	sum := 0.0
	if m.F64 != nil {
		for _, w := range m.F64[target*m.N : (target+1)*m.N] {
			sum += w
		}
		return sum
	}
	for _, w := range m.F32[target*m.N : (target+1)*m.N] {
		sum += float64(w)
	}
	return sum
}

// check verifies that the storage fits the size.
func (m Matrix) check() error {
	have, precision := len(m.F32), "f32"
	if m.F64 != nil {
		if m.F32 != nil {
			return fmt.Errorf("attribution: matrix has both f32 and f64 entries; set one")
		}
		have, precision = len(m.F64), "f64"
	}
	if m.N < 0 || have != m.N*m.N {
		return fmt.Errorf("attribution: matrix of %d nodes has %d %s entries, wants %d", m.N, have, precision, m.N*m.N)
	}
	return nil
}

// Count is the number of nodes of a kind.
func (g *Graph) Count(k Kind) int {
	n := 0
	for i := range g.Nodes {
		if g.Nodes[i].Kind == k {
			n++
		}
	}
	return n
}

// Find returns the row and column of a node, or -1.
func (g *Graph) Find(id ID) int {
	return slices.IndexFunc(g.Nodes, func(n Node) bool { return n.ID == id })
}

// Targets lists the nodes that have incoming edges, features and logits, in
// storage order.
func (g *Graph) Targets() []int {
	var out []int
	for i := range g.Nodes {
		if g.Nodes[i].Kind.IsTarget() {
			out = append(out, i)
		}
	}
	return out
}

// TopTarget is the target of highest probability, the first one among equals;
// -1 if the graph has none.
func (g *Graph) TopTarget() int {
	best := -1
	for i := range g.Nodes {
		if g.Nodes[i].Kind == Logit && (best < 0 || g.Nodes[i].Prob > g.Nodes[best].Prob) {
			best = i
		}
	}
	return best
}

// Edge is one weight with its share of the target's input.
type Edge struct {
	Target, Source int
	Weight         float64
	Share          float64 // Weight / sum of |weights| into the target, bias left out; 0 for the bias
}

// Incoming lists the edges into a target, strongest first; equal ones in
// storage order.
func (g *Graph) Incoming(target int) []Edge {
	var edges []Edge
	sum := g.inputMass(target)
	for s := range g.Nodes {
		if w := g.Weight(target, s); w != 0 {
			edges = append(edges, Edge{target, s, w, g.share(s, w, sum)})
		}
	}
	sortEdges(edges)
	return edges
}

// Outgoing lists the edges out of a source, largest share of its target first.
func (g *Graph) Outgoing(source int) []Edge {
	var edges []Edge
	for t := range g.Nodes {
		if w := g.Weight(t, source); w != 0 {
			edges = append(edges, Edge{t, source, w, g.share(source, w, g.inputMass(t))})
		}
	}
	sortEdges(edges)
	return edges
}

func sortEdges(edges []Edge) {
	slices.SortStableFunc(edges, func(a, b Edge) int {
		switch x, y := math.Abs(a.Share), math.Abs(b.Share); {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
}

// inputMass is the sum of |weights| into a target, bias left out.
func (g *Graph) inputMass(target int) float64 {
	sum := 0.0
	for s := range g.Nodes {
		if g.Nodes[s].Kind != Bias {
			sum += math.Abs(g.Weight(target, s))
		}
	}
	return sum
}

func (g *Graph) share(source int, w, mass float64) float64 {
	if g.Nodes[source].Kind == Bias {
		return 0
	}
	return w / max(mass, minRowMass)
}

// Clone copies a graph so that nothing is shared.
func (g *Graph) Clone() *Graph {
	c := *g
	c.Nodes = slices.Clone(g.Nodes)
	c.Tokens = slices.Clone(g.Tokens)
	c.IDs = slices.Clone(g.IDs)
	c.Weights.F32 = slices.Clone(g.Weights.F32)
	c.Weights.F64 = slices.Clone(g.Weights.F64)
	return &c
}

// Sub is the graph on the nodes whose mask is set, with all edges between them.
func (g *Graph) Sub(mask []bool) (*Graph, error) {
	if err := g.checkMask(mask); err != nil {
		return nil, err
	}
	out, index, old := g.shell(mask)
	col, abs := make([]int32, len(mask)), make([]float64, len(mask))
	for t, ot := range old {
		if !g.Nodes[ot].Kind.IsTarget() {
			continue
		}
		k := g.nonZero(ot, col, abs)
		for _, os := range col[:k] {
			if s := index[os]; s >= 0 {
				out.Weights.Set(t, s, g.Weight(ot, int(os)))
			}
		}
	}
	return out, nil
}

func (g *Graph) checkMask(mask []bool) error {
	if len(mask) != len(g.Nodes) {
		return fmt.Errorf("attribution: mask has %d entries for %d nodes", len(mask), len(g.Nodes))
	}
	return g.Weights.check()
}

// shell is a graph with the masked nodes and no edges; index maps old to new
// numbers (-1 if dropped), old maps back.
func (g *Graph) shell(mask []bool) (out *Graph, index, old []int) {
	index = make([]int, len(g.Nodes))
	for i, keep := range mask {
		index[i] = -1
		if keep {
			index[i] = len(old)
			old = append(old, i)
		}
	}
	c := *g
	c.Nodes = make([]Node, len(old))
	for i, o := range old {
		c.Nodes[i] = g.Nodes[o]
	}
	c.Tokens, c.IDs = slices.Clone(g.Tokens), slices.Clone(g.IDs)
	c.Weights = NewMatrix(len(old), g.Weights.Double())
	return &c, index, old
}
