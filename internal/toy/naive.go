package toy

import (
	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/internal/naive"
)

// NaiveModel is a model for the oracle.
func NaiveModel(cfg gpt2.Config, p gpt2.Params) *naive.Model {
	m := &naive.Model{Layers: cfg.Layers, DModel: cfg.DModel, Heads: cfg.Heads, DMLP: cfg.DMLP, Vocab: cfg.DVocab,
		Eps: cfg.LayerNormEps, W: map[string][]float64{}}
	for name, a := range p {
		m.W[name] = a.Float64s()
	}
	return m
}

// NaiveCLT is a transcoder for the oracle.
func NaiveCLT(t *clt.Transcoder) *naive.CLT {
	wide := func(layers [][]float32) (out [][]float64) {
		for _, v := range layers {
			out = append(out, gpt2.Array{F32: v}.Float64s())
		}
		return out
	}
	return &naive.CLT{Layers: t.Layers, DModel: t.DModel, Features: t.Features, K: t.K, Activation: t.Activation, Read: string(t.Read),
		PerLayer: t.PerLayer, WEnc: wide(t.WEnc), BEnc: wide(t.BEnc), Threshold: wide(t.Threshold), WDec: wide(t.WDec), BDec: wide(t.BDec),
		WSkip: wide(t.WSkip)}
}
