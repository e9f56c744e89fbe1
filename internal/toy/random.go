package toy

import (
	"math"
	"math/rand/v2"
	"sort"
	"strings"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// RandomConfig is a GPT-2 of three layers, width 8, 13 tokens.
func RandomConfig() gpt2.Config {
	return gpt2.Config{Layers: 3, DModel: 8, Heads: 2, DMLP: 16, DVocab: 13, Context: 8, LayerNormEps: 1e-5, TieEmbeddings: true, BOS: 12}
}

// RandomModel draws weights in which nothing is zero: biases too, and LayerNorm
// gains around 1. The same seed gives the same weights.
func RandomModel(cfg gpt2.Config, seed uint64) gpt2.Params {
	r := rand.New(rand.NewPCG(seed, 0x70))
	p := gpt2.Params{}
	shapes := gpt2.WeightShapes(cfg)
	for _, name := range sortedNames(shapes) {
		a := gpt2.NewArray(shapes[name], true)
		for i := range a.F64 {
			a.F64[i] = 0.4 * r.NormFloat64()
			if strings.Contains(name, "ln_") && strings.HasSuffix(name, ".weight") {
				a.F64[i]++
			}
		}
		p[name] = a
	}
	return p
}

// RandomCLT draws a transcoder in which nothing is zero; about a third of its
// features are active where inputs are of size one.
func RandomCLT(cfg clt.Config, seed uint64) *clt.Transcoder {
	r := rand.New(rand.NewPCG(seed, 0x71))
	t := &clt.Transcoder{Config: cfg}
	draw := func(n int) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(0.4 * r.NormFloat64())
		}
		return v
	}
	for l := range cfg.Layers {
		f, d := cfg.Features, cfg.DModel
		t.WEnc = append(t.WEnc, draw(f*d))
		t.BEnc = append(t.BEnc, draw(f))
		t.WDec = append(t.WDec, draw(f*cfg.Targets(l)*d))
		t.BDec = append(t.BDec, draw(d))
		if cfg.HasThreshold() {
			theta := draw(f)
			for i, v := range theta {
				theta[i] = float32(math.Abs(float64(v)) + 0.05)
			}
			t.Threshold = append(t.Threshold, theta)
		}
		if cfg.Skip {
			t.WSkip = append(t.WSkip, draw(d*d))
		}
	}
	return t
}

// RandomKinds has one small transcoder configuration of every kind: activation
// functions, cross-layer and per-layer, with and without skip, and the three
// points that encoders may read.
func RandomKinds(m gpt2.Config) map[string]clt.Config {
	kinds := map[string]clt.Config{}
	for name, c := range map[string]clt.Config{
		"relu": {Activation: clt.ActReLU}, "jumprelu": {Activation: clt.ActJumpReLU},
		"topk": {Activation: clt.ActTopK, K: 4}, "batchtopk": {Activation: clt.ActBatchTopK, K: 4},
	} {
		for i, read := range clt.ReadSites() {
			// Kinds of read points, per-layer and skip meet in turn, not all with all.
			c.Layers, c.DModel, c.Features, c.Model, c.Read = m.Layers, m.DModel, 14, "toy", read
			c.PerLayer, c.Skip = i == 1, i == 2
			kinds[name+" "+string(read)] = c
			c.PerLayer, c.Skip = i == 2, i == 0
			kinds[name+" other "+string(read)] = c
		}
	}
	return kinds
}

func sortedNames[V any](m map[string]V) []string {
	var names []string
	for n := range m {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}
