package replacement

import (
	"fmt"
	"sync"

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

	embed   gpt2.Array   // [pos, d_model]: token embeddings
	posEmb  gpt2.Array   // [pos, d_model]: position embeddings
	pattern []gpt2.Array // layer -> [head, query, key]
	scale1  []gpt2.Array // layer -> [pos, 1]: divisors sqrt(var + eps)
	scale2  []gpt2.Array
	scaleF  gpt2.Array
	mlpOut  []gpt2.Array // layer -> [pos, d_model]
	errors  []gpt2.Array // layer -> [pos, d_model]: MLP output minus reconstruction
	pre     []gpt2.Array // layer -> [pos, features]
	act     []gpt2.Array // layer -> [pos, features], position 0 zero
	skip    []gpt2.Array // layer -> [pos, d_model], nil without skip

	once   sync.Once
	frozen []*tensors.Tensor // see frozenInputs
}

// Localize runs the model once on the tokens and freezes what the graph needs.
func (m *Model) Localize(tokens []int32) (*Local, error) {
	if err := m.LM.CheckTokens(tokens); err != nil {
		return nil, err
	}
	exec, err := gpt2.Compiled(m.LM, fmt.Sprintf("local|%d|%s", m.LM.Bucket(len(tokens)), m.key), localGraph(m.LM.Config, m.CLT.Config))
	if err != nil {
		return nil, err
	}
	padded := make([]int32, m.LM.Bucket(len(tokens)))
	copy(padded, tokens)
	var args []any
	for _, t := range m.encoderTensors() {
		args = append(args, t)
	}
	outs, err := exec.Call(append(args, tensors.FromFlatDataAndDimensions(padded, 1, len(padded)))...)
	if err != nil {
		return nil, fmt.Errorf("replacement: localize: %w", err)
	}
	l := &Local{Model: m, Tokens: append([]int32{}, tokens...)}
	if err := l.unpack(outs); err != nil {
		return nil, fmt.Errorf("replacement: localize: %w", err)
	}
	if err := l.checkFinite(); err != nil {
		return nil, err
	}
	if err := l.activate(); err != nil {
		return nil, fmt.Errorf("replacement: localize: %w", err)
	}
	return l, nil
}

// unpack reads the outputs of localGraph.
func (l *Local) unpack(outs []*tensors.Tensor) (err error) {
	next := func(axes ...int) gpt2.Array {
		var a gpt2.Array
		if err == nil {
			a, err = gpt2.TakeTensor(outs[0])
		}
		outs = outs[1:]
		return a.Unbatch(len(l.Tokens), axes...)
	}
	l.Logits, l.scaleF, l.embed, l.posEmb = next(0), next(0), next(0), next(0)
	for range l.LM.Config.Layers {
		l.pattern = append(l.pattern, next(1, 2))
		l.scale1, l.scale2 = append(l.scale1, next(0)), append(l.scale2, next(0))
		l.mlpOut, l.pre = append(l.mlpOut, next(0)), append(l.pre, next(0))
		if l.CLT.Skip {
			l.skip = append(l.skip, next(0))
		}
	}
	return err
}

// activate finds the active features and what the transcoder misses.
func (l *Local) activate() error {
	f, d := l.CLT.Features, l.CLT.DModel
	recon := make([][]float64, l.CLT.Layers)
	for layer := range recon {
		recon[layer] = make([]float64, len(l.Tokens)*d)
		for i := range recon[layer] {
			recon[layer][i] = float64(l.CLT.BDec[layer][i%d])
			if l.CLT.Skip {
				recon[layer][i] += l.skip[layer].At(i)
			}
		}
	}
	l.act = activate(l.CLT, l.pre)
	for layer, act := range l.act {
		pre := l.pre[layer]
		targets := l.CLT.Targets(layer)
		for i := f; i < act.Len(); i++ { // position 0 has no features
			v := act.At(i)
			if v == 0 {
				continue
			}
			a := Active{clt.Feature{Layer: layer, Index: i % f}, i / f, v, pre.At(i)}
			l.Active = append(l.Active, a)
			dec := l.CLT.Decoder(layer, a.Index)
			for k := range targets {
				out := recon[layer+k][a.Pos*d:][:d]
				for j, w := range dec[k*d:][:d] {
					out[j] += v * float64(w)
				}
			}
		}
	}
	for layer, out := range l.mlpOut {
		e := gpt2.NewArray(out.Shape, l.LM.Double)
		for i := range e.Len() {
			set(e, i, out.At(i)-recon[layer][i])
		}
		l.errors = append(l.errors, e)
	}
	return l.CLT.Err()
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

// programKey tells programs on prompts of this length from others.
func (l *Local) programKey() string { return fmt.Sprintf("%d|%s", l.length(), l.key) }

// padded copies an array to the bucket length along the given axes, with a
// batch axis in front; new entries are fill.
func (l *Local) padded(a gpt2.Array, fill float64, axes ...int) *tensors.Tensor {
	a = a.Grow(l.length(), fill, axes...)
	a.Shape = append([]int{1}, a.Shape...)
	return l.resident(a)
}

// tokensTensor is the padded prompt [1, pos].
func (l *Local) tokensTensor() *tensors.Tensor {
	padded := make([]int32, l.length())
	copy(padded, l.Tokens)
	return tensors.FromFlatDataAndDimensions(padded, 1, len(padded))
}

// frozenInputs are the frozen patterns and divisors as program inputs, made once:
// final divisor, then by layer pattern, ln1 divisor, ln2 divisor.
func (l *Local) frozenInputs() []*tensors.Tensor {
	l.once.Do(func() {
		l.frozen = []*tensors.Tensor{l.padded(l.scaleF, 1, 0)}
		for i := range l.pattern {
			l.frozen = append(l.frozen, l.padded(l.pattern[i], 0, 1, 2), l.padded(l.scale1[i], 1, 0), l.padded(l.scale2[i], 1, 0))
		}
	})
	return append([]*tensors.Tensor{}, l.frozen...)
}

// skipTensors are the skip weights, none without skip.
func (l *Local) skipTensors() []*tensors.Tensor {
	if !l.CLT.Skip {
		return nil
	}
	var list []*tensors.Tensor
	for i := range l.CLT.Layers {
		list = append(list, l.encoderTensors()[3*i+2])
	}
	return list
}

// activate applies the transcoder's activation function to pre-activations [pos,
// features] by layer on the host; position 0 is zero.
func activate(t *clt.Transcoder, pre []gpt2.Array) []gpt2.Array {
	act := make([]gpt2.Array, len(pre))
	var narrow [][]float32
	var wide [][]float64
	for _, p := range pre {
		narrow, wide = append(narrow, p.F32), append(wide, p.F64)
	}
	if pre[0].F64 != nil {
		wide = clt.ActivateAllHost(t, wide)
	} else {
		narrow = clt.ActivateAllHost(t, narrow)
	}
	for l, p := range pre {
		act[l] = gpt2.Array{Shape: p.Shape}
		if p.F64 != nil {
			act[l].F64 = wide[l]
		} else {
			act[l].F32 = narrow[l]
		}
		clearFirst(act[l])
	}
	return act
}
