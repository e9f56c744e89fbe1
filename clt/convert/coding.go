package convert

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/internal/vec"
)

// codingConfig is the part of crosslayer-coding's cfg.json that decides what the
// tensors mean.
type codingConfig struct {
	Features   int      `json:"num_features"`
	Layers     int      `json:"num_layers"`
	DModel     int      `json:"d_model"`
	Model      string   `json:"model_name"`
	Norm       string   `json:"normalization_method"`
	SqrtNorm   bool     `json:"sqrt_d_model_normalize"`
	Activation string   `json:"activation_fn"`
	TopK       *float64 `json:"topk_k"`
	TopKMode   string   `json:"topk_mode"`
	Input      string   `json:"mlp_input_template"`
	InputTL    string   `json:"tl_input_template"`
	Output     string   `json:"mlp_output_template"`
	Tying      string   `json:"decoder_tying"`
	Offset     bool     `json:"enable_feature_offset"`
	Scale      bool     `json:"enable_feature_scale"`
	Skip       bool     `json:"skip_connection"`
}

// moments are the mean and standard deviation of each dimension; a single number
// stands for all.
type moments struct {
	Mean vector `json:"mean"`
	Std  vector `json:"std"`
}

type layerStats struct {
	In  moments `json:"inputs"`
	Out moments `json:"targets"`
}

// vector is a list of numbers, or one number for all dimensions.
type vector []float64

// UnmarshalJSON reads either.
func (v *vector) UnmarshalJSON(data []byte) error {
	var one float64
	if json.Unmarshal(data, &one) == nil {
		*v = vector{one}
		return nil
	}
	return json.Unmarshal(data, (*[]float64)(v))
}

// spread is the vector with one entry for each dimension.
func (v vector) spread(what string, d int) ([]float64, error) {
	switch len(v) {
	case d:
		return v, nil
	case 1:
		return slices.Repeat(v, d), nil
	}
	return nil, fmt.Errorf("norm_stats.json: %s has %d numbers, d_model is %d", what, len(v), d)
}

// coding reads crosslayer-coding: inputs are (x − μ)/σ, outputs are ·σ + μ.
func (r *reader) coding() error {
	var cfg codingConfig
	if err := readJSON(r, "cfg.json", &cfg); err != nil {
		return err
	}
	if cfg.Layers <= 0 || cfg.DModel <= 0 || cfg.Features <= 0 {
		return fmt.Errorf("cfg.json: num_layers %d, d_model %d, num_features %d must all be positive", cfg.Layers, cfg.DModel, cfg.Features)
	}
	t := r.t
	t.Config = clt.Config{Layers: cfg.Layers, DModel: cfg.DModel, Features: cfg.Features, Skip: cfg.Skip, Model: cfg.Model}
	if cfg.Offset || cfg.Scale {
		return fmt.Errorf("cfg.json: feature_offset or feature_scale is on, which the common form cannot express; train without them")
	}
	if err := r.codingRead(cfg); err != nil {
		return err
	}
	if err := r.codingActivation(cfg); err != nil {
		return err
	}
	stats, err := r.codingStats(cfg)
	if err != nil {
		return err
	}
	name, err := r.codingWeights()
	if err != nil {
		return err
	}
	b, err := r.open(name)
	if err != nil {
		return err
	}
	defer b.Close()
	for l := range cfg.Layers {
		if err := r.codingLayer(b, cfg, stats, l); err != nil {
			return err
		}
	}
	if b.has("theta_manager.log_threshold") { // every activation function has it, JumpReLU alone uses it
		b.ignore("theta_manager.log_threshold")
	}
	for _, n := range b.Names() {
		if strings.HasPrefix(n, "theta_manager.") && n != "theta_manager.log_threshold" {
			b.ignore(n) // sums for a conversion to JumpReLU
		}
	}
	return b.done()
}

// codingRead finds the hook from the names of the modules that were recorded.
func (r *reader) codingRead(cfg codingConfig) error {
	if r.opt.Read != "" {
		r.t.Read = r.opt.Read
		return nil
	}
	for _, name := range []string{cfg.InputTL, cfg.Input} {
		switch {
		case name == "":
		case strings.HasSuffix(name, "hook_resid_mid") || strings.HasSuffix(name, "ln_2.input"):
			r.t.Read = gpt2.ResidMid
		case strings.HasSuffix(name, "ln2.hook_normalized"):
			r.t.Read = gpt2.Ln2Normalized
		case strings.HasSuffix(name, "ln_2") || strings.HasSuffix(name, "ln_2.output") || strings.HasSuffix(name, "mlp.input") || strings.HasSuffix(name, "mlp.hook_in"):
			r.t.Read = gpt2.MLPIn
		default:
			return fmt.Errorf("cfg.json: the input is %q, which is none of the known read points; say which it is with -read (%v)", name, clt.ReadSites())
		}
		if r.t.Read != "" {
			return nil
		}
	}
	r.t.Read = gpt2.ResidMid
	r.remark("cfg.json names no input hook: read at %s, as that project's GPT-2 example does; -read says otherwise", gpt2.ResidMid)
	return nil
}

func (r *reader) codingActivation(cfg codingConfig) error {
	t := r.t
	t.Activation = cfg.Activation
	switch {
	case r.opt.Activation != "" || cfg.Activation == "relu":
		t.Activation = clt.ActReLU
	case cfg.Activation == "" || cfg.Activation == "jumprelu":
		t.Activation = clt.ActJumpReLU
	case cfg.Activation == "topk" && cfg.TopKMode == "per_layer" && cfg.TopK != nil && *cfg.TopK > 0:
		t.Activation, t.K = clt.ActTopK, int(*cfg.TopK)
		if *cfg.TopK < 1 {
			t.K = max(int(*cfg.TopK*float64(cfg.Features)), 1)
		}
		r.remark("its top-k ranks features by how unusual they are in their batch, ours by size: a few of the %d may be others", t.K)
	default:
		return fmt.Errorf("cfg.json: activation_fn %q (topk_mode %q) depends on the rest of the batch; convert it to jumprelu with that project's own script first, or read it as relu or topk with -activation", cfg.Activation, cfg.TopKMode)
	}
	return nil
}

// codingStats reads the scales of each layer; those of no normalisation are 0 and 1.
func (r *reader) codingStats(cfg codingConfig) ([]layerStats, error) {
	d := cfg.DModel
	stats := make([]layerStats, cfg.Layers)
	method := cfg.Norm
	if cfg.SqrtNorm {
		method = "sqrt_d_model"
	}
	var all map[string]layerStats
	switch method {
	case "none", "":
	case "sqrt_d_model", "auto_sqrt_d_model", "estimated_mean_std_sqrt_d_model":
		return nil, fmt.Errorf("cfg.json: normalization_method %q: how its outputs are scaled back is not defined by the files; use none or mean_std", method)
	case "mean_std", "auto", "estimated_mean_std":
		if err := readJSON(r, "norm_stats.json", &all); err != nil {
			return nil, fmt.Errorf("normalization_method is %s: %w", method, err)
		}
	default:
		return nil, fmt.Errorf("cfg.json: normalization_method %q is not known; it may be none or mean_std", method)
	}
	for l := range stats {
		s := layerStats{moments{vector{0}, vector{1}}, moments{vector{0}, vector{1}}}
		if all != nil {
			var ok bool
			if s, ok = all[strconv.Itoa(l)]; !ok {
				return nil, fmt.Errorf("norm_stats.json has no layer %d of %d", l, cfg.Layers)
			}
		}
		for _, x := range []struct {
			what string
			v    *vector
			std  bool
		}{{"inputs.mean", &s.In.Mean, false}, {"inputs.std", &s.In.Std, true}, {"targets.mean", &s.Out.Mean, false}, {"targets.std", &s.Out.Std, true}} {
			what := fmt.Sprintf("layer %d %s", l, x.what)
			v, err := x.v.spread(what, d)
			if err == nil && x.std {
				err = positive("norm_stats.json: "+what, v)
			}
			if err != nil {
				return nil, err
			}
			*x.v = v
		}
		stats[l] = s
	}
	return stats, nil
}

var checkpointName = regexp.MustCompile(`^clt_checkpoint_(\d{1,12})\.safetensors$`)

// codingWeights chooses the file of weights: the final one, else the last
// checkpoint, else the only one.
func (r *reader) codingWeights() (string, error) {
	best, step := "", -1
	list := glob(r, "*.safetensors")
	for _, name := range list {
		if name == "model.safetensors" || name == "clt.safetensors" {
			return name, nil
		}
		if m := checkpointName.FindStringSubmatch(name); m != nil {
			if n, _ := strconv.Atoi(m[1]); n > step {
				best, step = name, n
			}
		}
	}
	switch {
	case best != "":
		if len(list) > 1 {
			r.remark("there are %d checkpoints; the last, %s, is read", len(list), best)
		}
		return best, nil
	case len(list) == 1:
		return list[0], nil
	}
	return "", fmt.Errorf("cannot tell which of %v holds the weights; keep one, or name it model.safetensors", list)
}

func (r *reader) codingLayer(b *bundle, cfg codingConfig, stats []layerStats, l int) error {
	t := r.t
	n, d := t.Features, t.DModel
	enc := fmt.Sprintf("encoder_module.encoders.%d.", l)
	w, err := b.get(enc+"weight", n, d)
	if err != nil {
		return err
	}
	bias, err := b.optional(enc+"bias_param", n)
	if err != nil {
		return err
	}
	if bias == nil {
		bias = make([]float32, n)
	}
	in, out := stats[l].In, stats[l].Out
	scaleCols(w, inverse(in.Std))
	for f := range n {
		bias[f] = float32(float64(bias[f]) - dotWide(w[f*d:][:d], in.Mean))
	}
	t.WEnc, t.BEnc = append(t.WEnc, w), append(t.BEnc, bias)
	if t.Activation == clt.ActJumpReLU {
		theta, err := b.part("theta_manager.log_threshold", l, t.Layers, n)
		if err != nil {
			return err
		}
		t.Threshold = append(t.Threshold, exp(theta))
	}
	if err := r.codingDecoders(b, cfg.Tying, stats, l); err != nil {
		return err
	}
	return r.codingOutput(b, cfg.Tying, in, out, l)
}

// codingKey names the decoder from a source to a target layer.
func codingKey(tying string, source, target int) (string, error) {
	const base = "decoder_module.decoders."
	switch tying {
	case "none", "":
		return fmt.Sprintf("%s%d->%d.", base, source, target), nil
	case "per_source":
		return fmt.Sprintf("%s%d.", base, source), nil
	case "per_target":
		return fmt.Sprintf("%s%d.", base, target), nil
	}
	return "", fmt.Errorf("cfg.json: decoder_tying %q is not known; it may be none, per_source or per_target", tying)
}

// codingDecoders reads what a source layer writes.
func (r *reader) codingDecoders(b *bundle, tying string, stats []layerStats, l int) error {
	t := r.t
	dec := newDecoders(t.Features, t.Targets(l), t.DModel)
	for k := range t.Targets(l) {
		key, err := codingKey(tying, l, l+k)
		if err != nil {
			return err
		}
		w, err := b.get(key+"weight", t.DModel, t.Features)
		if err != nil {
			return err
		}
		w = vec.Transposed(w, t.DModel, t.Features)
		scaleCols(w, stats[l+k].Out.Std)
		dec.set(k, w)
	}
	t.WDec = append(t.WDec, dec.w)
	return nil
}

// codingOutput reads the biases and the skip that write to a target layer. A
// decoder that all sources of a target share has one bias.
func (r *reader) codingOutput(b *bundle, tying string, in, out moments, m int) error {
	t, d := r.t, r.t.DModel
	sum := make([]float32, d)
	for s := 0; s <= m; s++ {
		if tying == "per_target" && s < m {
			continue
		}
		key, err := codingKey(tying, s, m)
		if err != nil {
			return err
		}
		v, err := b.optional(key+"bias_param", d)
		if err != nil {
			return err
		}
		add(sum, v)
	}
	scaleCols(sum, out.Std)
	for j := range sum {
		sum[j] = float32(float64(sum[j]) + out.Mean[j])
	}
	if t.Skip {
		w, err := b.get(fmt.Sprintf("decoder_module.skip_weights.%d", m), d, d) // [out, in]
		if err != nil {
			return err
		}
		w = vec.Transposed(w, d, d) // [in, out]: x·W
		scaleCols(w, out.Std)
		for i := range d {
			scale(w[i*d:][:d], 1/in.Std[i])
			for j := range d {
				sum[j] = float32(float64(sum[j]) - in.Mean[i]*float64(w[i*d+j]))
			}
		}
		t.WSkip = append(t.WSkip, w)
	}
	t.BDec = append(t.BDec, sum)
	return nil
}

func inverse(v []float64) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = 1 / x
	}
	return out
}

func dotWide(a []float32, b []float64) float64 {
	sum := 0.0
	for i, x := range a {
		sum += float64(x) * b[i]
	}
	return sum
}
