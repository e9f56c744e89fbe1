package attribution

import "slices"

// Fold drops the features whose mask is not set and adds their weights to the
// error node of the same layer and position, which is made if it is missing:
// what is not shown counts as unexplained. Signed row sums do not change. Nodes
// of other kinds stay, unless no weight is left in their column; tokens and
// logits always stay. The score of a folded graph is the score of the pruned one.
func (g *Graph) Fold(keep []bool) (*Graph, error) {
	return g.fold(keep, nil)
}

// FoldPruned is Fold on the features that a pruning keeps, and also moves the
// weight of each dropped edge of a kept feature to that feature's error node.
// Edges of other sources all stay, so every row of the result still sums to
// its target's value.
func (g *Graph) FoldPruned(k *Kept) (*Graph, error) {
	out, err := g.fold(k.NodeMask, k.Edges)
	if err != nil {
		return nil, err
	}
	cumulative := make(map[ID]float64, len(g.Nodes))
	for i, c := range k.Cumulative {
		cumulative[g.Nodes[i].ID] = c
	}
	for i := range out.Nodes {
		out.Nodes[i].Cumulative = cumulative[out.Nodes[i].ID]
	}
	return out, nil
}

// fold builds the folded graph; edges, if not nil, lists the feature edges that
// may stay as (target, source), ascending by target.
func (g *Graph) fold(keep []bool, edges [][2]int) (*Graph, error) {
	if err := g.checkMask(keep); err != nil {
		return nil, err
	}
	nodes, place, errorAt := g.foldedNodes(keep)
	out := *g
	out.Tokens, out.IDs = slices.Clone(g.Tokens), slices.Clone(g.IDs)
	out.Nodes, out.Weights = nodes, NewMatrix(len(nodes), g.Weights.Double())
	out.Settings.Folded = true
	f := folder{g: g, place: place, misses: make([]int, len(g.Nodes)), row: make([]float64, len(nodes)),
		col: make([]int32, len(g.Nodes)), abs: make([]float64, len(g.Nodes))}
	for i, n := range g.Nodes {
		f.misses[i] = errorAt[ID{Kind: Error, Layer: n.Layer, Pos: n.Pos}]
	}
	stays, used := make([]bool, len(g.Nodes)), make([]bool, len(nodes))
	for i := range nodes {
		used[i] = nodes[i].Kind.IsTarget() || nodes[i].Kind == Token
	}
	for t := range g.Nodes {
		mine := edges
		for len(mine) > 0 && mine[0][0] == t {
			mine = mine[1:]
		}
		mine, edges = edges[:len(edges)-len(mine)], mine
		if place[t] < 0 || !g.Nodes[t].Kind.IsTarget() {
			continue
		}
		copy(stays, keep)
		if edges != nil {
			clear(stays)
			for _, e := range mine {
				stays[e[1]] = true
			}
		}
		f.sum(t, stays)
		for s, w := range f.row {
			if w != 0 {
				out.Weights.Set(place[t], s, w)
				used[s] = true
			}
		}
	}
	return out.Sub(used)
}

// folder holds what stays the same from row to row.
type folder struct {
	g      *Graph
	place  []int // old to new numbers
	misses []int // new number of the error at the place of an old feature
	row    []float64
	col    []int32
	abs    []float64
}

// sum puts row t into f.row, in the new numbering.
func (f *folder) sum(t int, stays []bool) {
	clear(f.row)
	k := f.g.nonZero(t, f.col, f.abs)
	for _, s := range f.col[:k] {
		to := f.place[s]
		if f.g.Nodes[s].Kind == Feature && !stays[s] {
			to = f.misses[s]
		}
		f.row[to] += f.g.Weight(t, int(s))
	}
}

// foldedNodes lists the nodes of the folded graph: kept features, errors of
// every place of a feature or error, the rest. place maps old numbers to new
// ones, errorAt finds errors.
func (g *Graph) foldedNodes(keep []bool) (nodes []Node, place []int, errorAt map[ID]int) {
	errorAt = map[ID]int{}
	var errors, rest []Node
	for i, n := range g.Nodes {
		switch n.Kind {
		case Feature:
			if keep[i] {
				nodes = append(nodes, n)
			}
			id := ID{Kind: Error, Layer: n.Layer, Pos: n.Pos}
			if _, have := errorAt[id]; !have {
				errorAt[id] = 0
				errors = append(errors, Node{ID: id})
			}
		case Error:
			if _, have := errorAt[n.ID]; !have {
				errorAt[n.ID] = 0
				errors = append(errors, n)
			}
		default:
			rest = append(rest, n)
		}
	}
	slices.SortStableFunc(errors, func(a, b Node) int { return compareIDs(a.ID, b.ID) })
	nodes = append(append(nodes, errors...), rest...)
	index := make(map[ID]int, len(nodes))
	for i, n := range nodes {
		index[n.ID] = i
	}
	for id := range errorAt {
		errorAt[id] = index[id]
	}
	place = make([]int, len(g.Nodes))
	for i, n := range g.Nodes {
		place[i] = -1
		if at, have := index[n.ID]; have {
			place[i] = at
		}
	}
	return nodes, place, errorAt
}
