package gpt2

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etredal/cross-layer-transcoder/internal/golden"
	"github.com/etredal/cross-layer-transcoder/internal/testbackend"
)

func TestBadPromptsAreRefused(t *testing.T) {
	m := loadOn(t, "go", "testdata/tiny2", false)
	long := make([]int32, 33)
	for name, tc := range map[string]struct {
		ids  []int32
		want string
	}{
		"empty":    {nil, "no tokens"},
		"negative": {[]int32{1, -1}, "-1 at position 1"},
		"too big":  {[]int32{97}, "97 at position 0"},
		"too long": {long, "33 tokens"},
	} {
		if _, err := m.RunWithCache(tc.ids); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, tc.want)
		}
		if _, err := m.Generate(t.Context(), Program{}, tc.ids, GenerateConfig{N: 1}, nil); err == nil {
			t.Errorf("%s: Generate accepted it", name)
		}
	}
	if _, err := m.RunWithCache([]int32{1}, "blocks.9.hook_resid_mid"); err == nil {
		t.Error("an unknown hook was accepted")
	}
	if _, err := m.Generate(t.Context(), Program{}, []int32{1}, GenerateConfig{N: 40}, nil); err == nil || !strings.Contains(err.Error(), "at most 31") {
		t.Errorf("generating beyond the context: %v", err)
	}
	if _, _, err := m.RunBatch(Program{}, [][]int32{{1, 2}, {1}}); err == nil {
		t.Error("a ragged batch was accepted")
	}
}

func TestBadConfigsAreRefused(t *testing.T) {
	good, err := os.ReadFile("testdata/tiny2/config.json")
	if err != nil {
		t.Fatal(err)
	}
	for change, want := range map[string]string{
		`"n_head": 3=>"n_head": 5`:   "multiple",
		`"n_layer": 4=>"n_layer": 0`: "n_layer",
		`"gelu_new"=>"relu"`:         "relu",
		`"scale_attn_by_inverse_layer_idx": false=>"scale_attn_by_inverse_layer_idx": true`: "scale_attn",
		`"model_type": "gpt2"=>"model_type": "llama"`:                                       "llama",
		`"vocab_size": 97=>"vocab_size": "many"`:                                            "not a config",
	} {
		from, to, _ := strings.Cut(change, "=>")
		text := strings.Replace(string(good), from, to, 1)
		if text == string(good) {
			t.Fatalf("%s changes nothing", change)
		}
		if _, err := ParseConfig("config.json", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", to, err, want)
		}
	}
}

// TestGoldenCheckpoints loads every layout of the golden checkpoints to the
// expected logits, and refuses the broken ones by name.
func TestGoldenCheckpoints(t *testing.T) {
	root := filepath.Join(golden.Dir(t), "checkpoints")
	meta := struct {
		IDs []int32 `json:"ids"`
	}{}
	readJSON(t, filepath.Join(root, "meta.json"), &meta)
	want := openSafetensors(t, filepath.Join(root, "expected_logits_f64.safetensors"))
	for _, name := range want.Names() {
		dir := strings.TrimSuffix(name, ".logits")
		m, err := Load(testbackend.Open(t, "go"), filepath.Join(root, dir), LoadOptions{Double: true})
		if err != nil {
			t.Errorf("%s: %v", dir, err)
			continue
		}
		c, err := m.RunWithCache(meta.IDs)
		if err != nil {
			t.Fatal(err)
		}
		logits, err := want.Float64(name)
		if err != nil {
			t.Fatal(err)
		}
		for i, w := range logits {
			if d := c.Logits.At(i) - w; !(d < 1e-9 && d > -1e-9) {
				t.Errorf("%s: logit %d is %.12g, want %.12g", dir, i, c.Logits.At(i), w)
				break
			}
		}
	}
	checkBroken(t, filepath.Join(root, "broken"))
}

func checkBroken(t *testing.T, root string) {
	files, err := filepath.Glob(filepath.Join(root, "*.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	// What a person needs: the tensor, its shape and the one wanted, the likely cause.
	wants := map[string][]string{
		"empty":             {"only 0 bytes", "fetch the file again"},
		"header_not_json":   {"not a JSON object", "is it a safetensors file?"},
		"huge_header_len":   {"header length 4611686018427387904", "is it a safetensors file?"},
		"missing_tensor":    {"h.1.mlp.c_fc.bias is missing", "[64]", "is config.json from another model?"},
		"nan_in_ln_f":       {"ln_f.weight", "not finite at index 0 of [16]", "training diverged"},
		"transposed_c_attn": {"h.0.attn.c_attn.weight is [48 16], config wants [16 48]", "transposed"},
		"truncated_data":    {"transformer.wte.weight", "[27392, 31296] of 31196", "cut off, fetch it again"},
		"truncated_header":  {"header length 2552, but only 52 bytes follow", "cut off, fetch it again"},
	}
	if len(files) != len(wants) {
		t.Errorf("%d broken checkpoints, %d are told apart here", len(files), len(wants))
	}
	config, err := os.ReadFile(filepath.Join(root, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		dir := t.TempDir()
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for name, b := range map[string][]byte{"config.json": config, "model.safetensors": data} {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		_, err = Load(testbackend.Open(t, "go"), dir, LoadOptions{})
		if err == nil {
			t.Errorf("%s was accepted", filepath.Base(file))
			continue
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: the error has several lines: %v", filepath.Base(file), err)
		}
		name := strings.TrimSuffix(filepath.Base(file), ".safetensors")
		for _, want := range append(wants[name], "model.safetensors") {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q in it", name, err, want)
			}
		}
	}
}
