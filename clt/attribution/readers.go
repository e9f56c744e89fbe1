package attribution

import (
	"fmt"
	"sort"
)

// Readers lists the n features through which a source acts on the targets, the
// strongest first: those whose input from the source is positive, ranked by its
// share of their input times their own influence; ties in storage order.
func (g *Graph) Readers(source, n int) ([]int, error) {
	if n < 0 || source < 0 || source >= len(g.Nodes) {
		return nil, fmt.Errorf("attribution: readers: %d readers of node %d of %d; ask for 0 or more of a node of the graph", n, source, len(g.Nodes))
	}
	influence, err := g.Influence()
	if err != nil {
		return nil, err
	}
	type scored struct {
		node  int
		score float64
	}
	var list []scored
	for _, e := range g.Outgoing(source) {
		if g.Nodes[e.Target].Kind == Feature && e.Weight > 0 {
			list = append(list, scored{e.Target, e.Share * influence[e.Target]})
		}
	}
	sort.SliceStable(list, func(i, j int) bool {
		if list[i].score != list[j].score {
			return list[i].score > list[j].score
		}
		return list[i].node < list[j].node
	})
	var nodes []int
	for _, s := range list[:min(n, len(list))] {
		nodes = append(nodes, s.node)
	}
	return nodes, nil
}
