package convert

import (
	"fmt"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/internal/vec"
)

// forgeConfig is the part of clt_cfg.json that the tensors do not tell.
type forgeConfig struct {
	Model      string `json:"model_name"`
	DIn        int    `json:"d_in"`
	DLatent    int    `json:"d_latent"`
	Layers     int    `json:"n_layers"`
	Cross      *bool  `json:"cross_layer_decoders"`
	Activation string `json:"activation_fn"`
	Sharded    bool   `json:"feature_sharding"`
}

// forge reads CLT-Forge: inputs are scaled by scale_in before the encoder, the
// decoders write outputs scaled by scale_out, and every pair of layers has a bias.
func (r *reader) forge() error {
	var cfg forgeConfig
	if err := readJSON(r, "clt_cfg.json", &cfg); err != nil {
		return err
	}
	if cfg.Layers <= 0 || cfg.DIn <= 0 || cfg.DLatent <= 0 {
		return fmt.Errorf("clt_cfg.json: n_layers %d, d_in %d, d_latent %d must all be positive", cfg.Layers, cfg.DIn, cfg.DLatent)
	}
	t := r.t
	t.Config = clt.Config{Layers: cfg.Layers, DModel: cfg.DIn, Features: cfg.DLatent, PerLayer: cfg.Cross != nil && !*cfg.Cross,
		Read: gpt2.Ln2Normalized, Model: cfg.Model, Activation: clt.ActJumpReLU}
	if cfg.Activation != "" && cfg.Activation != "jumprelu" && r.opt.Activation == "" {
		return fmt.Errorf("clt_cfg.json: activation_fn is %q, only jumprelu can be read exactly; choose relu or topk with -activation to read it so", cfg.Activation)
	}
	shards, err := r.forgeShards()
	if err != nil {
		return err
	}
	for _, b := range shards {
		defer b.Close()
	}
	widths, err := forgeWidths(shards, cfg)
	if err != nil {
		return err
	}
	in, out, err := forgeScales(shards[0], cfg.Layers)
	if err != nil {
		return err
	}
	for l := range cfg.Layers {
		if err := r.forgeLayer(shards, widths, l, in, out); err != nil {
			return err
		}
	}
	if err := r.forgeBiases(shards[0], out); err != nil {
		return err
	}
	t.Info.Stats = &clt.Stats{ScaleIn: in, ScaleOut: out}
	for _, b := range shards {
		b.ignore("layer_mask", "feature_count", "l_idx", "k_idx")
		if b != shards[0] {
			b.ignore("b_dec", "estimated_norm_scaling_factor_in", "estimated_norm_scaling_factor_out")
		}
		if err := b.done(); err != nil {
			return err
		}
	}
	return nil
}

// forgeShards opens the one file of weights, or one for each rank.
func (r *reader) forgeShards() ([]*bundle, error) {
	if b, err := r.open("clt_weights.safetensors"); err == nil {
		return []*bundle{b}, nil
	} else if len(glob(r, "rank*_clt_weights.safetensors")) == 0 {
		return nil, err
	}
	var list []*bundle
	for i := range glob(r, "rank*_clt_weights.safetensors") {
		b, err := r.open(fmt.Sprintf("rank%d_clt_weights.safetensors", i))
		if err != nil {
			return nil, err
		}
		list = append(list, b)
	}
	return list, nil
}

// forgeWidths is how many of each layer's features each shard has.
func forgeWidths(shards []*bundle, cfg forgeConfig) ([]int, error) {
	var widths []int
	total := 0
	for _, b := range shards {
		s, err := b.shape("W_enc", 3)
		if err != nil {
			return nil, err
		}
		widths, total = append(widths, s[2]), total+s[2]
	}
	if total != cfg.DLatent {
		return nil, fmt.Errorf("the %d files of weights have %d features per layer, clt_cfg.json says %d; is a shard missing?", len(shards), total, cfg.DLatent)
	}
	return widths, nil
}

func forgeScales(b *bundle, layers int) (in, out []float64, err error) {
	one := func(name string) []float64 {
		v, e := b.optional(name, layers)
		if v == nil {
			v = make([]float32, layers)
			for i := range v {
				v[i] = 1
			}
		}
		if e == nil {
			e = positive(name, wide(v))
		}
		if err == nil {
			err = e
		}
		return wide(v)
	}
	return one("estimated_norm_scaling_factor_in"), one("estimated_norm_scaling_factor_out"), err
}

// forgeLayer reads the encoders and decoders of one source layer.
func (r *reader) forgeLayer(shards []*bundle, widths []int, l int, in, out []float64) error {
	t := r.t
	n, d, layers := t.Features, t.DModel, t.Layers
	dec := newDecoders(n, t.Targets(l), d)
	enc, bias, theta := make([]float32, 0, n*d), make([]float32, 0, n), make([]float32, 0, n)
	at := 0 // first feature of the shard
	for i, b := range shards {
		w := widths[i]
		e, err1 := b.part("W_enc", l, layers, d, w)
		be, err2 := b.part("b_enc", l, layers, w)
		for _, err := range []error{err1, err2} {
			if err != nil {
				return err
			}
		}
		enc, bias = append(enc, vec.Transposed(e, d, w)...), append(bias, be...)
		if b.has("log_threshold") {
			th, err := b.part("log_threshold", l, layers, w)
			if err != nil {
				return err
			}
			theta = append(theta, exp(th)...)
		}
		for k := range t.Targets(l) {
			blocks, at0 := layers, l
			if !t.PerLayer {
				blocks, at0 = pairs(layers), pairIndex(layers, l, l+k)
			}
			m, err := b.part("W_dec", at0, blocks, w, d)
			if err != nil {
				return err
			}
			scale(m, 1/out[l+k])
			for f := range w {
				copy(dec.w[((at+f)*dec.targets+k)*d:][:d], m[f*d:][:d])
			}
		}
		at += w
	}
	scale(enc, in[l])
	t.WEnc, t.BEnc, t.WDec = append(t.WEnc, enc), append(t.BEnc, bias), append(t.WDec, dec.w)
	if len(theta) > 0 {
		t.Threshold = append(t.Threshold, theta)
	}
	return nil
}

// forgeBiases adds up the biases that sources write to each target.
func (r *reader) forgeBiases(b *bundle, out []float64) error {
	t := r.t
	for m := range t.Layers {
		sum := make([]float32, t.DModel)
		for l := 0; l <= m; l++ {
			blocks, at := t.Layers, m
			if !t.PerLayer {
				blocks, at = pairs(t.Layers), pairIndex(t.Layers, l, m)
			} else if l < m {
				continue
			}
			v, err := b.part("b_dec", at, blocks, t.DModel)
			if err != nil {
				return err
			}
			add(sum, v)
		}
		scale(sum, 1/out[m])
		t.BDec = append(t.BDec, sum)
	}
	return nil
}

// pairs is how many pairs of a source and a target layer there are.
func pairs(layers int) int { return layers * (layers + 1) / 2 }

// pairIndex is the place of a pair in row-major order of the upper triangle.
func pairIndex(layers, source, target int) int {
	return source*layers - source*(source-1)/2 + target - source
}
