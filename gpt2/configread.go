package gpt2

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/etredal/cross-layer-transcoder/internal/strictjson"
)

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
	EOS             idOrIDs  `json:"eos_token_id"`
	ScaleAttn       *bool    `json:"scale_attn_weights,omitempty"`
	ScaleByLayer    bool     `json:"scale_attn_by_inverse_layer_idx,omitempty"`
	CrossAttention  bool     `json:"add_cross_attention,omitempty"`
	InitializerRang float64  `json:"initializer_range,omitempty"`

	// Other names of the dimensions, which the reference takes too.
	LayersToo  int `json:"num_hidden_layers,omitempty"`
	DModelToo  int `json:"hidden_size,omitempty"`
	HeadsToo   int `json:"num_attention_heads,omitempty"`
	ContextToo int `json:"max_position_embeddings,omitempty"`

	EncoderDecoder bool                       `json:"is_encoder_decoder,omitempty"`
	Pruned         map[string]json.RawMessage `json:"pruned_heads,omitempty"`
	Quantization   json.RawMessage            `json:"quantization_config,omitempty"`
}

// ReadConfig reads a Hugging Face config.json. Switches that change the
// computation and are not implemented are refused, never ignored; so are fields
// that occur twice or contradict each other.
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
	if err := strictjson.Unmarshal(data, 1, &h); err != nil {
		return Config{}, fmt.Errorf("gpt2: %s is not a config: %w; correct it, or fetch it again", name, err)
	}
	if err := exactNames(data); err != nil {
		return Config{}, fmt.Errorf("gpt2: %s: %w", name, err)
	}
	if err := h.supported(); err != nil {
		return Config{}, fmt.Errorf("gpt2: %s: %w; use a model that is a plain GPT-2", name, err)
	}
	if err := h.agree(); err != nil {
		return Config{}, fmt.Errorf("gpt2: %s: %w; which of the two is right?", name, err)
	}
	c := Config{Layers: h.Layers, DModel: h.DModel, Heads: h.Heads, DMLP: 4 * h.DModel, DVocab: h.DVocab,
		Context: h.Context, LayerNormEps: 1e-5, TieEmbeddings: true, BOS: -1}
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
	} else if len(h.EOS) > 0 {
		c.BOS = h.EOS[0]
	}
	if c.BOS == libraryBOS && h.DVocab <= libraryBOS {
		c.BOS = -1
	}
	if err := c.Validate(); err != nil {
		return Config{}, fmt.Errorf("%w (in %s); correct it, or fetch it again", err, name)
	}
	return c, nil
}

// idOrIDs is a token id, a list of them, or null for none. A model may name several
// that end its text.
type idOrIDs []int32

func (ids *idOrIDs) UnmarshalJSON(data []byte) error {
	if data[0] != '[' && string(data) != "null" {
		data = slices.Concat([]byte("["), data, []byte("]"))
	}
	err := json.Unmarshal(data, (*[]int32)(ids))
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		wrong.Field = "eos_token_id" // nobody else can tell
	}
	return err
}

func (ids idOrIDs) MarshalJSON() ([]byte, error) {
	if len(ids) == 1 {
		return json.Marshal(ids[0])
	}
	return json.Marshal([]int32(ids))
}

// libraryBOS is GPT-2's <|endoftext|>. Hugging Face's library writes it into the
// config of every model that does not say otherwise, small vocabularies too: such
// a model has none.
const libraryBOS = 50256

// supported refuses what this package does not compute.
func (h *hfConfig) supported() error {
	if h.ModelType != "" && h.ModelType != "gpt2" {
		return fmt.Errorf("model_type is %q, only \"gpt2\" is supported", h.ModelType)
	}
	switch h.Activation {
	case "", "gelu_new", "gelu_pytorch_tanh":
	default:
		return fmt.Errorf("activation_function %q is not supported, GPT-2 has gelu_new", h.Activation)
	}
	for _, field := range []struct {
		name, value string
		set         bool
	}{
		{"scale_attn_by_inverse_layer_idx", "true", h.ScaleByLayer},
		{"scale_attn_weights", "false", h.ScaleAttn != nil && !*h.ScaleAttn},
		{"add_cross_attention", "true", h.CrossAttention},
		{"is_encoder_decoder", "true", h.EncoderDecoder},
		{"pruned_heads", "not empty", len(h.Pruned) > 0},
		{"quantization_config", "there", len(h.Quantization) > 0 && string(h.Quantization) != "null"},
	} {
		if field.set {
			return fmt.Errorf("%s is %s, which is not supported", field.name, field.value)
		}
	}
	return nil
}

// agree fills in dimensions that have their other name and refuses two names
// with different values.
func (h *hfConfig) agree() error {
	for _, d := range []struct {
		name, other string
		value       *int
		too         int
	}{
		{"n_layer", "num_hidden_layers", &h.Layers, h.LayersToo},
		{"n_embd", "hidden_size", &h.DModel, h.DModelToo},
		{"n_head", "num_attention_heads", &h.Heads, h.HeadsToo},
		{"n_positions", "max_position_embeddings", &h.Context, h.ContextToo},
		{"n_positions", "n_ctx", &h.Context, h.ContextOld},
	} {
		if *d.value == 0 {
			*d.value = d.too
		}
		if d.too != 0 && d.too != *d.value {
			return fmt.Errorf("%s is %d and %s %d", d.name, *d.value, d.other, d.too)
		}
	}
	return nil
}

// exactNames refuses names that encoding/json would take for one of ours and the
// reference would not: N_LAYER.
func exactNames(data []byte) error {
	t := reflect.TypeFor[hfConfig]()
	for _, name := range strictjson.Names(data) {
		for i := range t.NumField() {
			ours, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			if name != ours && strings.EqualFold(name, ours) {
				return fmt.Errorf("%q should be %q; names are told apart by case", name, ours)
			}
		}
	}
	return nil
}
