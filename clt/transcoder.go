package clt

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// Transcoder holds the weights of a cross-layer transcoder in raw space: it
// reads activations of the model as they are and writes MLP outputs as they are
// (the scales of training are folded in). Weights are row-major float32.
type Transcoder struct {
	Config
	WEnc      [][]float32 // layer -> [features, d_model]
	BEnc      [][]float32 // layer -> [features]
	Threshold [][]float32 // layer -> [features]; nil for relu and topk
	WDec      [][]float32 // source layer -> [features, targets, d_model]; target k is layer source+k
	BDec      [][]float32 // target layer -> [d_model]
	WSkip     [][]float32 // layer -> [d_model, d_model], used as x·W; nil without skip
	Info      Info        // where the weights come from

	lazy *lazyDecoders // decoders on the disk, see LoadLazy; nil if they are in WDec
}

// New returns a transcoder with random weights: encoders uniform in
// ±1/sqrt(features), decoders uniform in ±1/sqrt(layers·d_model), biases zero,
// thresholds theta0 (method: Anthropic 2025, "Circuit Tracing", training).
// The same config and seed give the same weights.
func New(cfg Config, theta0 float32, seed uint64) (*Transcoder, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if !(theta0 >= 0) || math.IsInf(float64(theta0), 0) {
		return nil, fmt.Errorf("clt: threshold is %g, must be finite and not negative", theta0)
	}
	rng := rand.New(rand.NewPCG(seed, 0xC17))
	uniform := func(v []float32, bound float64) {
		for i := range v {
			v[i] = float32((2*rng.Float64() - 1) * bound)
		}
	}
	t := blank(cfg)
	for l := range cfg.Layers {
		uniform(t.WEnc[l], 1/math.Sqrt(float64(cfg.Features)))
		uniform(t.WDec[l], 1/math.Sqrt(float64(cfg.Layers*cfg.DModel)))
		if cfg.HasThreshold() {
			t.Threshold[l] = filled(cfg.Features, theta0)
		}
	}
	return t, nil
}

// blank returns a transcoder of zeros.
func blank(cfg Config) *Transcoder {
	t := &Transcoder{Config: cfg}
	for _, w := range t.weights() {
		*w.slot = append(*w.slot, make([]float32, size(w.shape)))
	}
	return t
}

func filled(n int, v float32) []float32 {
	s := make([]float32, n)
	for i := range s {
		s[i] = v
	}
	return s
}

// weight is one tensor of a transcoder: its name in circuit-tracer's layout, its
// layer and shape, and where its values are.
type weight struct {
	name  string
	layer int
	shape []int
	slot  *[][]float32
}

// weights lists every tensor in a fixed order: by layer, encoder first.
func (t *Transcoder) weights() []weight {
	var list []weight
	add := func(name string, layer int, slot *[][]float32, shape ...int) {
		list = append(list, weight{fmt.Sprintf("%s_%d", name, layer), layer, shape, slot})
	}
	for l := range t.Layers {
		add("W_enc", l, &t.WEnc, t.Features, t.DModel)
		add("b_enc", l, &t.BEnc, t.Features)
		if t.HasThreshold() {
			add("threshold", l, &t.Threshold, t.Features)
		}
		add("W_dec", l, &t.WDec, t.Features, t.Targets(l), t.DModel)
		add("b_dec", l, &t.BDec, t.DModel)
		if t.Skip {
			add("W_skip", l, &t.WSkip, t.DModel, t.DModel)
		}
	}
	return list
}

func size(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// Validate checks the config, the length of every tensor and that every value
// is finite; the error names the tensor.
func (t *Transcoder) Validate() error {
	if err := t.Config.Validate(); err != nil {
		return err
	}
	for _, w := range t.weights() {
		if t.lazy != nil && w.slot == &t.WDec {
			continue // rows are checked when they are read
		}
		if len(*w.slot) != t.Layers {
			return fmt.Errorf("clt: %s: there are %d layers of it, config wants %d", w.name, len(*w.slot), t.Layers)
		}
		values := (*w.slot)[w.layer]
		if len(values) != size(w.shape) {
			return fmt.Errorf("clt: %s has %d values, config wants %v", w.name, len(values), w.shape)
		}
		for i, v := range values {
			if v-v != 0 {
				return fmt.Errorf("clt: %s holds %g at index %d; the training that made it diverged", w.name, v, i)
			}
		}
	}
	if !t.HasThreshold() && t.Threshold != nil || !t.Skip && t.WSkip != nil {
		return fmt.Errorf("clt: weights for threshold or skip are set, but activation is %s and skip is %t", t.Activation, t.Skip)
	}
	return nil
}

// DecoderNorms returns the norm of every feature's concatenated decoder vectors
// over all its targets, [layer][features], in raw space.
func (t *Transcoder) DecoderNorms() ([][]float32, error) {
	norms := make([][]float32, t.Layers)
	for l := range norms {
		norms[l] = make([]float32, t.Features)
		for f := range t.Features {
			sum := 0.0
			for _, v := range t.Decoder(l, f) {
				sum += float64(v) * float64(v)
			}
			norms[l][f] = float32(math.Sqrt(sum))
		}
	}
	return norms, t.Err()
}
