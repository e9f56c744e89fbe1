package attribution

import (
	"cmp"
	"fmt"
	"slices"
)

// PruneConfig says how much of a graph to keep.
type PruneConfig struct {
	Node float64 `json:"node_threshold"` // keep the top nodes that hold this share of all influence, 0-1
	Edge float64 `json:"edge_threshold"` // then the top edges that hold this share of all edge scores, 0-1
	Fold bool    `json:"fold,omitempty"` // add what is dropped to error nodes, so that every row still sums
}

// DefaultPruneConfig is what circuit-tracer and the paper use: 0.8 and 0.98.
func DefaultPruneConfig() PruneConfig { return PruneConfig{Node: 0.8, Edge: 0.98} }

// Validate checks that thresholds are shares.
func (c PruneConfig) Validate() error {
	if !(c.Node >= 0 && c.Node <= 1) {
		return fmt.Errorf("attribution: node threshold is %v, wants a share from 0 to 1", c.Node)
	}
	if !(c.Edge >= 0 && c.Edge <= 1) {
		return fmt.Errorf("attribution: edge threshold is %v, wants a share from 0 to 1", c.Edge)
	}
	return nil
}

// Kept is what a pruning keeps, in the numbering of the unpruned graph.
type Kept struct {
	NodeMask      []bool
	Edges         [][2]int  // (target, source), ascending
	EdgeScore     []float64 // per edge: share of the target's input × (influence + probability) of the target; 0 for the bias
	NodeInfluence []float64 // of the unpruned graph
	Cumulative    []float64 // share of all influence gathered at the node's rank
}

// Select ranks nodes and edges and says what stays, in two steps as
// circuit-tracer does:
//
//  1. nodes by influence, until their share reaches cfg.Node; the node that
//     crosses the threshold stays;
//  2. edges of what is left, after normalising rows and computing influence
//     anew, by share × (influence + probability of the target), until cfg.Edge;
//  3. features without an incoming and features or errors without an outgoing
//     edge go, until nothing changes.
//
// Tokens and logits always stay. Positions are ranked like tokens and stay as
// long as an edge of theirs does. The bias is not ranked: its weight into every
// target that stays is kept. Equal scores are taken in storage order; zero
// weights are never edges.
func (g *Graph) Select(cfg PruneConfig) (*Kept, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	sp, err := g.sparse()
	if err != nil {
		return nil, err
	}
	w := g.targetWeights()
	k := &Kept{NodeInfluence: sp.influence(w)}
	var top []bool
	k.Cumulative, top = rank(k.NodeInfluence, cfg.Node)
	k.NodeMask = make([]bool, len(g.Nodes))
	for i := range g.Nodes {
		kind := g.Nodes[i].Kind
		k.NodeMask[i] = kind.IsInput() || kind == Logit || top[i] && kind != Bias
	}
	kept := sp.filter(k.NodeMask)
	kept.score(w)
	kept.cut(cfg.Edge)
	kept.clean(g, k.NodeMask)
	k.list(g, kept)
	return k, nil
}

// Prune is the smaller graph that Select describes. Weights of dropped edges
// are zero; with cfg.Fold they are added to the error node of the source's
// layer and position instead (FoldPruned).
func (g *Graph) Prune(cfg PruneConfig) (*Graph, error) {
	k, err := g.Select(cfg)
	if err != nil {
		return nil, err
	}
	var out *Graph
	if cfg.Fold {
		out, err = g.FoldPruned(k)
	} else {
		out, err = g.Apply(k)
	}
	if err != nil {
		return nil, err
	}
	out.Settings.cut(cfg.Node, cfg.Edge)
	return out, nil
}

// Apply is the graph on the kept nodes with the kept edges alone.
func (g *Graph) Apply(k *Kept) (*Graph, error) {
	if err := g.checkMask(k.NodeMask); err != nil {
		return nil, err
	}
	out, index, old := g.shell(k.NodeMask)
	for i, o := range old {
		if o < len(k.Cumulative) {
			out.Nodes[i].Cumulative = k.Cumulative[o]
		}
	}
	for _, e := range k.Edges {
		t, s := index[e[0]], index[e[1]]
		if t < 0 || s < 0 {
			return nil, fmt.Errorf("attribution: kept edge %v to %v has an end that is not kept", g.Nodes[e[1]].ID, g.Nodes[e[0]].ID)
		}
		out.Weights.Set(t, s, g.Weight(e[0], e[1]))
	}
	return out, nil
}

// rank sorts values (descending, then by index) and returns for each the share
// of the total gathered at its rank, and the shortest prefix whose share
// reaches the threshold. Zeros are in no prefix; a threshold of 1 takes all else,
// whatever rounding makes of the shares.
func rank(values []float64, threshold float64) (cumulative []float64, top []bool) {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(values[b], values[a]) })
	total := 0.0
	for _, i := range order {
		total += values[i]
	}
	cumulative, top = make([]float64, len(values)), make([]bool, len(values))
	sum, open := 0.0, true
	for _, i := range order {
		sum += values[i]
		cumulative[i] = 1
		if total > 0 {
			cumulative[i] = sum / total
		}
		top[i] = open && values[i] > 0
		open = open && (cumulative[i] < threshold || threshold >= 1)
	}
	return cumulative, top
}

// clean drops nodes that lost their edges. Two passes reach the fixpoint: from
// the inputs up, features without inputs go (this can take the inputs of later
// ones); from the targets down, sources without users go (a dropped source has
// no user left, so no feature loses an input).
func (sp *sparse) clean(g *Graph, mask []bool) {
	for _, t := range slices.Backward(sp.order) {
		hasInput := slices.ContainsFunc(sp.col[t], func(s int32) bool { return mask[s] })
		mask[t] = mask[t] && (hasInput || g.Nodes[t].Kind == Logit)
	}
	used := make([]bool, len(mask))
	for _, t := range sp.order {
		mask[t] = mask[t] && (used[t] || g.Nodes[t].Kind == Logit)
		if !mask[t] {
			continue
		}
		for _, s := range sp.col[t] {
			used[s] = true
		}
	}
	for i := range g.Nodes {
		if kind := g.Nodes[i].Kind; kind == Error || kind == Position {
			mask[i] = mask[i] && used[i]
		}
	}
}

// list writes the surviving edges, and the bias weights of surviving targets.
func (k *Kept) list(g *Graph, sp *sparse) {
	var biases []int
	size := 0
	for i := range g.Nodes {
		if g.Nodes[i].Kind == Bias {
			biases = append(biases, i)
		}
		if k.NodeMask[i] {
			size += len(sp.col[i]) + len(biases)
		}
	}
	k.Edges, k.EdgeScore = make([][2]int, 0, size), make([]float64, 0, size)
	for t := range g.Nodes {
		if !k.NodeMask[t] || !g.Nodes[t].Kind.IsTarget() {
			continue
		}
		from := len(k.Edges)
		for i, s := range sp.col[t] {
			if k.NodeMask[s] {
				k.Edges = append(k.Edges, [2]int{t, int(s)})
				k.EdgeScore = append(k.EdgeScore, sp.abs[t][i])
			}
		}
		for _, b := range biases {
			if g.Weight(t, b) == 0 {
				continue
			}
			at := from
			for at < len(k.Edges) && k.Edges[at][1] < b {
				at++
			}
			k.Edges = slices.Insert(k.Edges, at, [2]int{t, b})
			k.EdgeScore = slices.Insert(k.EdgeScore, at, 0)
			k.NodeMask[b] = true
		}
	}
}
