package replacement

import (
	"context"
	"fmt"
	"slices"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/clt/attribution"
)

// Prediction is what a graph says that edits will do in the local replacement model
// with everything frozen: Iterative over all layers, with FreezeAttention and
// FreezeLN. It is exact while no feature crosses its threshold.
type Prediction struct {
	attribution.Response                  // by node of the graph
	Crossing             []attribution.ID // features that would fall to their threshold or below it: from there on the prediction is wrong
}

// Predict predicts the effect of edits from the graph of the prompt, before they
// are made. Features of the graph feed each other through its edges. An edited
// feature that is no node of it, because it is inactive or beyond the cap, acts
// through its decoders; its own inputs are not modelled. Vectors that edits add act
// on all that reads them. targets are those that the
// graph was made with; they are needed only for such features and targets that are
// no single tokens.
func (l *Local) Predict(ctx context.Context, g *attribution.Graph, edits []Edit, targets ...Target) (*Prediction, error) {
	if err := l.checkHere(edits); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !slices.Equal(g.IDs, l.Tokens) {
		return nil, refused("predict: the graph is of another prompt; attribute this one")
	}
	node := map[attribution.ID]int{}
	for i, n := range g.Nodes {
		node[n.ID] = i
	}
	var changes []attribution.Change
	var outside []Active // inactive or capped features, with the change of activation as value
	for _, e := range edits {
		for p := max(1, e.Pos); e.Add == nil && p < len(l.Tokens) && (p == e.Pos || e.Open); p++ {
			a := Active{Feature: e.Feature, Pos: p, Value: l.change(e, p)}
			at, ok := node[a.id()]
			switch {
			case !ok:
				outside = append(outside, a)
			case e.Scale:
				changes = append(changes, attribution.Change{Node: at, Factor: e.Factor})
			default:
				changes = append(changes, attribution.Change{Node: at, Add: e.Value})
			}
		}
	}
	push, err := l.push(g, outside, edits, targets)
	if err != nil {
		return nil, err
	}
	r, err := g.Respond(changes, push)
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(r.Value, notFinite); i >= 0 {
		return nil, fmt.Errorf("replacement: predict: the change of %v is %g under the edits; use smaller values or float64", g.Nodes[i].ID, r.Value[i])
	}
	p := &Prediction{Response: *r}
	for i, n := range g.Nodes {
		if n.Kind == attribution.Feature && l.falls(n, r.Value[i]) {
			p.Crossing = append(p.Crossing, n.ID)
		}
	}
	return p, nil
}

// falls says whether a feature of the graph ends at its threshold or below it.
func (l *Local) falls(n attribution.Node, change float64) bool {
	theta := 0.0
	switch l.CLT.Activation {
	case clt.ActTopK, clt.ActGlobalTopK:
		return false // depends on its competitors
	case clt.ActJumpReLU, clt.ActBatchTopK, clt.ActTokenTopK:
		theta = float64(l.CLT.Threshold[n.Layer][n.Index])
	}
	return n.Preactivation+change <= theta
}

// push is the direct effect of features outside the graph, and of vectors that
// edits add, on the graph's targets: nil if there are none.
func (l *Local) push(g *attribution.Graph, outside []Active, edits []Edit, targets []Target) ([]float64, error) {
	a, err := l.answer(outside, edits)
	if a == nil || err != nil {
		return nil, err
	}
	d := l.CLT.DModel
	push := make([]float64, len(g.Nodes))
	for i, n := range g.Nodes {
		switch n.Kind {
		case attribution.Feature:
			for j, w := range l.CLT.WEnc[n.Layer][n.Index*d:][:d] {
				push[i] += float64(w) * a.read(n.Layer, n.Pos*d+j)
			}
		case attribution.Logit:
			t, err := l.targetOfLogit(n.ID, targets)
			if err != nil {
				return nil, err
			}
			if push[i], err = a.on(l, t, n.Pos); err != nil {
				return nil, err
			}
		}
	}
	return push, nil
}

// targetOfLogit is the target behind a logit node.
func (l *Local) targetOfLogit(id attribution.ID, targets []Target) (Target, error) {
	if id.Index < l.LM.Config.DVocab {
		return l.TargetOf(id)
	}
	if k := id.Index - l.LM.Config.DVocab; k < len(targets) {
		return targets[k], nil
	}
	return Target{}, fmt.Errorf("replacement: predict: %v is no single token; give the targets that the graph was made with", id)
}

// directionOf is a target's value for logits [pos, d_vocab] and reads [pos,
// d_model] by layer.
func (l *Local) directionOf(t Target, pos int, logit func(i int) float64, read func(layer, i int) float64) float64 {
	sum, d, v := 0.0, l.CLT.DModel, l.LM.Config.DVocab
	if f := t.Feature; f != nil {
		for j, w := range l.CLT.WEnc[f.Layer][f.Index*d:][:d] {
			sum += float64(w) * read(f.Layer, pos*d+j)
		}
		return sum
	}
	mean := 0.0
	if t.Demean {
		for i := range v {
			mean += logit(pos*v+i) / float64(v)
		}
	}
	for _, w := range t.Tokens {
		sum += w.Scale * (logit(pos*v+int(w.ID)) - mean)
	}
	return sum
}
