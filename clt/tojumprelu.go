package clt

import (
	"context"
	"fmt"
	"iter"
	"math"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/etredal/cross-layer-transcoder/internal/vec"
)

// ToJumpReLU returns the transcoder with thresholds that give, on raw activations,
// so many active features per token in each layer: l0[layer], or for nil what the
// training of a topk, tokentopk or batchtopk transcoder keeps, or a globaltopk. One
// threshold a layer is found; a jumprelu transcoder's own are all multiplied by one
// factor a layer, and a feature of a globaltopk, which ranks by h·‖W_dec‖, gets the
// layer's threshold of that divided by its own ‖W_dec‖. The result is a jumprelu transcoder that shares all other weights.
//
// The thresholds are order statistics of the pre-activations, so that L0 is met to
// one feature on the data that is given.
func ToJumpReLU(ctx context.Context, b compute.Backend, t *Transcoder, data iter.Seq2[Batch, error], l0 []float64) (*Transcoder, error) {
	if l0 == nil && !TakesK(t.Activation) && t.Activation != ActGlobalTopK {
		return nil, fmt.Errorf("clt: calibrate: a %s transcoder keeps no given number of features; say how many are wanted", t.Activation)
	}
	if l0 != nil && len(l0) != t.Layers {
		return nil, fmt.Errorf("clt: calibrate: %d numbers of active features for %d layers; give one for each", len(l0), t.Layers)
	}
	p, err := t.preActivations(ctx, b, data)
	if err != nil {
		return nil, fmt.Errorf("clt: calibrate: %w", err)
	}
	r := *t
	r.Activation, r.K, r.Signed, r.Threshold = ActJumpReLU, 0, false, nil
	for l := range t.Layers {
		want := p.kept[l]
		if l0 != nil {
			want = int(l0[l]*float64(p.tokens) + 0.5)
		}
		if want < 1 || want > p.tokens*t.Features {
			return nil, fmt.Errorf("clt: calibrate: layer %d: %d active features on %d tokens; give more than 0 and at most %d a token", l, want, p.tokens, t.Features)
		}
		cut := float32(0)
		if v := p.positive[l]; len(v) > want {
			cut = vec.Largest(v, want+1)
		}
		theta := filled(t.Features, cut)
		for f := range theta {
			switch t.Activation {
			case ActJumpReLU:
				theta[f] *= max(t.Threshold[l][f], leastThreshold)
			case ActGlobalTopK:
				theta[f] = min(cut/p.norms[l][f], math.MaxFloat32) // a feature without decoders is never on
			}
		}
		r.Threshold = append(r.Threshold, theta)
	}
	return &r, r.Validate()
}

// leastThreshold stands for thresholds of 0, which no factor can move.
const leastThreshold = 1e-6

// preacts are the pre-activations of a sample, by layer: those above 0, for
// jumprelu divided by the threshold, for globaltopk times the decoder norm; and how
// many are kept.
type preacts struct {
	tokens   int
	positive [][]float32
	kept     []int
	norms    [][]float32 // of globaltopk
}

func (t *Transcoder) preActivations(ctx context.Context, b compute.Backend, data iter.Seq2[Batch, error]) (*preacts, error) {
	w, err := t.Upload(b, dtypes.Float32)
	if err != nil {
		return nil, err
	}
	defer w.Free()
	exec, err := graph.NewExec(b, t.preGraph)
	if err != nil {
		return nil, err
	}
	defer exec.Finalize()
	exec.SetMaxCache(-1)
	p := &preacts{positive: make([][]float32, t.Layers), kept: make([]int, t.Layers)}
	if t.Activation == ActGlobalTopK {
		if p.norms, err = t.DecoderNorms(); err != nil {
			return nil, err
		}
	}
	for batch, err := range data {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = batch.check(t.Config)
		}
		if err != nil {
			return nil, err
		}
		n := batch.Tokens(t.DModel)
		var args []any
		for _, v := range batch.In {
			args = append(args, tensors.FromFlatDataAndDimensions(v, n, t.DModel))
		}
		out, err := exec.Call(w.Inputs(args...)...)
		if err != nil {
			return nil, err
		}
		h := make([][]float32, t.Layers)
		for l, x := range out {
			if h[l], err = tensors.CopyFlatData[float32](x); err != nil {
				return nil, err
			}
			_ = x.FinalizeAll()
			_ = args[l].(*tensors.Tensor).FinalizeAll()
		}
		p.add(t, h, n)
	}
	if p.tokens == 0 {
		return nil, fmt.Errorf("there are no tokens; give some activations")
	}
	return p, nil
}

// add takes in the pre-activations of one batch, by layer [tokens, features].
func (p *preacts) add(t *Transcoder, h [][]float32, tokens int) {
	p.tokens += tokens
	first := make([]int, t.Layers)
	for l, v := range h {
		first[l] = len(p.positive[l])
		for i, a := range v {
			switch t.Activation {
			case ActJumpReLU:
				a /= max(t.Threshold[l][i%t.Features], leastThreshold)
			case ActGlobalTopK:
				a *= p.norms[l][i%t.Features]
				v[i] = a
			}
			if a > 0 {
				p.positive[l] = append(p.positive[l], a)
			}
		}
	}
	switch t.Activation {
	case ActTopK:
		for l := range h {
			p.kept[l] += tokens * t.K
		}
	case ActBatchTopK:
		var all []float32
		for l := range h {
			all = append(all, p.positive[l][first[l]:]...)
		}
		p.count(t, h, 0, tokens, rowCut(all, tokens*t.Layers*t.K))
	case ActTokenTopK, ActGlobalTopK:
		var row []float32
		none := make([]float32, t.Features)
		for i := range tokens {
			row = row[:0]
			for _, v := range h {
				row = positives(row, v[i*t.Features:(i+1)*t.Features], none)
			}
			p.count(t, h, i, i+1, rowCut(row, t.Layers*t.K))
		}
	}
}

// count adds what is above the cut in some tokens.
func (p *preacts) count(t *Transcoder, h [][]float32, lo, hi int, cut float32) {
	for l, v := range h {
		for _, a := range v[lo*t.Features : hi*t.Features] {
			if a > cut {
				p.kept[l]++
			}
		}
	}
}
