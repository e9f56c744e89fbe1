package replacement

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// Active is one active feature of a prompt.
type Active struct {
	clt.Feature
	Pos           int
	Value         float64 // activation
	Preactivation float64
}

// Local is the local replacement model of one prompt: what the clean run froze.
type Local struct {
	*Model
	Tokens []int32
	Logits gpt2.Array // [pos, d_vocab] of the clean run
	Active []Active   // ordered by layer, position, index; none at position 0

	pattern []gpt2.Array // layer -> [head, query, key]
	scale1  []gpt2.Array // layer -> [pos, 1]: divisors sqrt(var + eps)
	scale2  []gpt2.Array
	scaleF  gpt2.Array
	mlpOut  []gpt2.Array // layer -> [pos, d_model]
	errors  []gpt2.Array // layer -> [pos, d_model]: MLP output minus reconstruction
	pre     []gpt2.Array // layer -> [pos, features]
	act     []gpt2.Array // layer -> [pos, features], position 0 zero
	skip    []gpt2.Array // layer -> [pos, d_model], nil without skip
}

// Localize runs the model once on the tokens and freezes what the graph needs.
func (m *Model) Localize(tokens []int32) (*Local, error) {
	if err := m.LM.CheckTokens(tokens); err != nil {
		return nil, err
	}
	exec, err := gpt2.Compiled(m.LM, "local|"+m.key, localGraph(m.LM.Config, m.CLT.Config))
	if err != nil {
		return nil, err
	}
	padded := make([]int32, m.LM.Bucket(len(tokens)))
	copy(padded, tokens)
	outs, err := exec.Call(m.weights.Inputs(tensors.FromFlatDataAndDimensions(padded, 1, len(padded)))...)
	if err != nil {
		return nil, fmt.Errorf("replacement: localize: %w", err)
	}
	l := &Local{Model: m, Tokens: append([]int32{}, tokens...)}
	next := func(axes ...int) gpt2.Array {
		var a gpt2.Array
		if err == nil {
			a, err = gpt2.FromTensor(outs[0])
			_ = outs[0].FinalizeAll()
		}
		outs = outs[1:]
		return a.Unbatch(len(tokens), axes...)
	}
	l.Logits, l.scaleF = next(0), next(0)
	for range m.LM.Config.Layers {
		l.pattern = append(l.pattern, next(1, 2))
		l.scale1, l.scale2 = append(l.scale1, next(0)), append(l.scale2, next(0))
		out, recon := next(0), next(0)
		l.mlpOut, l.errors = append(l.mlpOut, out), append(l.errors, subtract(out, recon))
		l.pre, l.act = append(l.pre, next(0)), append(l.act, next(0))
		if m.CLT.Skip {
			l.skip = append(l.skip, next(0))
		}
	}
	if err != nil {
		return nil, fmt.Errorf("replacement: localize: %w", err)
	}
	l.collectActive()
	return l, nil
}

func (l *Local) collectActive() {
	f := l.CLT.Features
	for layer, a := range l.act {
		for i := range a.Len() {
			if v := a.At(i); v != 0 {
				l.Active = append(l.Active, Active{clt.Feature{Layer: layer, Index: i % f}, i / f, v, l.pre[layer].At(i)})
			}
		}
	}
}

func subtract(a, b gpt2.Array) gpt2.Array {
	c := gpt2.NewArray(a.Shape, a.F64 != nil)
	for i := range a.F32 {
		c.F32[i] = a.F32[i] - b.F32[i]
	}
	for i := range a.F64 {
		c.F64[i] = a.F64[i] - b.F64[i]
	}
	return c
}

// length is the number of positions that programs on this prompt run with: the
// prompt's, or its bucket.
func (l *Local) length() int { return l.LM.Bucket(len(l.Tokens)) }

// padded copies an array to the bucket length along the given axes, with a
// batch axis in front; new entries are fill.
func (l *Local) padded(a gpt2.Array, fill float64, axes ...int) *tensors.Tensor {
	a = a.Grow(l.length(), fill, axes...)
	a.Shape = append([]int{1}, a.Shape...)
	return a.Tensor(l.LM.Double)
}

// tokensTensor is the padded prompt [1, pos].
func (l *Local) tokensTensor() *tensors.Tensor {
	padded := make([]int32, l.length())
	copy(padded, l.Tokens)
	return tensors.FromFlatDataAndDimensions(padded, 1, len(padded))
}

// frozenInputs are the frozen patterns and divisors as program inputs.
func (l *Local) frozenInputs() []*tensors.Tensor {
	list := []*tensors.Tensor{l.padded(l.scaleF, 1, 0)}
	for i := range l.pattern {
		list = append(list, l.padded(l.pattern[i], 0, 1, 2), l.padded(l.scale1[i], 1, 0), l.padded(l.scale2[i], 1, 0))
	}
	return list
}

// skipTensors are the skip weights, none without skip.
func (l *Local) skipTensors() []*tensors.Tensor {
	var list []*tensors.Tensor
	for _, w := range l.CLT.WSkip {
		list = append(list, gpt2.Array{Shape: []int{l.CLT.DModel, l.CLT.DModel}, F32: w}.Tensor(l.LM.Double))
	}
	return list
}
