package gpt2

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Config holds the dimensions of a GPT-2 model.
type Config struct {
	Layers        int     // blocks
	DModel        int     // width of the residual stream
	Heads         int     // attention heads per block; DModel is a multiple
	DMLP          int     // neurons per MLP
	DVocab        int     // tokens in the vocabulary
	Context       int     // longest input, in tokens
	LayerNormEps  float64 // added to the variance
	TieEmbeddings bool    // the output head is wte
	BOS           int32   // id of <|endoftext|>, put in front of a prompt; -1 for none
}

// Small returns the dimensions of GPT-2 small (124M parameters).
func Small() Config {
	return Config{Layers: 12, DModel: 768, Heads: 12, DMLP: 3072, DVocab: 50257, Context: 1024,
		LayerNormEps: 1e-5, TieEmbeddings: true, BOS: 50256}
}

// DHead is the width of one attention head.
func (c Config) DHead() int { return c.DModel / c.Heads }

// Validate names the first field that cannot be.
func (c Config) Validate() error {
	for _, f := range []struct {
		name  string
		value int
	}{{"n_layer", c.Layers}, {"n_embd", c.DModel}, {"n_head", c.Heads}, {"n_inner", c.DMLP}, {"vocab_size", c.DVocab}, {"n_positions", c.Context}} {
		if f.value <= 0 {
			return fmt.Errorf("gpt2: config: %s is %d, must be positive", f.name, f.value)
		}
	}
	if c.DModel%c.Heads != 0 {
		return fmt.Errorf("gpt2: config: n_embd %d is not a multiple of n_head %d", c.DModel, c.Heads)
	}
	if !(c.LayerNormEps > 0) {
		return fmt.Errorf("gpt2: config: layer_norm_epsilon is %g, must be positive", c.LayerNormEps)
	}
	if int(c.BOS) >= c.DVocab {
		return fmt.Errorf("gpt2: config: bos_token_id %d is outside the vocabulary of %d", c.BOS, c.DVocab)
	}
	return nil
}

// hfConfig is the part of Hugging Face's config.json that decides the
// computation. Fields that would change it are read so that they can be refused.
type hfConfig struct {
	Architectures   []string `json:"architectures,omitempty"`
	ModelType       string   `json:"model_type"`
	Activation      string   `json:"activation_function"`
	Layers          int      `json:"n_layer"`
	DModel          int      `json:"n_embd"`
	Heads           int      `json:"n_head"`
	DMLP            *int     `json:"n_inner"`
	DVocab          int      `json:"vocab_size"`
	Context         int      `json:"n_positions"`
	ContextOld      int      `json:"n_ctx,omitempty"`
	Eps             *float64 `json:"layer_norm_epsilon"`
	Tie             *bool    `json:"tie_word_embeddings,omitempty"`
	BOS             *int32   `json:"bos_token_id"`
	EOS             *int32   `json:"eos_token_id"`
	ScaleAttn       *bool    `json:"scale_attn_weights,omitempty"`
	ScaleByLayer    bool     `json:"scale_attn_by_inverse_layer_idx,omitempty"`
	CrossAttention  bool     `json:"add_cross_attention,omitempty"`
	InitializerRang float64  `json:"initializer_range,omitempty"`
}

// ReadConfig reads a Hugging Face config.json. Switches that change the
// computation and are not implemented are refused, never ignored.
func ReadConfig(file string) (Config, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return Config{}, fmt.Errorf("gpt2: read config: %w", err)
	}
	return ParseConfig(filepath.Base(filepath.Dir(file))+"/"+filepath.Base(file), data)
}

// ParseConfig is ReadConfig on bytes; name is used in errors.
func ParseConfig(name string, data []byte) (Config, error) {
	var h hfConfig
	if err := json.Unmarshal(data, &h); err != nil {
		return Config{}, fmt.Errorf("gpt2: %s is not a config: %w", name, err)
	}
	if h.ModelType != "" && h.ModelType != "gpt2" {
		return Config{}, fmt.Errorf("gpt2: %s: model_type is %q, only \"gpt2\" is supported", name, h.ModelType)
	}
	switch h.Activation {
	case "", "gelu_new", "gelu_pytorch_tanh":
	default:
		return Config{}, fmt.Errorf("gpt2: %s: activation_function %q is not supported, GPT-2 has gelu_new", name, h.Activation)
	}
	if h.ScaleByLayer || h.CrossAttention || (h.ScaleAttn != nil && !*h.ScaleAttn) {
		return Config{}, fmt.Errorf("gpt2: %s: scale_attn_by_inverse_layer_idx, add_cross_attention and scale_attn_weights=false are not supported", name)
	}
	c := Config{Layers: h.Layers, DModel: h.DModel, Heads: h.Heads, DMLP: 4 * h.DModel, DVocab: h.DVocab,
		Context: h.Context, LayerNormEps: 1e-5, TieEmbeddings: true, BOS: -1}
	if c.Context == 0 {
		c.Context = h.ContextOld
	}
	if h.DMLP != nil {
		c.DMLP = *h.DMLP
	}
	if h.Eps != nil {
		c.LayerNormEps = *h.Eps
	}
	if h.Tie != nil {
		c.TieEmbeddings = *h.Tie
	}
	if h.BOS != nil {
		c.BOS = *h.BOS
	} else if h.EOS != nil {
		c.BOS = *h.EOS
	}
	if err := c.Validate(); err != nil {
		return Config{}, fmt.Errorf("%w (in %s)", err, name)
	}
	return c, nil
}

// MarshalHF writes the config as Hugging Face's config.json.
func (c Config) MarshalHF() ([]byte, error) {
	h := hfConfig{Architectures: []string{"GPT2LMHeadModel"}, ModelType: "gpt2", Activation: "gelu_new",
		Layers: c.Layers, DModel: c.DModel, Heads: c.Heads, DMLP: &c.DMLP, DVocab: c.DVocab, Context: c.Context,
		Eps: &c.LayerNormEps, Tie: &c.TieEmbeddings, InitializerRang: 0.02}
	if c.BOS >= 0 {
		h.BOS, h.EOS = &c.BOS, &c.BOS
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	if err := enc.Encode(h); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
