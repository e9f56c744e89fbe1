package gpt2

import (
	"bytes"
	"encoding/json"
	"fmt"
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

// Far above every GPT-2: a damaged or hostile config must not make us count or allocate without end.
const (
	maxLayers = 1 << 12
	maxWidth  = 1 << 24
)

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
	if c.Layers > maxLayers || max(c.DModel, c.DMLP, c.DVocab, c.Context) > maxWidth {
		return fmt.Errorf("gpt2: config: %d layers, n_embd %d, n_inner %d, vocab_size %d, n_positions %d are more than any GPT-2 has; is the file damaged?",
			c.Layers, c.DModel, c.DMLP, c.DVocab, c.Context)
	}
	if c.DModel%c.Heads != 0 {
		return fmt.Errorf("gpt2: config: n_embd %d is not a multiple of n_head %d", c.DModel, c.Heads)
	}
	if !(c.LayerNormEps > 0 && c.LayerNormEps < 1) {
		return fmt.Errorf("gpt2: config: layer_norm_epsilon is %g, must be a small positive number", c.LayerNormEps)
	}
	if int(c.BOS) >= c.DVocab || c.BOS < -1 {
		return fmt.Errorf("gpt2: config: bos_token_id %d is outside the vocabulary of %d", c.BOS, c.DVocab)
	}
	return nil
}

// MarshalHF writes the config as Hugging Face's config.json.
func (c Config) MarshalHF() ([]byte, error) {
	h := hfConfig{Architectures: []string{"GPT2LMHeadModel"}, ModelType: "gpt2", Activation: "gelu_new",
		Layers: c.Layers, DModel: c.DModel, Heads: c.Heads, DMLP: &c.DMLP, DVocab: c.DVocab, Context: c.Context,
		Eps: &c.LayerNormEps, Tie: &c.TieEmbeddings, InitializerRang: 0.02}
	if c.BOS >= 0 {
		h.BOS, h.EOS = &c.BOS, idOrIDs{c.BOS}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	if err := enc.Encode(h); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
