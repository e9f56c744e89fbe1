package convert

import (
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/internal/safetensors"
	"github.com/etredal/cross-layer-transcoder/internal/toy"
)

func toyTranscoder(perLayer bool) *clt.Transcoder {
	return toy.RandomCLT(clt.Config{Layers: nLayers, DModel: dModel, Features: nFeatures, Activation: clt.ActJumpReLU, Read: gpt2.MLPIn, Model: "toy", PerLayer: perLayer}, 1)
}

// A folder of ours opens as it was saved, also with its decoders on the disk.
func TestCircuitTracer(t *testing.T) {
	for _, perLayer := range []bool{false, true} {
		x := toyTranscoder(perLayer)
		dir := filepath.Join(t.TempDir(), "clt")
		if err := x.Save(dir); err != nil {
			t.Fatal(err)
		}
		y, rep, err := Open(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if rep.Layout != CircuitTracer || !reflect.DeepEqual(x, y) {
			t.Errorf("as %s: config %+v", rep.Layout, y.Config)
		}
		z, _, err := Open(dir, Options{Lazy: true, Read: gpt2.ResidMid})
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		if !z.Lazy() || z.WDec != nil || z.Read != gpt2.ResidMid {
			t.Errorf("lazy: %+v", z.Config)
		}
		for l := range nLayers {
			for f := range nFeatures {
				if !reflect.DeepEqual(z.Decoder(l, f), x.Decoder(l, f)) {
					t.Fatalf("row of %d/%d differs", l, f)
				}
			}
		}
		again := filepath.Join(t.TempDir(), "again")
		if err := z.Save(again); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDetect(t *testing.T) {
	file := &fstest.MapFile{Data: []byte("{}")}
	for want, names := range map[string][]string{
		"circuit-tracer":                {"W_enc_0.safetensors", "W_dec_0.safetensors", "config.yaml", "README.md"},
		"of circuit-tracer":             {"W_enc_0.safetensors", "config.yaml", "clt_weights.safetensors"},
		"of sparsify":                   {"h.0.mlp/sae.safetensors", "a/sae_weights.safetensors"},
		"there is \"README.md\"":        {"README.md"},
		"pickle can run code":           {"clt.pt", "cfg.json"},
		"and 2 more":                    {"a.bin", "b.bin", "c.bin", "d.bin", "e.bin"},
		"bytedance":                     {"W_enc_0.safetensors", "config.json", "W_dec_norm.safetensors"},
		"gpt2-sweep":                    {"layer_0.safetensors"},
		"no transcoder of a known layo": {"too/deep/for/us/sae_weights.safetensors"},
	} {
		fsys := fstest.MapFS{}
		for _, n := range names {
			fsys[n] = file
		}
		got, err := Detect(fsys)
		text := string(got)
		if err != nil {
			text = err.Error()
		}
		if !strings.Contains(text, want) {
			t.Errorf("%v: %s, want %q", names, text, want)
		}
	}
}

// Faults of the files are named with their place.
func TestBadFiles(t *testing.T) {
	const weights = "clt_weights.safetensors"
	nan := func(s *source) { s.files[weights]["W_dec"].v[3] = math.NaN() }
	for want, edit := range map[string]func(s *source){
		"tensor \"b_enc\" is missing": func(s *source) { delete(s.files[weights], "b_enc") },
		"\"W_dec\" has shape":         func(s *source) { s.put(weights, "W_dec", newRnd(1).normal(1, 5, nFeatures, dModel)) },
		"holds NaN at index":          nan,
		"must all be positive":        func(s *source) { s.configs["clt_cfg.json"].(map[string]any)["n_layers"] = -3 },
		"clt_cfg.json: ":              func(s *source) { s.configs["clt_cfg.json"] = []byte("{\"n_layers\":") },
		"is the copy whole":           func(s *source) { delete(s.configs, "clt_cfg.json") },
		"must be positive and finite": func(s *source) { s.files[weights]["estimated_norm_scaling_factor_out"].v[1] = 0 },
		"not known for this layout":   func(s *source) { s.put(weights, "W_skip", newRnd(1).normal(1, 2)) },
		"is a shard missing":          func(s *source) { s.configs["clt_cfg.json"].(map[string]any)["d_latent"] = 9 },
		"only jumprelu can be read":   func(s *source) { s.configs["clt_cfg.json"].(map[string]any)["activation_fn"] = "gelu" },
	} {
		t.Run(want, func(t *testing.T) {
			s, _ := forgeSource(t, 1, true)
			edit(s)
			s.write(t)
			if _, _, err := Open(s.dir, Options{}); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v, want %q in it", err, want)
			}
		})
	}
	if _, _, err := Open(filepath.Join(t.TempDir(), "none"), Options{}); err == nil {
		t.Error("a folder that is not there passes")
	}
	s, _ := forgeSource(t, 1, true)
	s.write(t)
	for _, opt := range []Options{{From: "nonsense"}, {Read: "hook_mlp_in"}, {Activation: "gelu"}, {Activation: clt.ActTopK}, {From: ByteDance}, {From: Sweep}, {From: SAELens}, {From: Sparsify}, {From: Coding}, {From: CircuitTracer}} {
		if _, _, err := Open(s.dir, opt); err == nil {
			t.Errorf("options %+v pass", opt)
		}
	}
}

// Tensors may be of any floating-point type, each of its own.
func TestMixedTypes(t *testing.T) {
	s, _ := sweepSource(t, 9, false, false)
	s.write(t)
	half := []byte{0, 0x3c, 0, 0x3c, 0, 0x3c, 0, 0x3c} // four times 1 as float16
	bf := []byte{0x80, 0x3f, 0x80, 0x3f, 0x80, 0x3f, 0x80, 0x3f}
	for l, raw := range map[string]safetensors.Tensor{"layer_0": {Name: "b_dec", DType: "F16", Shape: []int{4}, Data: half}, "layer_1": {Name: "b_dec", DType: "BF16", Shape: []int{4}, Data: bf},
		"layer_2": {Name: "b_dec", DType: "I32", Shape: []int{4}, Data: make([]byte, 16)}} {
		path := filepath.Join(s.dir, l+".safetensors")
		list := []safetensors.Tensor{raw}
		f, err := safetensors.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range f.Names() {
			if info, _ := f.Info(n); n != "b_dec" {
				v, _ := f.Float32(n)
				list = append(list, safetensors.F32(n, info.Shape, v))
			}
		}
		f.Close()
		if err := safetensors.WriteFile(path, nil, list...); err != nil {
			t.Fatal(err)
		}
		tr, _, err := Open(s.dir, Options{})
		if l == "layer_2" {
			if err == nil || !strings.Contains(err.Error(), "I32") {
				t.Errorf("integers: %v", err)
			}
		} else if err != nil {
			t.Error(err)
		} else if i := int(l[6] - '0'); tr.BDec[i][2] != 1 {
			t.Errorf("%s: %v", l, tr.BDec[i])
		}
		s.write(t) // whole again
	}
}

// Files of any content make errors, not panics, and nothing outside the folder is
// read.
func FuzzOpen(f *testing.F) {
	tensors := []byte("\x10\x00\x00\x00\x00\x00\x00\x00{\"a\":{}}         ")
	for _, l := range Layouts() {
		f.Add(string(l), []byte(`{"n_layers":1,"d_in":1,"d_latent":1,"num_features":1,"num_layers":1,"d_model":1,"k":1,"transcode":true}`), tensors)
	}
	f.Add("auto", []byte("model_kind: transcoder_set\ntranscoders:\n- ../../etc/passwd\n"), tensors)
	f.Fuzz(func(t *testing.T, layout string, config, weights []byte) {
		fsys := fstest.MapFS{}
		for _, n := range []string{"cfg.json", "clt_cfg.json", "config.json", "config.yaml", "norm_stats.json", "clt.json", "h.0.mlp/cfg.json", "s/cfg.json"} {
			fsys[n] = &fstest.MapFile{Data: config}
		}
		for _, n := range []string{"W_enc_0.safetensors", "W_dec_0.safetensors", "clt_weights.safetensors", "model.safetensors", "h.0.mlp/sae.safetensors", "encoder_layer_0.safetensors", "decoder_layer_0.safetensors", "s/sae_weights.safetensors"} {
			fsys[n] = &fstest.MapFile{Data: weights}
		}
		if tr, _, err := OpenFS(fsys, "fuzz", Options{From: Layout(layout)}); err == nil && tr.Validate() != nil {
			t.Fatal("an invalid transcoder passes")
		}
	})
}

// TestNothingIsExecuted: a pickle beside a config is named, never opened.
func TestNothingIsExecuted(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a';reboot;'.pt")
	if err := os.WriteFile(path, []byte("\x80\x02cposix\nsystem\n"), 0o000); err != nil {
		t.Fatal(err)
	}
	_, _, err := Open(dir, Options{})
	if err == nil || !strings.Contains(err.Error(), "a pickle can run code when it is read, so it is not; ") {
		t.Fatalf("error %v", err)
	}
	if _, cure, _ := strings.Cut(err.Error(), "python3"); !strings.Contains(cure, "rglob('*.pt')") || strings.Contains(cure, "reboot") {
		t.Errorf("the cure is %s", cure)
	}
}
