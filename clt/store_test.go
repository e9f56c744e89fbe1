package clt

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/internal/safetensors"
	"github.com/etredal/cross-layer-transcoder/internal/testenv"
	"github.com/etredal/cross-layer-transcoder/internal/vec"
)

func TestSaveLoadSave(t *testing.T) {
	for name, cfg := range configs() {
		t.Run(name, func(t *testing.T) {
			x := randomTranscoder(t, cfg, 3)
			tc := DefaultTrainConfig()
			tc.CheckpointEvery, tc.KeepCheckpoints = 0, 0 // of the run, not of the result
			x.Info = Info{Train: &tc, Steps: 12, Tokens: 345, Note: "a note", Stats: &Stats{ScaleIn: []float64{1, 2, 3}, ScaleOut: []float64{4, 5, 6}, Tokens: 9}}
			first, second := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
			if err := x.Save(first); err != nil {
				t.Fatal(err)
			}
			y, err := Load(first)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(x, y) {
				t.Fatalf("loaded transcoder differs: config %+v, %+v", x.Config, y.Config)
			}
			if err := y.Save(second); err != nil {
				t.Fatal(err)
			}
			if a, b := testenv.Files(t, first), testenv.Files(t, second); !reflect.DeepEqual(a, b) {
				t.Fatal("second save has other bytes")
			}
			if err := y.Save(first); err != nil {
				t.Fatalf("save over itself: %v", err)
			}
		})
	}
}

// The files are what circuit-tracer reads: a batchtopk transcoder looks like a
// JumpReLU, the per-layer skip is transposed.
func TestSavedLayout(t *testing.T) {
	cfg := configs()["batchtopk"]
	x := randomTranscoder(t, cfg, 1)
	dir := filepath.Join(t.TempDir(), "clt")
	if err := x.Save(dir); err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Open(filepath.Join(dir, "W_dec_1.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if info, _ := f.Info("W_dec_1"); !reflect.DeepEqual(info.Shape, []int{6, 2, 4}) {
		t.Errorf("W_dec_1 is %v", info.Shape)
	}
	e, err := safetensors.Open(filepath.Join(dir, "W_enc_2.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if got := strings.Join(e.Names(), " "); got != "W_enc_2 b_dec_2 b_enc_2 threshold_2" {
		t.Errorf("W_enc_2.safetensors has %s", got)
	}
	yaml := testenv.Files(t, dir)["config.yaml"]
	if want := "model_name: toy\nmodel_kind: cross_layer_transcoder\nfeature_input_hook: mlp.hook_in\nfeature_output_hook: hook_mlp_out\nscan: toy-clt\n"; yaml != want {
		t.Errorf("config.yaml is\n%s", yaml)
	}
	if err := os.Remove(filepath.Join(dir, "clt.json")); err != nil {
		t.Fatal(err)
	}
	y, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if y.Activation != ActJumpReLU || y.K != 0 || !reflect.DeepEqual(y.Threshold, x.Threshold) {
		t.Errorf("without clt.json it is read as %s, k %d", y.Activation, y.K)
	}

	skip := randomTranscoder(t, configs()["plt topk skip"], 1)
	if err := skip.Save(filepath.Join(t.TempDir(), "plt")); err != nil {
		t.Fatal(err)
	}
	files, err := skip.layerFiles(1)
	if err != nil {
		t.Fatal(err)
	}
	file := files["layer_1.safetensors"]
	stored := file[len(file)-1]
	if stored.Name != "W_skip" || !reflect.DeepEqual(stored, safetensors.F32("W_skip", []int{4, 4}, vec.Transposed(skip.WSkip[1], 4, 4))) {
		t.Errorf("skip is stored as %s %v", stored.Name, stored.Shape)
	}
}

func TestLoadReferenceFolders(t *testing.T) {
	for name, want := range map[string]Config{
		"clt_relu_resid_mid":          {Activation: ActReLU, Read: gpt2.ResidMid},
		"clt_jumprelu_ln2_normalized": {Activation: ActJumpReLU, Read: gpt2.Ln2Normalized},
		"plt_topk_skip_mlp_in":        {Activation: ActTopK, K: 4, Signed: true, PerLayer: true, Skip: true, Read: gpt2.MLPIn},
		"plt_jumprelu_resid_mid":      {Activation: ActJumpReLU, PerLayer: true, Read: gpt2.ResidMid},
	} {
		x, err := Load(filepath.Join("testdata", name, "transcoder"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want.Layers, want.DModel, want.Features, want.Model = 4, 48, 32, "tiny2"
		if x.Config != want {
			t.Errorf("%s: config %+v, want %+v", name, x.Config, want)
		}
		total := 0
		for _, w := range x.weights() {
			total += len((*w.slot)[w.layer])
		}
		if total != x.NumParameters() {
			t.Errorf("%s: NumParameters %d, tensors hold %d", name, x.NumParameters(), total)
		}
	}
}

func TestLoadErrors(t *testing.T) {
	save := func(t *testing.T, kind string) string {
		dir := filepath.Join(t.TempDir(), "t")
		if err := randomTranscoder(t, configs()[kind], 1).Save(dir); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	edit := func(file, old, new string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			data, err := os.ReadFile(filepath.Join(dir, file))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(data), old) {
				t.Fatalf("%s has no %q", file, old)
			}
			if err := os.WriteFile(filepath.Join(dir, file), []byte(strings.Replace(string(data), old, new, 1)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	remove := func(file string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, file)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, c := range map[string]struct {
		kind   string
		damage func(*testing.T, string)
		want   string
	}{
		"no folder":        {"relu", func(t *testing.T, dir string) { os.RemoveAll(dir) }, "is the path right"},
		"no yaml":          {"relu", remove("config.yaml"), "feature_input_hook"},
		"missing decoder":  {"relu", remove("W_dec_1.safetensors"), "W_dec_*"},
		"missing encoder":  {"relu", remove("W_enc_1.safetensors"), "is the copy whole"},
		"missing plt":      {"plt relu", remove("layer_1.safetensors"), "is the copy whole"},
		"other hook":       {"relu", edit("config.yaml", "mlp.hook_in", "hook_mlp_in"), "hook_mlp_in"},
		"other kind":       {"relu", edit("config.yaml", "cross_layer_transcoder", "transcoder_set"), "model_kind"},
		"hook disagrees":   {"relu", edit("config.yaml", "mlp.hook_in", "hook_resid_mid"), "from one save"},
		"unknown json key": {"relu", edit("clt.json", `"layers"`, `"layrs"`), "layrs"},
		"other format":     {"relu", edit("clt.json", "clt/1", "clt/9"), "clt/9"},
		"bad yaml":         {"relu", edit("config.yaml", "scan: ", "scan: {"), "line"},
		"truncated":        {"relu", func(t *testing.T, dir string) { os.Truncate(filepath.Join(dir, "W_dec_0.safetensors"), 200) }, "W_dec_0"},
		"not finite": {"relu", func(t *testing.T, dir string) {
			v := make([]float32, 4)
			v[2] = float32(negInf())
			rewrite(t, filepath.Join(dir, "W_enc_1.safetensors"), "b_dec_1", v)
		}, "b_dec_1"},
		"shape": {"relu", func(t *testing.T, dir string) {
			rewrite(t, filepath.Join(dir, "W_enc_1.safetensors"), "b_dec_1", make([]float32, 5))
		}, "b_dec_1 is [5]"},
		"extra tensor": {"relu", func(t *testing.T, dir string) {
			rewrite(t, filepath.Join(dir, "W_enc_1.safetensors"), "centre", make([]float32, 5))
		}, "centre"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := save(t, c.kind)
			c.damage(t, dir)
			_, err := Load(dir)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q in it", err, c.want)
			}
		})
	}
}

// rewrite replaces one tensor of a file, or adds it.
func rewrite(t *testing.T, path, name string, v []float32) {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	list := []safetensors.Tensor{safetensors.F32(name, []int{len(v)}, v)}
	for _, n := range f.Names() {
		if n == name {
			continue
		}
		old, err := f.Float32(n)
		if err != nil {
			t.Fatal(err)
		}
		info, _ := f.Info(n)
		list = append(list, safetensors.F32(n, info.Shape, old))
	}
	if err := safetensors.WriteFile(path, nil, list...); err != nil {
		t.Fatal(err)
	}
}

// TestSaveOverAnother saves into a folder with foreign files and a deeper
// transcoder: the files stay, the old layers go.
func TestSaveOverAnother(t *testing.T) {
	dir := t.TempDir()
	thesis := filepath.Join(dir, "thesis.tex")
	if err := os.WriteFile(thesis, []byte("years of work"), 0o644); err != nil {
		t.Fatal(err)
	}
	deep := configs()["relu"]
	deep.Layers += 2
	if err := randomTranscoder(t, deep, 1).Save(dir); err != nil {
		t.Fatal(err)
	}
	if err := randomTranscoder(t, configs()["relu"], 1).Save(dir); err != nil {
		t.Fatal(err)
	}
	got, err := Load(dir)
	if err != nil || got.Layers != configs()["relu"].Layers {
		t.Errorf("loaded %+v, %v", got, err)
	}
	if text, err := os.ReadFile(thesis); err != nil || string(text) != "years of work" {
		t.Errorf("the foreign file is now %q, %v", text, err)
	}
}

func TestConfigErrors(t *testing.T) {
	good := configs()["topk"]
	for want, change := range map[string]func(*Config){
		"layers is 0":        func(c *Config) { c.Layers = 0 },
		"d_model is -4":      func(c *Config) { c.DModel = -4 },
		"k is 7":             func(c *Config) { c.K = 7 },
		"takes none":         func(c *Config) { c.Activation = ActReLU },
		`activation is "gel`: func(c *Config) { c.Activation = "gelu" },
		"input_hook":         func(c *Config) { c.Read = gpt2.MLPOut },
	} {
		c := good
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
	var c Config
	if err := json.Unmarshal([]byte(`{"layers":2,"widht":3}`), &c); err == nil || !strings.Contains(err.Error(), "widht") {
		t.Errorf("unknown key: error %v", err)
	}
	tc := DefaultTrainConfig()
	if err := json.Unmarshal([]byte(`{"steps":5,"lamda":3}`), &tc); err == nil || !strings.Contains(err.Error(), "lamda") {
		t.Errorf("unknown key: error %v", err)
	}
	if err := json.Unmarshal([]byte(`{"steps":5}`), &tc); err != nil || tc.Steps != 5 || tc.LR != 2e-3 {
		t.Errorf("partial settings: %v, steps %d, lr %g", err, tc.Steps, tc.LR)
	}
}

func FuzzYAML(f *testing.F) {
	f.Add("model_name: tiny2\ntranscoders:\n- a\n- 'b'\n")
	f.Add("a: \"x\\n\"\n#c\n")
	f.Fuzz(func(t *testing.T, text string) {
		y, err := parseYAML(text)
		if err != nil {
			return
		}
		for _, v := range y.scalars {
			back, err := parseYAML("key: " + yamlQuote(v) + "\n")
			if v != "" && (err != nil || back.scalars["key"] != v) {
				t.Errorf("%q is written as %s and read as %q, %v", v, yamlQuote(v), back.scalars["key"], err)
			}
		}
	})
}
