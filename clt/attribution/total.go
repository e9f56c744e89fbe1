package attribution

import (
	"fmt"
	"math"
)

// Total effects are signed, unlike influence. With W[t][s] = edge/activation of s
// over the features, the live local replacement model answers a change δ of the
// features' activations with (I - W)⁻¹ δ, as long as no feature crosses its
// threshold (method: 8.7). W is triangular in the graph's order, so both directions
// are one sparse pass over the rows.

// TotalEffects is, for every node, how much of the target's value comes from it
// over all paths, direct and through other features: for a feature its activation
// times the total derivative of the target's value by it. It has the unit of an
// edge, and for what feeds no feature it is the edge. The total effects of all
// nodes that are not features, the bias included, add up to the target's value if
// features are what their pre-activations say (ReLU, JumpReLU).
func (g *Graph) TotalEffects(target int) ([]float64, error) {
	all, err := g.TotalEffectsOf(target)
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// TotalEffectsOf is TotalEffects for several targets, [target][node]; the graph is
// read once.
func (g *Graph) TotalEffectsOf(targets ...int) ([][]float64, error) {
	sp, err := g.signed()
	if err != nil {
		return nil, err
	}
	out := make([][]float64, len(targets))
	for i, t := range targets {
		if t < 0 || t >= len(g.Nodes) || !g.Nodes[t].Kind.IsTarget() {
			return nil, fmt.Errorf("attribution: total effects: node %d is no target; give a feature or a logit", t)
		}
		out[i] = g.totalEffects(sp, t)
	}
	return out, nil
}

func (g *Graph) totalEffects(sp *sparse, target int) []float64 {
	bias := g.biasNode()
	effects := make([]float64, len(g.Nodes))
	spread := func(t int32, derivative float64) {
		for _, s := range sp.col[t] {
			effects[s] += derivative * g.Weight(int(t), int(s))
		}
		if bias >= 0 {
			effects[bias] += derivative * g.Weight(int(t), bias)
		}
	}
	spread(int32(target), 1)
	for _, t := range sp.order {
		if e := effects[t]; e != 0 && g.Nodes[t].Kind == Feature && int(t) != target {
			spread(t, e/g.Nodes[t].Activation)
		}
	}
	return effects
}

// Change sets a feature from outside: its activation becomes Factor times what it
// would be, plus Add.
type Change struct {
	Node        int
	Factor, Add float64
}

// Response is what the local replacement model does after changes, by node.
type Response struct {
	Value      []float64 // change of every target's value: pre-activation of a feature, centred logit
	Activation []float64 // change of what every feature passes on
}

// Respond predicts the response to changes of features. push adds to the values of
// targets from outside the graph; nil for nothing. Other nodes do not change.
func (g *Graph) Respond(changes []Change, push []float64) (*Response, error) {
	sp, err := g.signed()
	if err != nil {
		return nil, err
	}
	if push != nil && len(push) != len(g.Nodes) {
		return nil, fmt.Errorf("attribution: respond: %d pushes for %d nodes", len(push), len(g.Nodes))
	}
	set := map[int32]Change{}
	for _, c := range changes {
		if c.Node < 0 || c.Node >= len(g.Nodes) || g.Nodes[c.Node].Kind != Feature {
			return nil, fmt.Errorf("attribution: respond: node %d is no feature of the graph; change features", c.Node)
		}
		if _, ok := set[int32(c.Node)]; ok {
			return nil, fmt.Errorf("attribution: respond: %v is changed twice; keep one", g.Nodes[c.Node].ID)
		}
		set[int32(c.Node)] = c
	}
	r := &Response{Value: make([]float64, len(g.Nodes)), Activation: make([]float64, len(g.Nodes))}
	for i := len(sp.order) - 1; i >= 0; i-- { // sources before targets
		t := sp.order[i]
		v := 0.0
		if push != nil {
			v = push[t]
		}
		for _, s := range sp.col[t] {
			if d := r.Activation[s]; d != 0 {
				v += g.Weight(int(t), int(s)) / g.Nodes[s].Activation * d
			}
		}
		r.Value[t] = v
		if g.Nodes[t].Kind != Feature {
			continue
		}
		r.Activation[t] = v
		if c, ok := set[t]; ok {
			a := g.Nodes[t].Activation
			r.Activation[t] = c.Factor*(a+v) + c.Add - a
		}
	}
	return r, nil
}

// signed is the sparse form of a graph whose features have activations.
func (g *Graph) signed() (*sparse, error) {
	for i := range g.Nodes {
		n := &g.Nodes[i]
		if n.Kind == Feature && (n.Activation == 0 || math.IsNaN(n.Activation)) {
			return nil, fmt.Errorf("attribution: %v has the activation %g; derivatives need the activations that the edges were made with", n.ID, n.Activation)
		}
	}
	return g.sparse()
}

func (g *Graph) biasNode() int {
	for i := range g.Nodes {
		if g.Nodes[i].Kind == Bias {
			return i
		}
	}
	return -1
}
