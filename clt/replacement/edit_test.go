package replacement

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// TestEditText: every verb is written and read back, and nothing else is read.
func TestEditText(t *testing.T) {
	f := clt.Feature{Layer: 2, Index: 17}
	for text, want := range map[string]Edit{
		"2,5,17*0":                  Ablate(f, 5),
		"2,5,17*-1":                 ScaleBy(f, 5, -1),
		"2,5:,17=3.5":               SetTo(f, 5, 3.5).OnFrom(),
		"2,5,17=@4":                 SwapIn(f, 5, 4),
		"all,5,all=@4":              SwapAll(5, 4),
		"2,5,all=@4":                {Feature: clt.Feature{Layer: 2}, Pos: 5, Take: &Take{Pos: 4, AllFeatures: true}},
		"3,5+2/17*1e+06":            AddDecoder(3, 5, f, 1e6),
		"3,5:+2/17":                 AddDecoder(3, 5, f, 1).OnFrom(),
		"3,0,resid_mid+[1,-0.5]":    AddVector(3, 0, gpt2.ResidMid, []float64{1, -.5}),
		"3,0,resid_pre+[1e+21,2]*2": {Feature: clt.Feature{Layer: 3}, Add: &Direction{Site: gpt2.ResidPre, Vector: []float64{1e21, 2}, Scale: 2}},
	} {
		got, err := ParseEdit(text)
		if err != nil || got.String() != text || want.String() != text {
			t.Errorf("%q: read as %q, built as %q, %v", text, got, want, err)
		}
		if got.Feature != want.Feature || got.Pos != want.Pos || got.Open != want.Open || got.Value != want.Value || got.Factor != want.Factor {
			t.Errorf("%q is %+v, want %+v", text, got, want)
		}
	}
	if e, err := ParseEdit(" 3 , 5 , hook_resid_post + [ 1, 2 ] * 3"); err != nil || e.Add.Site != gpt2.ResidPost || e.Add.Scale != 3 {
		t.Errorf("with spaces and a whole name: %v, %v", e, err)
	}
	for _, bad := range []string{"", "1,2=3", "1,2,3", "a,1,2=3", "1,2,3=NaN", "1,2,3*Inf", "1,-2,3=4", "1,2,3=@", "1,2,3=@-1", "all,2,3=@1", "all,2,all=3", "all,2,all*2",
		"1,2+", "1+2/3", "1,2,3,4+2/3", "1,2,hook_z+2/3", "1,2+3", "1,2+3/4*x", "1,2+[]", "1,2+[1,\"a\"]", "1,2+[1", "1,2,3==1"} {
		if e, err := ParseEdit(bad); err == nil {
			t.Errorf("%q is read as %+v", bad, e)
		}
	}
}

// FuzzParseEdit: whatever is read is written as something that is read the same.
func FuzzParseEdit(f *testing.F) {
	for _, s := range []string{"2,5,17*-1", "2,5:,17=3.5", "all,5,all=@4", "3,5:+2/17*1e6", "3,0,resid_mid+[1,-0.5]*2", "1,2,3=1e999", "1,2,3=-0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := ParseEdit(s)
		if err != nil {
			return
		}
		again, err := ParseEdit(e.String())
		if err != nil || again.String() != e.String() {
			t.Errorf("%q is %q, read again %q: %v", s, e, again, err)
		}
	})
}

// TestRefusedEdits: each says what is wrong and what to do.
func TestRefusedEdits(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		f := clt.Feature{Layer: 1, Index: 3}
		short := localized(t, c.Model, []int32{12})
		for _, x := range []struct {
			want  string
			on    *Local
			edits []Edit
		}{
			{"layers are 0..2", c.Local, []Edit{Ablate(clt.Feature{Layer: 3}, 1)}},
			{"features 0..13", c.Local, []Edit{Ablate(clt.Feature{Index: 14}, 1)}},
			{"positions 0..5", c.Local, []Edit{Ablate(f, 6)}},
			{"positions 0..5", c.Local, []Edit{Ablate(f, 6).OnFrom()}},
			{"positions 0..5", c.Local, []Edit{AddDecoder(1, -1, f, 1)}},
			{"holds no features", c.Local, []Edit{Ablate(f, 0)}},
			{"has one token", short, []Edit{Ablate(f, 0)}},
			{"not finite", c.Local, []Edit{SetTo(f, 1, math.NaN())}},
			{"not finite", c.Local, []Edit{ScaleBy(f, 1, math.Inf(1))}},
			{"not finite", c.Local, []Edit{AddVector(1, 1, gpt2.MLPOut, []float64{math.NaN(), 0, 0, 0, 0, 0, 0, 0})}},
			{"d_model is 8", c.Local, []Edit{AddVector(1, 1, gpt2.MLPOut, []float64{1})}},
			{"hook_resid_pre", c.Local, []Edit{AddVector(1, 1, gpt2.AttnZ, make([]float64, 8))}},
			{"writes to layers 1..", c.Local, []Edit{AddDecoder(0, 1, f, 1)}},
			{"features 0..13", c.Local, []Edit{AddDecoder(1, 1, clt.Feature{Index: 99}, 1)}},
			{"keep one", c.Local, []Edit{Ablate(f, 2), SetTo(f, 1, 3).OnFrom()}},
			{"given twice", c.Local, []Edit{AddDecoder(1, 1, f, 1), AddDecoder(1, 1, f, 1)}},
			{"give that prompt", c.Local, []Edit{SwapIn(f, 1, 1)}},
		} {
			for _, mode := range []string{Constrained, Iterative, Live} {
				cfg := c.DefaultInterveneConfig()
				cfg.Mode = mode
				if _, err := x.on.Intervene(t.Context(), cfg, x.edits...); err == nil || !strings.Contains(err.Error(), x.want) || !strings.Contains(err.Error(), "edit") {
					t.Errorf("%v: error %v, want one with %q", x.edits, err, x.want)
				}
			}
			if _, err := x.on.DirectEffects(t.Context(), x.on.TopTargets(1, 1), x.edits); err == nil {
				t.Errorf("%v: effects were predicted", x.edits)
			}
		}
		if _, err := c.LiveProgram(6, Ablate(f, 1), Ablate(f, 1)); err == nil {
			t.Error("a generation took an edit twice")
		}
	})
}

// TestAddedVectors: what is added to a place of the stream is what is added to the
// same place by another name, and a feature that changes is its decoders added.
func TestAddedVectors(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		v := []float64{1, -2, .5, 0, 3, -1, 1, 2}
		same := func(what string, cfg InterveneConfig, a, b []Edit) {
			t.Helper()
			x, y := intervened(t, c.Local, cfg, a...), intervened(t, c.Local, cfg, b...)
			if d, _ := maxDiff(x.Logits.At, y.Logits.F64); d > 1e-11 {
				t.Errorf("%s, %s: logits differ by %g", what, cfg.Mode, d)
			}
			if d, _ := maxDiff(x.Logits.At, c.Logits.F64); d < 1e-6 {
				t.Errorf("%s, %s: nothing changes", what, cfg.Mode)
			}
		}
		for _, mode := range []string{Live, Iterative, Constrained} {
			cfg := InterveneConfig{Mode: mode, To: 3}
			same("after the MLP", cfg, []Edit{AddVector(1, 3, gpt2.MLPOut, v)}, []Edit{AddVector(1, 3, gpt2.ResidPost, v)})
			same("between layers", cfg, []Edit{AddVector(2, 3, gpt2.ResidPre, v)}, []Edit{AddVector(1, 3, gpt2.ResidPost, v)})
			same("open end", cfg, []Edit{AddVector(0, 4, gpt2.ResidMid, v).OnFrom()}, []Edit{AddVector(0, 4, gpt2.ResidMid, v), AddVector(0, 5, gpt2.ResidMid, v)})
		}
		a := c.Active[3]
		cfg := c.DefaultInterveneConfig()
		var decoders []Edit
		for k := range c.CLT.Targets(a.Layer) {
			decoders = append(decoders, AddDecoder(a.Layer+k, a.Pos, a.Feature, .7))
		}
		same("decoders", cfg, []Edit{SetTo(a.Feature, a.Pos, a.Value+.7)}, decoders)
		// What is added at hook_resid_mid is read there.
		if c.CLT.Read == gpt2.ResidMid {
			e := intervened(t, c.Local, cfg, AddVector(1, 2, gpt2.ResidMid, v))
			for f := range c.CLT.Features {
				i := 2*c.CLT.Features + f
				want := inner(v, gpt2.Array{F32: c.CLT.WEnc[1][f*8:][:8]}.Float64s())
				if d := e.Pre[1].At(i) - c.pre[1].At(i) - want; math.Abs(d) > 1e-10 {
					t.Fatalf("pre-activation of feature %d misses its change by %g", f, d)
				}
			}
		}
	})
}

// TestVectorPredictions: direct effects are exact with everything frozen, total
// ones with everything frozen and features live.
func TestVectorPredictions(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		small := []float64{1e-5, -2e-5, 3e-6, 0, 1e-5, -1e-5, 2e-5, 1e-5}
		targets := append(c.TopTargets(2, 1), Target{Label: "feature", Prob: 1, Feature: &clt.Feature{Layer: 2, Index: 5}, Pos: 5})
		g := graphOf(t, c.Local, targets...)
		for _, s := range addSites {
			for layer := range 3 {
				edits := []Edit{AddVector(layer, 2, s.site, small), ScaleBy(c.Active[2].Feature, c.Active[2].Pos, 1+1e-5)}
				checkPrediction(t, c.Local, g, targets, edits, 1e-10)
				direct, err := c.DirectEffects(t.Context(), targets, edits)
				if err != nil {
					t.Fatal(err)
				}
				e := intervened(t, c.Local, c.DefaultInterveneConfig(), edits...)
				for i, target := range targets {
					pos := target.Pos
					measured := c.directionOf(target, pos, func(k int) float64 { return e.Logits.At(k) - c.Logits.At(k) }, nil2)
					if target.Feature != nil {
						at := pos*c.CLT.Features + target.Feature.Index
						measured = e.Pre[target.Feature.Layer].At(at) - c.pre[target.Feature.Layer].At(at)
					}
					if math.Abs(measured-direct[i]) > 1e-11 {
						t.Fatalf("%s of layer %d: %s moves by %g, predicted %g", s.site, layer, target.Label, measured, direct[i])
					}
				}
			}
		}
	})
}

func nil2(int, int) float64 { return 0 }

// TestEffectReadouts: activations, supernodes and the divergence after edits.
func TestEffectReadouts(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		a, b := c.Active[0], c.Active[len(c.Active)-1]
		groups := []Group{{"first", []Place{{a.Feature, a.Pos}}}, {"last", []Place{{b.Feature, b.Pos}, {b.Feature, 99}}}, {"none", []Place{{clt.Feature{Layer: 7}, 1}}}}
		for _, mode := range []string{Constrained, Iterative, Live} {
			cfg := InterveneConfig{Mode: mode, To: 3, FreezeAttention: true, FreezeLN: true}
			for _, factor := range []float64{1, 0, -1} {
				e := intervened(t, c.Local, cfg, ScaleBy(a.Feature, a.Pos, factor))
				after := e.Activations()
				r := c.Readouts(groups, after)
				if math.Abs(r[0].Fraction()-factor) > 1e-10 {
					t.Errorf("%s: factor %g leaves %g of the feature", mode, factor, r[0].Fraction())
				}
				if r[0].Before != a.Value || !math.IsNaN(r[2].Fraction()) {
					t.Errorf("%s: read %+v", mode, r)
				}
				kl := e.KL()
				if factor == 1 && slices.Max(kl) > 1e-10 || factor != 1 && slices.Max(kl) <= 0 || slices.Max(kl[:a.Pos]) > 1e-10 {
					t.Errorf("%s: factor %g gives a divergence of %g", mode, factor, kl)
				}
				if off, on := e.Switched(); factor == 1 && len(off)+len(on) > 0 {
					t.Errorf("%s: without a change %v go off and %v on", mode, off, on)
				}
			}
		}
		// The live local model re-encodes: activations are those of plain loops.
		e := intervened(t, c.Local, c.everythingFrozen(), ScaleBy(a.Feature, a.Pos, 3))
		after := e.Activations()
		c.plain.Run(func(layer, pos, index int, v float64) float64 {
			if layer == a.Layer && pos == a.Pos && index == a.Index {
				v *= 3
			}
			if got := after[layer].At(pos*c.CLT.Features + index); pos > 0 && math.Abs(got-v) > 1e-9 {
				t.Errorf("L%d/F%d at %d has %g, plain loops say %g", layer, index, pos, got, v)
			}
			return v
		})
	})
}

// TestControlOfVectors: a random vector of the same norm at the same place.
func TestControlOfVectors(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		v := []float64{3, 0, 0, 4, 0, 0, 0, 0}
		edits := []Edit{AddVector(1, 2, gpt2.ResidMid, v), AddDecoder(2, 3, clt.Feature{Layer: 2, Index: 1}, 2)}
		a, ok := c.RandomControl(edits, 5)
		b, _ := c.RandomControl(edits, 5)
		if !ok || len(a) != 2 || a[0].String() != b[0].String() {
			t.Fatalf("%v and %v", a, b)
		}
		for i, e := range a {
			got, want := inner(e.Add.Vector, e.Add.Vector), inner(c.vector(edits[i]), c.vector(edits[i]))
			if math.Abs(got-want) > 1e-9 || e.Add.Site != edits[i].Add.Site || e.Pos != edits[i].Pos || e.Layer != edits[i].Layer {
				t.Errorf("%v in place of %v", e, edits[i])
			}
		}
		if _, ok := c.RandomControl(nil, 1); ok {
			t.Error("a control of nothing")
		}
		short := localized(t, c.Model, []int32{12})
		if list, ok := short.RandomControl([]Edit{AddVector(1, 0, gpt2.MLPOut, v)}, 1); !ok || len(list) != 1 {
			t.Errorf("on one token: %v", list)
		}
	})
}

// TestEditsBehindThePrompt: in a generation an edit may begin at a token that is
// not there yet, and vectors act on new tokens too.
func TestEditsBehindThePrompt(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		prompt := []int32{12, 3, 7}
		v := []float64{4, -3, 2, -1, 0, 1, 2, 3}
		for _, edit := range []Edit{SetTo(clt.Feature{Layer: 0, Index: 4}, 5, 9).OnFrom(), AddVector(1, 4, gpt2.ResidMid, v).OnFrom(), AddVector(0, 1, gpt2.MLPOut, v).OnFrom()} {
			live, err := c.LiveProgram(len(prompt), edit)
			if err != nil {
				t.Fatal(err)
			}
			got, plain := generated(t, c.Model, live, prompt), generated(t, c.Model, gpt2.Program{}, prompt)
			if slices.Equal(got.Logprobs, plain.Logprobs) {
				t.Fatalf("%v changes nothing", edit)
			}
			tokens := slices.Clone(prompt)
			for i, id := range got.Tokens {
				var here []Edit
				if edit.Pos < len(tokens) {
					here = append(here, edit)
				}
				e := intervened(t, localized(t, c.Model, tokens), InterveneConfig{Mode: Live}, here...)
				lp := gpt2.LogProbs(e.Logits.F64[e.Logits.Len()-13:])
				if d := math.Abs(lp[id] - got.Logprobs[i]); d > 1e-10 {
					t.Fatalf("%v, token %d: log-probability %g, a whole pass says %g", edit, i, got.Logprobs[i], lp[id])
				}
				tokens = append(tokens, id)
			}
		}
	})
}
