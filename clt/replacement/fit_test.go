package replacement

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/internal/testbackend"
	"github.com/etredal/cross-layer-transcoder/internal/toy"
)

// linearCase is a model whose MLPs work where gelu is the identity, and the
// transcoder that they are: a skip and a bias, read at mlp.hook_in.
func linearCase(t *testing.T) (gpt2.Config, gpt2.Params, *clt.Transcoder) {
	t.Helper()
	cfg := toy.RandomConfig()
	params := toy.RandomModel(cfg, 3)
	kind := clt.Config{Layers: cfg.Layers, DModel: cfg.DModel, Features: 4, Activation: clt.ActReLU, Skip: true, Read: gpt2.MLPIn, Model: "toy"}
	x := toy.RandomCLT(kind, 1)
	for l := range cfg.Layers {
		at := func(name string) []float64 { return params[fmt.Sprintf("h.%d.%s", l, name)].F64 }
		in, bias, out, outBias := at("mlp.c_fc.weight"), at("mlp.c_fc.bias"), at("mlp.c_proj.weight"), at("mlp.c_proj.bias")
		for i := range bias {
			bias[i] = 30
		}
		for j := range cfg.DModel {
			sum := outBias[j]
			for k := range cfg.DMLP {
				sum += bias[k] * out[k*cfg.DModel+j]
			}
			x.BDec[l][j] = float32(sum)
			for i := range cfg.DModel {
				w := 0.0
				for k := range cfg.DMLP {
					w += in[i*cfg.DMLP+k] * out[k*cfg.DModel+j]
				}
				x.WSkip[l][i*cfg.DModel+j] = float32(w)
			}
		}
		for f := range x.BEnc[l] {
			x.BEnc[l][f] = -1e4
		}
	}
	return cfg, params, x
}

// TestSuspicion: a transcoder that is read at the wrong place, or belongs to
// another model, is called out with the likely mistake; a good one is not.
func TestSuspicion(t *testing.T) {
	cfg, params, x := linearCase(t)
	ask := func(x *clt.Transcoder, prompt []int32) (string, bool, Fit) {
		l := localized(t, joined(t, cfg, params, x), prompt)
		text, judged, err := l.Suspicion()
		if err != nil {
			t.Fatal(err)
		}
		return text, judged, l.Fit()
	}
	if text, judged, fit := ask(x, randomPrompt); text != "" || !judged || fit.NMSE > 1e-9 || len(fit.NMSELayer) != 3 || fit.Tokens != 5 {
		t.Errorf("an exact transcoder: %q, %+v", text, fit)
	}
	wrong := *x
	wrong.Read = gpt2.ResidMid
	if text, _, fit := ask(&wrong, randomPrompt); fit.NMSE <= 1 || !strings.Contains(text, "read at mlp.hook_in instead of hook_resid_mid") {
		t.Errorf("read at the wrong place: %q, %+v", text, fit)
	}
	for _, prompt := range [][]int32{{12}, {12, 3}, {12, 3, 4, 5}} {
		if text, judged, fit := ask(&wrong, prompt); judged || text != "" || math.IsNaN(fit.NMSE) {
			t.Errorf("%d tokens: %q, judged %v, %+v", len(prompt), text, judged, fit)
		}
	}
	unfolded := *x
	unfolded.WSkip = nil
	for l := range x.WSkip {
		v := make([]float32, len(x.WSkip[l]))
		for i, w := range x.WSkip[l] {
			v[i] = 20 * w
		}
		unfolded.WSkip = append(unfolded.WSkip, v)
	}
	unfolded.Model = ""
	if text, _, _ := ask(&unfolded, randomPrompt); !strings.Contains(text, "no read point helps") || !strings.Contains(text, "folded") {
		t.Errorf("scales not folded: %q", text)
	}
	unfolded.Model = "another"
	if text, _, _ := ask(&unfolded, randomPrompt); !strings.Contains(text, "trained on another") {
		t.Errorf("another model: %q", text)
	}
}

// TestUnlike: a prompt that the transcoder does not fit is called strange, unless it is
// too short to tell.
func TestUnlike(t *testing.T) {
	cfg, params, x := linearCase(t)
	for length, want := range map[int]bool{len(randomPrompt): true, minFit: false} {
		l := localized(t, joined(t, cfg, params, x), randomPrompt[:length])
		if text := l.Unlike(); text != "" || l.Fit().Good() != want {
			t.Errorf("%d tokens that fit: %q, good %v", length, text, l.Fit().Good())
		}
		for layer := range l.errors {
			for i := range l.errors[layer].F64 {
				l.errors[layer].F64[i] += 1e3
			}
		}
		if text := l.Unlike(); strings.Contains(text, "fits other text, but") != want || l.Fit().Good() {
			t.Errorf("%d tokens that do not fit: %q", length, text)
		}
	}
}

// TestNotFinite: overflow on a prompt is an error that names the place.
func TestNotFinite(t *testing.T) {
	cfg := toy.RandomConfig()
	kind := toy.RandomKinds(cfg)["relu mlp.hook_in"]
	for _, c := range []struct {
		want   string
		change func(gpt2.Params, *clt.Transcoder)
	}{
		{"blocks.1.hook_mlp_out is", func(p gpt2.Params, _ *clt.Transcoder) { huge(p["h.1.mlp.c_proj.weight"]) }},
		{"L2/F5 is", func(_ gpt2.Params, x *clt.Transcoder) {
			for i := range 8 {
				x.WEnc[2][5*8+i] = 3e38
			}
			x.BEnc[2][5] = 3e38
		}},
		{"the logit of token", func(p gpt2.Params, _ *clt.Transcoder) { huge(p["ln_f.weight"]) }},
	} {
		params, x := toy.RandomModel(cfg, 3), toy.RandomCLT(kind, 4)
		c.change(params, x)
		lm, err := gpt2.New(testbackend.Open(t, "go"), cfg, params, gpt2.LoadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		m, err := New(lm, x, attribution.Artifact{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Localize(randomPrompt); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "position") || !strings.Contains(err.Error(), "float64") {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
	}
}

func huge(a gpt2.Array) {
	for i := range a.F64 {
		a.F64[i] *= 3e38
	}
}
