package attribution

import (
	"fmt"
	"math"
	"slices"
)

// Path is a chain of edges from a source to a target.
type Path struct {
	Nodes []int // from the source to the target
	// Share is the product of the shares on the way: the part of the target's
	// input that takes this path. It is negative if an odd number of the weights
	// are. |Share| over all paths from tokens, positions and errors sums to 1.
	Share float64
}

// Paths returns the n paths into target with the largest |Share|, strongest
// first, that start at nodes of the given kinds (tokens, positions and errors
// if none are given). The target -1 is TopTarget.
func (g *Graph) Paths(target, n int, from ...Kind) ([]Path, error) {
	sp, err := g.sparse()
	if err != nil {
		return nil, err
	}
	if target == -1 {
		target = g.TopTarget()
	}
	if target < 0 || target >= len(g.Nodes) || !g.Nodes[target].Kind.IsTarget() {
		return nil, fmt.Errorf("attribution: paths to node %d: it is no feature and no logit of the graph", target)
	}
	if n <= 0 {
		return nil, nil
	}
	if len(from) == 0 {
		from = []Kind{Token, Position, Error}
	}
	best := sp.bestSteps(target, n)
	var ends []step
	for i := range g.Nodes {
		if i == target || !slices.Contains(from, g.Nodes[i].Kind) {
			continue
		}
		for rank, s := range best[i] {
			ends = append(ends, step{s.share, int32(i), int32(rank)})
		}
	}
	slices.SortStableFunc(ends, func(a, b step) int {
		switch {
		case a.share > b.share:
			return -1
		case a.share < b.share:
			return 1
		}
		return 0
	})
	paths := make([]Path, 0, min(n, len(ends)))
	for _, end := range ends[:min(n, len(ends))] {
		paths = append(paths, g.walk(best, end, target))
	}
	return paths, nil
}

// step is one way from a node to the target: by which edge it goes on.
type step struct {
	share      float64 // product of |shares| from here to the target
	next, rank int32   // the next node, and which of its ways
}

// bestSteps finds the n strongest ways to the target for every node, targets
// first, so that a node's list is complete before it is used.
func (sp *sparse) bestSteps(target, n int) [][]step {
	best := make([][]step, len(sp.col))
	best[target] = []step{{1, -1, 0}}
	for _, t := range sp.order {
		inv := 1 / max(sp.mass[t], minRowMass)
		for rank, way := range best[t] {
			for k, s := range sp.col[t] {
				best[s] = insertStep(best[s], step{way.share * sp.abs[t][k] * inv, t, int32(rank)}, n)
			}
		}
	}
	return best
}

// insertStep keeps the n largest, earlier ones first among equals.
func insertStep(list []step, s step, n int) []step {
	if len(list) == n {
		if s.share <= list[n-1].share {
			return list
		}
		list = list[:n-1]
	}
	at := len(list)
	for at > 0 && list[at-1].share < s.share {
		at--
	}
	return slices.Insert(list, at, s)
}

// walk follows the steps from a start to the target.
func (g *Graph) walk(best [][]step, start step, target int) Path {
	p := Path{Share: start.share}
	at, rank := start.next, start.rank
	for {
		p.Nodes = append(p.Nodes, int(at))
		if int(at) == target {
			return p
		}
		way := best[at][rank]
		if math.Signbit(g.Weight(int(way.next), int(at))) {
			p.Share = -p.Share
		}
		at, rank = way.next, way.rank
	}
}
