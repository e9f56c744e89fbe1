package attribution

import (
	"cmp"
	"math"
	"slices"
)

// NodeChange is a node of both graphs whose numbers differ.
type NodeChange struct {
	ID
	Before, After         float64 // activation; probability for logits
	RankBefore, RankAfter float64 // Cumulative: the influence share at its rank
}

// EdgeChange is an edge with its weight in each graph, 0 where it is missing.
type EdgeChange struct {
	Target, Source ID
	Before, After  float64
}

// Diff says how one graph differs from another. Nodes are matched by identity,
// so position p of one prompt is position p of the other. Lists of changes are
// ordered by the size of the change, lists of nodes in storage order.
type Diff struct {
	NodesGained, NodesLost []ID
	NodesChanged           []NodeChange
	EdgesGained, EdgesLost []EdgeChange
	EdgesChanged           []EdgeChange
}

// Same says that nothing differs.
func (d *Diff) Same() bool {
	return len(d.NodesGained)+len(d.NodesLost)+len(d.NodesChanged)+len(d.EdgesGained)+len(d.EdgesLost)+len(d.EdgesChanged) == 0
}

// Compare lists what differs by more than tolerance·max(1, |value|).
func Compare(before, after *Graph, tolerance float64) Diff {
	var d Diff
	index := make(map[ID]int, len(after.Nodes))
	for i := range after.Nodes {
		index[after.Nodes[i].ID] = i
	}
	place := make([]int, len(before.Nodes)) // before → after
	matched := make([]int, len(after.Nodes))
	for i := range matched {
		matched[i] = -1
	}
	for i := range before.Nodes {
		a := &before.Nodes[i]
		j, have := index[a.ID]
		if !have {
			place[i] = -1
			d.NodesLost = append(d.NodesLost, a.ID)
			continue
		}
		place[i], matched[j] = j, i
		b := &after.Nodes[j]
		c := NodeChange{a.ID, a.Activation + a.Prob, b.Activation + b.Prob, a.Cumulative, b.Cumulative}
		if differs(c.Before, c.After, tolerance) || differs(c.RankBefore, c.RankAfter, tolerance) {
			d.NodesChanged = append(d.NodesChanged, c)
		}
	}
	for j, i := range matched {
		if i < 0 {
			d.NodesGained = append(d.NodesGained, after.Nodes[j].ID)
		}
	}
	slices.SortStableFunc(d.NodesChanged, func(a, b NodeChange) int {
		return cmp.Compare(math.Abs(b.After-b.Before), math.Abs(a.After-a.Before))
	})
	d.edges(before, after, place, matched, tolerance)
	return d
}

func differs(a, b, tolerance float64) bool {
	return math.Abs(a-b) > tolerance*max(1, math.Abs(a))
}

func (d *Diff) edges(before, after *Graph, place, matched []int, tolerance float64) {
	weight := func(g *Graph, t, s int) float64 {
		if t < 0 || s < 0 {
			return 0
		}
		return g.Weight(t, s)
	}
	for t := range before.Nodes {
		for s := range before.Nodes {
			e := EdgeChange{before.Nodes[t].ID, before.Nodes[s].ID, before.Weight(t, s), weight(after, place[t], place[s])}
			switch {
			case e.Before == e.After:
			case e.After == 0:
				d.EdgesLost = append(d.EdgesLost, e)
			case e.Before == 0:
				d.EdgesGained = append(d.EdgesGained, e)
			case differs(e.Before, e.After, tolerance):
				d.EdgesChanged = append(d.EdgesChanged, e)
			}
		}
	}
	for t := range after.Nodes {
		for s := range after.Nodes {
			if w := after.Weight(t, s); w != 0 && (matched[t] < 0 || matched[s] < 0) {
				d.EdgesGained = append(d.EdgesGained, EdgeChange{after.Nodes[t].ID, after.Nodes[s].ID, 0, w})
			}
		}
	}
	for _, list := range [][]EdgeChange{d.EdgesGained, d.EdgesLost, d.EdgesChanged} {
		slices.SortStableFunc(list, func(a, b EdgeChange) int {
			return cmp.Compare(math.Abs(b.After-b.Before), math.Abs(a.After-a.Before))
		})
	}
}
