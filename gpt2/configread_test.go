package gpt2

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"strings"
	"testing"
)

func tinyConfig(t testing.TB) map[string]any {
	t.Helper()
	data, err := os.ReadFile("testdata/tiny2/config.json")
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]any{}
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestConfigContradictions(t *testing.T) {
	good := tinyConfig(t)
	parse := func(change map[string]any) (Config, error) {
		m := maps.Clone(good)
		for k, v := range change {
			if m[k] = v; v == nil {
				delete(m, k)
			}
		}
		data, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return ParseConfig("tiny2/config.json", data)
	}
	want, err := parse(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]map[string]any{
		"other names":      {"n_layer": nil, "num_hidden_layers": 4, "n_head": nil, "num_attention_heads": want.Heads},
		"both names agree": {"num_hidden_layers": 4, "hidden_size": want.DModel, "max_position_embeddings": want.Context, "n_ctx": want.Context},
		"the old context":  {"n_positions": nil, "n_ctx": want.Context},
		"no pruned heads":  {"pruned_heads": map[string]any{}, "quantization_config": json.RawMessage("null")},
		"several that end": {"eos_token_id": []int{1, 2}},
		"none that ends":   {"eos_token_id": nil},
		"what we ignore":   {"summary_type": "cls_index", "torch_dtype": "float16", "attn_pdrop": 0.1, "task_specific_params": map[string]any{"a": 1}},
	} {
		if got, err := parse(change); err != nil || got != want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for says, change := range map[string]map[string]any{
		"n_layer is 4 and num_hidden_layers 6":                     {"num_hidden_layers": 6},
		"n_embd is":                                                {"hidden_size": 1},
		"n_positions is 32 and n_ctx 64":                           {"n_ctx": 64},
		"max_position_embeddings":                                  {"max_position_embeddings": 64},
		"names are told apart":                                     {"n_layer": nil, "N_LAYER": 4},
		"pruned_heads":                                             {"pruned_heads": map[string]any{"1": []int{0}}},
		"quantization_config":                                      {"quantization_config": map[string]any{"bits": 4}},
		"is_encoder_decoder":                                       {"is_encoder_decoder": true},
		"bos_token_id -7":                                          {"bos_token_id": -7},
		"bos_token_id 97":                                          {"bos_token_id": 97},
		"layer_norm_epsilon is 3":                                  {"layer_norm_epsilon": 3},
		"layer_norm_epsilon is 0":                                  {"layer_norm_epsilon": 0},
		"more than any GPT-2":                                      {"n_layer": 1 << 40},
		"are more than any":                                        {"vocab_size": 1 << 40},
		"n_inner is -4":                                            {"n_inner": -4},
		"is not a config":                                          {"n_embd": 1e30},
		"n_layer is 2.5, wanted is a whole number":                 {"n_layer": 2.5},
		"bos_token_id is a list, wanted is a whole number":         {"bos_token_id": []int{1}},
		"eos_token_id is a string, wanted is a whole number":       {"eos_token_id": "x"},
		"layer_norm_epsilon is a string, wanted is a number":       {"layer_norm_epsilon": "1e-5"},
		"tie_word_embeddings is a number, wanted is true or false": {"tie_word_embeddings": 1},
		"scale_attn_weights is false, which is not supported":      {"scale_attn_weights": false},
		"scale_attn_by_inverse_layer_idx is true":                  {"scale_attn_by_inverse_layer_idx": true},
		"add_cross_attention is true":                              {"add_cross_attention": true},
	} {
		if _, err := parse(change); err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "tiny2/config.json") {
			t.Errorf("%v: error %v, want %q", change, err, says)
		}
	}
	if _, err := ParseConfig("x", []byte("[]")); err == nil || !strings.Contains(err.Error(), "a list where an object is wanted") {
		t.Errorf("an array: %v", err)
	}
	if c, err := ParseConfig("x", []byte(`{"n_layer":1,"n_embd":2,"n_head":1,"vocab_size":3,"n_positions":4,"eos_token_id":[2,1]}`)); err != nil || c.BOS != 2 {
		t.Errorf("several that end, none that begins: BOS %d, %v", c.BOS, err)
	}
	for _, text := range []string{`{"n_layer":4,"n_layer":4}`, `{"n_layer":4,"N_Layer":5}`, `{"n_layer":4,"n_\u006cayer":4}`} {
		if _, err := ParseConfig("x", []byte(text)); err == nil || !strings.Contains(err.Error(), "twice") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	good, err := json.Marshal(tinyConfig(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	for _, s := range []string{"{}", "null", "[]", `{"n_layer":1,"n_embd":2,"n_head":1,"vocab_size":3,"n_positions":4}`,
		`{"num_hidden_layers":1,"hidden_size":2,"num_attention_heads":2,"vocab_size":3,"n_ctx":4,"n_inner":null,"bos_token_id":null}`,
		`{"n_layer":1,"N_LAYER":2}`, `{"n_embd":9223372036854775807}`, `{"layer_norm_epsilon":1e-400,"n_inner":0}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseConfig("fuzz", data)
		if err != nil {
			if c != (Config{}) || !strings.HasPrefix(err.Error(), "gpt2: ") || !strings.Contains(err.Error(), "fuzz") {
				t.Fatalf("%+v, %v", c, err)
			}
			return
		}
		if err := c.Validate(); err != nil || c.DHead()*c.Heads != c.DModel {
			t.Fatalf("%+v was read, %v", c, err)
		}
		written, err := c.MarshalHF()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParseConfig("fuzz", written); err != nil || again != c {
			t.Fatalf("%+v comes back as %+v, %v", c, again, err)
		}
		// What is there twice is refused, whatever else is there.
		twice := bytes.Replace(written, []byte("{"), []byte(`{"n_layer": 1, `), 1)
		if _, err := ParseConfig("fuzz", twice); err == nil {
			t.Fatalf("%s was read", twice)
		}
	})
}

// A small vocabulary with the library's default bos_token_id has none.
func TestDefaultBOSOfSmallVocabulary(t *testing.T) {
	c, err := ParseConfig("small", []byte(`{"n_layer":1,"n_embd":4,"n_head":2,"vocab_size":11,"n_positions":4,"bos_token_id":50256,"eos_token_id":50256}`))
	if err != nil || c.BOS != -1 {
		t.Errorf("BOS %d, %v; want -1", c.BOS, err)
	}
}
