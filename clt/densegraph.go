package clt

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/etredal/cross-layer-transcoder/internal/optim"
)

// wholeGraph is one step of training: inputs are the learning rate, λ, the number
// of the step (from 1), 1, then reads and outputs by layer [tokens, d_model] in
// scaled space. A step whose loss or gradient is not finite changes nothing.
func (t *dense) wholeGraph(_ *model.Scope, inputs []*Node) *Node {
	old := t.values(inputs[0].Graph())
	out, running := t.loss(inputs)
	return t.update(inputs, old, out, running)
}

// values are the variables of the run before a step.
func (t *dense) values(g *Graph) map[*model.Variable]*Node {
	list := map[*model.Variable]*Node{}
	for _, name := range t.order {
		v := t.variable("/" + name)
		list[v] = v.NodeValue(g)
	}
	return list
}

// update is the end of a step: it changes the weights and returns the report.
func (t *dense) update(inputs []*Node, old map[*model.Variable]*Node, out lossOutputs, running *Node) *Node {
	norm := t.adam().Update(t.store, t.trained, out.total, inputs[0], inputs[2])
	finite := And(IsFinite(out.total), IsFinite(norm))
	t.revert(out.total.Graph(), old, finite)
	return t.report(out, running, norm, finite, inputs[4].Shape().Dim(0))
}

// addGraph takes what wholeGraph does, with 1 for the first part of a batch and 0
// for later ones in place of the 1, and adds the part's share to the sums.
func (t *dense) addGraph(_ *model.Scope, inputs []*Node) *Node {
	old := t.values(inputs[0].Graph())
	out, running := t.loss(inputs)
	return t.collect(inputs, old, out, running)
}

// collect is the end of a part: it adds its share to the sums and returns the report.
func (t *dense) collect(inputs []*Node, old map[*model.Variable]*Node, out lossOutputs, running *Node) *Node {
	finite := IsFinite(out.total)
	t.revert(out.total.Graph(), old, finite)
	optim.Collect(t.store, t.trained, out.total, t.tc.Accumulate)
	return t.report(out, running, ZerosLike(out.total), finite, inputs[4].Shape().Dim(0))
}

// applyGraph updates with the sums: inputs are the learning rate, the number of the
// step and the loss.
func (t *dense) applyGraph(_ *model.Scope, inputs []*Node) *Node {
	g := inputs[0].Graph()
	grads := optim.Flush(t.store, t.trained, g)
	old := t.values(g)
	norm := t.adam().Apply(t.store, t.trained, grads, inputs[0], inputs[1])
	finite := And(IsFinite(inputs[2]), IsFinite(norm))
	t.revert(g, old, finite)
	return Stack([]*Node{norm, ConvertDType(finite, norm.DType())}, 0)
}

// revert takes back all changes where a step is not finite.
func (t *dense) revert(g *Graph, old map[*model.Variable]*Node, finite *Node) {
	for v, value := range old {
		if v.ChangedInGraph(g) {
			v.SetNodeValue(Where(finite, v.NodeValue(g), value))
		}
	}
}

// loss builds the loss of a batch, updates counters and the running threshold, and
// returns the latter.
func (t *dense) loss(inputs []*Node) (lossOutputs, *Node) {
	g := inputs[0].Graph()
	in := lossInputs{lambda: inputs[1], count: inputs[3], x: inputs[4 : 4+t.cfg.Layers], y: inputs[4+t.cfg.Layers:]}
	in.enc, in.dec = t.nodes(g)
	for l := range t.cfg.Layers {
		in.idle = append(in.idle, t.variable("/"+fmt.Sprintf(idleName, l)).NodeValue(g))
	}
	before := t.variable("/" + thresholdName)
	in.start = before.NodeValue(g)
	out := t.cfg.loss(t.tc, in)
	for l := range t.cfg.Layers {
		t.variable("/" + fmt.Sprintf(idleName, l)).SetNodeValue(out.idle[l])
	}
	decay := t.tc.thresholdDecay()
	mean := Add(MulScalar(in.start, decay), MulScalar(out.threshold, 1-decay))
	running := Where(IsPositive(in.start), mean, out.threshold)
	before.SetNodeValue(running)
	return out, running
}

// report is the vector that a step returns.
func (t *dense) report(out lossOutputs, running, norm, finite *Node, tokens int) *Node {
	g, dtype := out.total.Graph(), out.total.DType()
	list := []*Node{out.total, out.reconstruction, out.sparsity, out.dead, out.aux, norm, running, ConvertDType(finite, dtype)}
	list = append(append(list, out.errors...), out.variance...)
	for _, f := range out.fired {
		list = append(list, DivScalar(ReduceAllSum(f), float64(tokens)))
	}
	window := Scalar(g, dtype, float64(t.tc.DeadWindow))
	for _, idle := range out.idle {
		list = append(list, ReduceAllMean(ConvertDType(GreaterThan(idle, window), dtype)))
	}
	return Stack(list, 0)
}

// nodes returns the weights that are being trained, as nodes of a graph.
func (t *dense) nodes(g *Graph) (enc []EncoderNodes, dec []DecoderNodes) {
	get := func(base string, l int) *Node {
		return t.variable(fmt.Sprintf("/%s%s_%d", weightPrefix, base, l)).NodeValue(g)
	}
	for l := range t.cfg.Layers {
		e := EncoderNodes{W: get("W_enc", l), B: get("b_enc", l), Product: t.tc.product()}
		if t.cfg.Activation == ActJumpReLU {
			e.Threshold = Exp(MulScalar(get(logThreshold, l), t.tc.ThresholdRate))
		}
		d := DecoderNodes{W: get("W_dec", l), B: get("b_dec", l), Product: t.tc.product()}
		if t.cfg.Skip {
			d.Skip = get("W_skip", l)
		}
		enc, dec = append(enc, e), append(dec, d)
	}
	return enc, dec
}
