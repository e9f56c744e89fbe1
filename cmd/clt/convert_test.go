package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
	"github.com/etredal/cross-layer-transcoder/internal/safetensors"
)

// sweepFolder writes the fixture as the GPT-2 sweep would have it.
func sweepFolder(t *testing.T) string {
	t.Helper()
	x, err := clt.Load(transcoder)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	n, d := x.Features, x.DModel
	for l := range x.Layers {
		list := []safetensors.Tensor{safetensors.F32("b_dec", []int{d}, x.BDec[l])}
		for s := 0; s <= l; s++ {
			w := make([]float32, d*n)
			for f := range n {
				for j, v := range x.Decoder(s, f)[(l-s)*d:][:d] {
					w[j*n+f] = v
				}
			}
			list = append(list, safetensors.F32(fmt.Sprintf("W_dec_from_%d", s), []int{d, n}, w))
		}
		if err := safetensors.WriteFile(filepath.Join(dir, fmt.Sprintf("decoder_layer_%d.safetensors", l)), nil, list...); err != nil {
			t.Fatal(err)
		}
		if err := safetensors.WriteFile(filepath.Join(dir, fmt.Sprintf("encoder_layer_%d.safetensors", l)), nil,
			safetensors.F32("W_enc", []int{n, d}, x.WEnc[l]), safetensors.F32("b_enc", []int{n}, x.BEnc[l])); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// A folder of another project works in every verb as it is, and as what convert
// makes of it: the same graph as that of the fixture.
func TestConvert(t *testing.T) {
	src, dst := sweepFolder(t), filepath.Join(t.TempDir(), "ours")
	out := must(t, "convert", "-from", "auto", src, dst)
	if !strings.Contains(out, "cross-layer, 4 layers") || !strings.Contains(out, "reads hook_resid_mid (from gpt2-sweep)") {
		t.Errorf("convert says %q", out)
	}
	graphs := map[string]string{}
	for name, dir := range map[string]string{"fixture": transcoder, "source": src, "converted": dst} {
		file := filepath.Join(t.TempDir(), "g.safetensors")
		must(t, "attribute", "-backend", "go", "-model", tiny2, "-clt", dir, "-ids", "96,3,4,9,20", "-o", file)
		f, err := safetensors.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []string{"adjacency", "activation", "index"} {
			data, err := f.Bytes(n)
			if err != nil {
				t.Fatal(err)
			}
			graphs[name] += string(data)
		}
		f.Close()
	}
	if graphs["source"] != graphs["fixture"] || graphs["converted"] != graphs["fixture"] {
		t.Error("the graphs differ")
	}
	if out := must(t, "validate", src, dst, transcoder); strings.Count(out, ": ok") != 3 || !strings.Contains(out, "gpt2-sweep") {
		t.Errorf("validate says %q", out)
	}
	again := filepath.Join(t.TempDir(), "again")
	var res wire.ConvertResponse
	if err := json.Unmarshal([]byte(must(t, "convert", "-json", "-read", "mlp.hook_in", dst, again)), &res); err != nil {
		t.Fatal(err)
	}
	if res.Layout != "circuit-tracer" || res.CLT.Read != "mlp.hook_in" || res.CLT.Activation != "relu" || len(res.CLT.SHA256) != 64 {
		t.Errorf("-json gives %+v", res)
	}
}

func TestConvertRefusals(t *testing.T) {
	src, dst := sweepFolder(t), filepath.Join(t.TempDir(), "ours")
	pickles := t.TempDir()
	writeTestFile(t, filepath.Join(pickles, "clt.pt"), "x")
	both := sweepFolder(t)
	writeTestFile(t, filepath.Join(both, "clt_weights.safetensors"), "x")
	file := filepath.Join(pickles, "clt.pt")
	for _, c := range []struct {
		want   string
		status int
		args   []string
	}{
		{"two are needed", 2, []string{src}},
		{"did you mean sparsify", 2, []string{"-from", "sparsfy", src, dst}},
		{"is a file", 2, []string{file, dst}},
		{"check the path", 2, []string{src + "x", dst}},
		{"is a file", 2, []string{src, file}},
		{"pickle", 1, []string{pickles, dst}},
		{"of clt-forge (clt_weights.safetensors) and of gpt2-sweep", 1, []string{both, dst}},
		{"no transcoder of a known layout", 1, []string{tiny2, dst}},
		{"read as sparsify: no folder like h.0.mlp", 1, []string{"-from", "sparsify", src, dst}},
		{"source and output at once", 1, []string{src, src}},
		{"hook_mlp_in", 1, []string{"-read", "hook_mlp_in", src, dst}},
		{"for 4 layers of width", 1, []string{"-backend", "go", "-model", tiny1, src, dst}},
	} {
		r := cli(t, append([]string{"convert"}, c.args...)...)
		if line := lastLine(r.stderr); r.status != c.status || !strings.Contains(line, c.want) || !message.MatchString(line) {
			t.Errorf("%v: exit %d, %q, want %q", c.args, r.status, r.stderr, c.want)
		}
		if _, err := os.Stat(dst); err == nil {
			t.Fatalf("%v left %s", c.args, dst)
		}
	}
}

// The reconstruction is measured on the model: the wrong hook is named.
func TestConvertWrongHook(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pocket")
	x, err := clt.Load("../../gpt2/pocket/data/clt")
	if err != nil {
		t.Fatal(err)
	}
	right := x.Read
	if err := x.Save(dir); err != nil {
		t.Fatal(err)
	}
	dst := filepath.Join(t.TempDir(), "ours")
	r := cli(t, "convert", "-backend", "go", "-model", "pocket", dir, dst)
	if r.status != 0 || strings.Contains(r.stderr, "WARNING") || !strings.Contains(r.out, "reconstruction error 0.0") {
		t.Errorf("the right hook: exit %d, %q, %q", r.status, r.out, r.stderr)
	}
	r = cli(t, "convert", "-backend", "go", "-model", "pocket", "-read", "hook_resid_mid", dir, dst)
	if r.status != 0 || !strings.Contains(r.stderr, "WARNING") || !strings.Contains(r.stderr, "read at "+string(right)+" instead of hook_resid_mid") {
		t.Errorf("the wrong hook: exit %d, %q", r.status, r.stderr)
	}
	// One strange prompt does not make a transcoder wrong, and a good prompt no other right.
	r = cli(t, "encode", "-backend", "go", "-prompt", "q z x j q z x j")
	if r.status != 0 || !strings.Contains(r.stderr, "WARNING: the transcoder pocket fits other text, but") || strings.Contains(r.stderr, "explain nothing") {
		t.Errorf("a strange prompt: exit %d, %q", r.status, r.stderr)
	}
	// Prompts too short to judge by are warned about all the same.
	r = cli(t, "encode", "-backend", "go", "-clt", dst, "-prompt", " The")
	if r.status != 0 || !strings.Contains(r.stderr, "WARNING") {
		t.Errorf("encode: exit %d, %q", r.status, r.stderr)
	}
}
