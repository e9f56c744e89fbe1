package clt

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/etredal/cross-layer-transcoder/internal/optim"
)

// Paths of the variables of a training run. Thresholds are trained as their
// logarithm divided by ThresholdRate, which makes the optimiser's step on the
// logarithm ThresholdRate times the learning rate.
const (
	weightScope   = "/clt/"
	idlePath      = "/state/idle_%d"
	thresholdPath = "/state/threshold"
	logThreshold  = "log_threshold"
)

// step builds one step of training: inputs are the learning rate, λ, the number
// of the step (from 1), then reads and outputs by layer [tokens, d_model] in
// scaled space. A step whose loss or gradient is not finite changes nothing.
func (t *trainer) step(_ *model.Scope, inputs []*Node) *Node {
	lr, lambda, number := inputs[0], inputs[1], inputs[2]
	g, dtype := lr.Graph(), lr.DType()
	in := lossInputs{lambda: lambda, x: inputs[3 : 3+t.cfg.Layers], y: inputs[3+t.cfg.Layers:]}
	in.enc, in.dec = t.nodes(g)
	for l := range t.cfg.Layers {
		in.idle = append(in.idle, t.variable(fmt.Sprintf(idlePath, l)).NodeValue(g))
	}
	before := t.variable(thresholdPath)
	in.start = before.NodeValue(g)
	out := t.cfg.loss(t.tc, in)

	old := map[*model.Variable]*Node{}
	for v := range t.store.IterVariables() {
		old[v] = v.NodeValue(g)
	}
	adam := optim.Adam{Beta1: t.tc.Beta1, Beta2: t.tc.Beta2, Epsilon: t.tc.Epsilon, ClipNorm: t.tc.ClipNorm}
	norm := adam.Update(t.store, t.trained, out.total, lr, number)
	for l := range t.cfg.Layers {
		t.variable(fmt.Sprintf(idlePath, l)).SetNodeValue(out.idle[l])
	}
	decay := t.tc.ThresholdEMA
	mean := Add(MulScalar(in.start, decay), MulScalar(out.threshold, 1-decay))
	running := Where(IsPositive(in.start), mean, out.threshold)
	before.SetNodeValue(running)
	finite := And(IsFinite(out.total), IsFinite(norm))
	for v, value := range old {
		if v.ChangedInGraph(g) {
			v.SetNodeValue(Where(finite, v.NodeValue(g), value))
		}
	}

	tokens := float64(in.x[0].Shape().Dimensions[0])
	list := []*Node{out.total, out.reconstruction, out.sparsity, out.dead, out.aux, norm, running, ConvertDType(finite, dtype)}
	list = append(append(list, out.errors...), out.variance...)
	for _, f := range out.fired {
		list = append(list, DivScalar(ReduceAllSum(f), tokens))
	}
	window := Scalar(g, dtype, float64(t.tc.DeadWindow))
	for _, idle := range out.idle {
		list = append(list, ReduceAllMean(ConvertDType(GreaterThan(idle, window), dtype)))
	}
	return Stack(list, 0)
}

// nodes returns the weights that are being trained, as nodes of a graph.
func (t *trainer) nodes(g *Graph) (enc []EncoderNodes, dec []DecoderNodes) {
	get := func(base string, l int) *Node {
		return t.variable(fmt.Sprintf("%s%s_%d", weightScope, base, l)).NodeValue(g)
	}
	for l := range t.cfg.Layers {
		e := EncoderNodes{W: get("W_enc", l), B: get("b_enc", l)}
		if t.cfg.Activation == ActJumpReLU {
			e.Threshold = Exp(MulScalar(get(logThreshold, l), t.tc.ThresholdRate))
		}
		d := DecoderNodes{W: get("W_dec", l), B: get("b_dec", l)}
		if t.cfg.Skip {
			d.Skip = get("W_skip", l)
		}
		enc, dec = append(enc, e), append(dec, d)
	}
	return enc, dec
}

// variable returns a variable that must exist.
func (t *trainer) variable(path string) *model.Variable {
	v := t.store.GetVariable(path)
	if v == nil {
		panic(fmt.Errorf("clt: training has no variable %s", path))
	}
	return v
}
