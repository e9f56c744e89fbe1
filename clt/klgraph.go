package clt

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// klScope is the scope of the store that holds the language model's weights, which
// are the model's own tensors.
const klScope = "/lm"

// klPart is what KL steps need beyond a machine's.
type klPart struct {
	lm    gpt2.Config
	stats *Stats
	vars  []*model.Variable // of the language model
	exec  *model.Exec
}

// attach makes KL steps possible.
func (t *dense) attach(m *gpt2.Model, stats *Stats) error {
	k := &klPart{lm: m.Config, stats: stats}
	t.kl = k
	for v := range m.Store.IterVariables() {
		value, err := v.Value()
		if err != nil {
			return fmt.Errorf("clt: KL steps: %w", err)
		}
		shared, err := t.store.CreateVariable(klScope+v.Path(), value)
		if err != nil {
			return fmt.Errorf("clt: KL steps: %w", err)
		}
		k.vars = append(k.vars, shared)
	}
	build := t.klGraph
	if t.tc.Accumulate > 1 {
		build = t.klAddGraph
	}
	exec, err := model.NewExec(t.backend, t.store, build)
	if err != nil {
		return fmt.Errorf("clt: KL steps: %w", err)
	}
	k.exec = exec
	return nil
}

// detach lets go of the language model, whose tensors live on.
func (t *dense) detach() {
	if t.kl == nil {
		return
	}
	if t.kl.exec != nil {
		t.kl.exec.Finalize()
	}
	for _, v := range t.kl.vars {
		_ = v.SetValuePreservingOld(nil)
	}
	t.kl = nil
}

// klStep does one update on sequences, in Accumulate equal parts, and returns the
// vector of a step and the divergence.
func (t *dense) klStep(lr, lambda, number float32, list [][]int32) ([]float32, float64, error) {
	part := func(list [][]int32, first float32) ([]float32, float64, error) {
		tokens := tensors.FromFlatDataAndDimensions(slices.Concat(list...), len(list), len(list[0]))
		v, err := t.call(t.kl.exec, []any{lr, lambda, number, first, tokens})
		if err != nil {
			return nil, 0, err
		}
		last := len(v) - 1
		return v[:last], float64(v[last]), nil
	}
	if t.tc.Accumulate == 1 {
		return part(list, 1)
	}
	mean, n := 0.0, len(list)/t.tc.Accumulate
	v, err := t.accumulated(lr, number, func(i int, first float32) ([]float32, error) {
		v, kl, err := part(list[i*n:(i+1)*n], first)
		mean += kl / float64(t.tc.Accumulate)
		return v, err
	})
	return v, mean, err
}

// klGraph is one KL step: inputs are the learning rate, λ, the number of the step
// (from 1), 1, and tokens [batch, pos]. The output is that of wholeGraph, then the
// divergence.
func (t *dense) klGraph(_ *model.Scope, inputs []*Node) *Node {
	old := t.values(inputs[0].Graph())
	step, out, running, kl := t.klLoss(inputs)
	return Concatenate([]*Node{t.update(step, old, out, running), Reshape(kl, 1)}, 0)
}

// klAddGraph takes what klGraph does, as addGraph does what wholeGraph does.
func (t *dense) klAddGraph(_ *model.Scope, inputs []*Node) *Node {
	old := t.values(inputs[0].Graph())
	step, out, running, kl := t.klLoss(inputs)
	return Concatenate([]*Node{t.collect(step, old, out, running), Reshape(kl, 1)}, 0)
}

// klLoss is the loss of klGraph: it returns the inputs that a step on a batch would
// have, the loss with the divergence in its total, and that.
func (t *dense) klLoss(inputs []*Node) (step []*Node, out lossOutputs, running, kl *Node) {
	g, tokens := inputs[0].Graph(), inputs[4]
	seen := map[gpt2.HookName]*Node{}
	base := gpt2.Forward(t.store.Scope(klScope), t.kl.lm, tokens, gpt2.Record(seen))
	step = append(step, inputs[:4]...)
	for l := range t.cfg.Layers {
		step = append(step, t.scaledRows(seen[t.cfg.Read.At(l)], t.kl.stats.ScaleIn[l]))
	}
	for l := range t.cfg.Layers {
		step = append(step, t.scaledRows(seen[gpt2.MLPOut.At(l)], t.kl.stats.ScaleOut[l]))
	}
	out, running = t.loss(step)
	enc, dec := t.nodes(g)
	if t.cfg.Activation == ActBatchTopK {
		for l := range enc {
			enc[l].Threshold = BroadcastToDims(StopGradient(running), t.cfg.Features)
		}
	}
	kl = t.cfg.divergence(t.tc, t.kl, t.store.Scope(klScope), tokens, base, enc, dec)
	out.total = Add(out.total, MulScalar(kl, t.tc.KLWeight))
	return step, out, running, kl
}

// scaledRows are the activations [batch, pos, d_model] of all positions but 0 in
// the space of training, [tokens, d_model].
func (t *dense) scaledRows(x *Node, scale float64) *Node {
	return StopGradient(MulScalar(Reshape(SliceAxis(x, 1, AxisRange(1)), -1, t.cfg.DModel), scale))
}

// divergence is the mean of KL(model ‖ replacement model) over tokens but those at
// position 0, in nats: []. The gradient of weights in scaled space passes through
// the language model; base are its logits [batch, pos, d_vocab].
func (c Config) divergence(tc TrainConfig, k *klPart, scope *model.Scope, tokens, base *Node, enc []EncoderNodes, dec []DecoderNodes) *Node {
	enc, dec = c.foldNodes(k.stats, enc, dec)
	for l := range enc {
		enc[l].Bandwidth = tc.Bandwidth
	}
	positions := Iota(tokens.Graph(), shapes.Make(dtypes.Int32, tokens.Shape().Dim(1)), 0)
	all := func(int) bool { return true }
	logits := gpt2.Forward(scope, k.lm, tokens, c.ReplaceHook(NotFirst(positions, base.DType()), enc, dec, all))
	kl := gpt2.KL(LogSoftmax(StopGradient(base)), LogSoftmax(logits)) // [batch, pos]
	return ReduceAllMean(ReduceMean(SliceAxis(kl, 1, AxisRange(1)), 1))
}

// foldNodes is Stats.fold inside a graph.
func (c Config) foldNodes(s *Stats, enc []EncoderNodes, dec []DecoderNodes) ([]EncoderNodes, []DecoderNodes) {
	enc, dec = append([]EncoderNodes{}, enc...), append([]DecoderNodes{}, dec...)
	for l := range c.Layers {
		enc[l].W = MulScalar(enc[l].W, s.ScaleIn[l])
		by := make([]float64, c.Targets(l))
		for k := range by {
			by[k] = 1 / s.ScaleOut[l+k]
		}
		w := dec[l].W
		dec[l].W = Mul(w, Reshape(ConstAsDType(w.Graph(), w.DType(), by), 1, len(by), 1))
		dec[l].B = MulScalar(dec[l].B, 1/s.ScaleOut[l])
		if c.Skip {
			dec[l].Skip = MulScalar(dec[l].Skip, s.ScaleIn[l]/s.ScaleOut[l])
		}
	}
	return enc, dec
}
