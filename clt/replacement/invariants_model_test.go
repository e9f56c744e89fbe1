package replacement

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/internal/toy"
)

// The tests of this file are the invariants 16 to 22 of the method: the full and
// the local replacement model.

// windowsOf gives batches of fixed prompts of one length.
func windowsOf(batches ...[][]int32) gpt2.TokenSource {
	return func(step int) ([][]int32, error) { return batches[step], nil }
}

func compared(t *testing.T, m *Model, batches ...[][]int32) *Comparison {
	t.Helper()
	c, err := m.Compare(t.Context(), windowsOf(batches...), 0, len(batches), Baselines{}, true, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestInvariant16PerfectTranscoder: one that gives exactly what the MLPs give, for
// every input, changes nothing. The MLPs here give their output bias alone.
func TestInvariant16PerfectTranscoder(t *testing.T) {
	onRandom(t, func(p gpt2.Params, x *clt.Transcoder) {
		for name, a := range p {
			switch {
			case strings.HasSuffix(name, "mlp.c_proj.weight"):
				clear(a.F64)
			case strings.HasSuffix(name, "mlp.c_proj.bias"):
				for i, v := range a.F64 {
					a.F64[i] = float64(float32(v))
				}
			}
		}
		for l := range x.Layers {
			clear(x.WDec[l])
			copy(x.BDec[l], p["h."+string(rune('0'+l))+".mlp.c_proj.bias"].Float32s())
			if x.Skip {
				clear(x.WSkip[l])
			}
		}
	}, func(t *testing.T, c randomCase) {
		got := compared(t, c.Model, [][]int32{{12, 1, 2, 3, 4}, {12, 9, 9, 0, 5}})
		if math.Abs(got.KL) > 1e-12 || got.Top1*float64(got.Tokens) < 5.5 || math.Abs(got.CEReplaced-got.CE) > 1e-12 || math.Abs(got.CEZero-got.CE) < 1e-6 {
			t.Errorf("a perfect transcoder: %+v", got)
		}
		if len(got.KLLayer) != c.Model.LM.Config.Layers {
			t.Fatalf("KL of %d layers", len(got.KLLayer))
		}
		for l, kl := range got.KLLayer {
			if math.Abs(kl) > 1e-12 {
				t.Errorf("layer %d alone replaced: KL %g", l, kl)
			}
		}
	})
}

// TestInvariant17Comparison: KL is not negative, the order of the batch and of the
// prompts does not matter, and a transcoder that writes nothing is zero-ablation.
func TestInvariant17Comparison(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		a, b, d := []int32{12, 1, 2, 3, 4}, []int32{12, 9, 9, 0, 5}, []int32{12, 6, 7, 8, 10}
		x, y := compared(t, c.Model, [][]int32{a, b}, [][]int32{d, a}), compared(t, c.Model, [][]int32{a, d}, [][]int32{b, a})
		if !(x.KL > 0) || x.Tokens != y.Tokens || math.Abs(x.KL-y.KL) > 1e-12 || math.Abs(x.CEReplaced-y.CEReplaced) > 1e-12 || x.Top1 != y.Top1 {
			t.Errorf("in one order %+v, in another %+v", x, y)
		}
	})
	onRandom(t, func(_ gpt2.Params, x *clt.Transcoder) {
		for l := range x.Layers {
			clear(x.WDec[l])
			clear(x.BDec[l])
			if x.Skip {
				clear(x.WSkip[l])
			}
		}
	}, func(t *testing.T, c randomCase) {
		if got := compared(t, c.Model, [][]int32{{12, 1, 2, 3, 4}}); math.Abs(got.CEReplaced-got.CEZero) > 1e-12 {
			t.Errorf("a transcoder of zeros: %+v", got)
		}
	})
}

// TestInvariant18CompiledTranscoder: the transcoder that a ReLU MLP is makes the
// replacement model the model. Errors and scores are in TestToyCircuits.
func TestInvariant18CompiledTranscoder(t *testing.T) {
	for _, c := range toy.Circuits() {
		local := toyLocal(t, c)
		p, err := local.Program()
		if err != nil {
			t.Fatal(err)
		}
		replaced, err := local.LM.RunProgram(p, c.Prompt)
		if err != nil {
			t.Fatal(err)
		}
		if d, _ := maxDiff(replaced.Logits.At, local.Logits.F64); d > 1e-12 {
			t.Errorf("%s: logits of the replacement model differ by %g", c.Name, d)
		}
	}
}

// TestReplacementAgainstLoops compares the full replacement model with plain loops.
func TestReplacementAgainstLoops(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		p, err := c.Program()
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.LM.RunProgram(p, c.Tokens)
		if err != nil {
			t.Fatal(err)
		}
		act, reads := make([][]float64, 3), make([][]float64, 3)
		d := c.CLT.DModel
		acts := c.plain.Forward(c.Tokens, func(name string, x []float64) []float64 {
			l, site, _ := gpt2.HookName(name).Split()
			switch site {
			case c.CLT.Read:
				_, act[l] = c.plain.CLT.Encode(l, x)
				reads[l] = x
				for later := l + 1; later < 3; later++ {
					act[later], reads[later] = make([]float64, len(act[l])), x
				}
			case gpt2.MLPOut:
				return append(slices.Clone(x[:d]), c.plain.CLT.Decode(act, reads)[l][d:]...)
			}
			return x
		})
		if diff, _ := maxDiff(got.Logits.At, acts["logits"]); diff > 1e-10 {
			t.Errorf("logits differ by %g", diff)
		}
	})
}

// TestInvariant19Exactness: without edits the local replacement model is the clean
// run, with freezing and without.
func TestInvariant19Exactness(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		for _, frozen := range []bool{true, false} {
			cfg := InterveneConfig{Mode: Iterative, To: 3, FreezeAttention: frozen, FreezeLN: frozen}
			e, err := c.Intervene(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			if d, _ := maxDiff(e.Logits.At, c.Logits.F64); d > 1e-11 {
				t.Errorf("frozen %v: logits differ by %g", frozen, d)
			}
			for l, pre := range c.Preactivations() {
				if d, _ := maxDiff(e.Pre[l].At, pre.F64); d > 1e-11 {
					t.Errorf("frozen %v: pre-activations of layer %d differ by %g", frozen, l, d)
				}
			}
		}
	})
}

// outputsOf runs the frozen model and strings all that it gives together.
func outputsOf(t *testing.T, l *Local, x0 gpt2.Array, writes []gpt2.Array) []float64 {
	t.Helper()
	logits, reads, err := l.affine(x0, writes, nil)
	if err != nil {
		t.Fatal(err)
	}
	all := slices.Clone(logits.F64)
	for _, r := range reads {
		all = append(all, r.F64...)
	}
	return all
}

// streams are random arrays for the embedding and every MLP output.
func streams(r *rand.Rand, l *Local) (x0 gpt2.Array, writes []gpt2.Array) {
	n, d := len(l.Tokens), l.CLT.DModel
	for range l.CLT.Layers {
		writes = append(writes, noise(r, 1, n, d))
	}
	return noise(r, 1, n, d), writes
}

func plusAll(a, b []gpt2.Array) []gpt2.Array {
	c := slices.Clone(a)
	for i := range c {
		c[i] = plus(a[i], b[i])
	}
	return c
}

// TestInvariant20Affine: f(x+u+v) - f(x+u) - f(x+v) + f(x) = 0 for the frozen
// model, at every place that is written to.
func TestInvariant20Affine(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		r := rand.New(rand.NewPCG(1, 1))
		x, wx := streams(r, c.Local)
		u, wu := streams(r, c.Local)
		v, wv := streams(r, c.Local)
		both := outputsOf(t, c.Local, plus(plus(x, u), v), plusAll(plusAll(wx, wu), wv))
		a, b := outputsOf(t, c.Local, plus(x, u), plusAll(wx, wu)), outputsOf(t, c.Local, plus(x, v), plusAll(wx, wv))
		for i, base := range outputsOf(t, c.Local, x, wx) {
			if d := both[i] - a[i] - b[i] + base; math.Abs(d) > 1e-9 {
				t.Fatalf("second difference of output %d is %g", i, d)
			}
		}
	})
}

// TestInvariant21Adjoint: <v, J u> = <Jᵀ v, u> for random u at everything that is
// written and random v at the logits of every position, or an encoder.
func TestInvariant21Adjoint(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		r := rand.New(rand.NewPCG(2, 2))
		x0, writes := streams(r, c.Local)
		n, d, vocab := len(c.Tokens), c.CLT.DModel, c.LM.Config.DVocab
		ghost := c.copied()
		ghost.Active, ghost.errors = nil, nil
		ghost.embed, ghost.posEmb = gpt2.Array{Shape: []int{n, d}, F64: x0.F64}, gpt2.NewArray([]int{n, d}, true)
		for _, w := range writes {
			ghost.errors = append(ghost.errors, gpt2.Array{Shape: []int{n, d}, F64: w.F64})
		}
		cfg := DefaultAttributeConfig()
		for pos := range n {
			target := Target{Pos: pos, Prob: 1}
			for id := range int32(vocab) {
				target.Tokens = append(target.Tokens, Weighted{id, r.NormFloat64()})
			}
			cfg.Targets = append(cfg.Targets, target, Target{Pos: pos, Feature: &clt.Feature{Layer: pos % 3, Index: pos}})
		}
		b, err := ghost.newBuilder(cfg)
		if err != nil {
			t.Fatal(err)
		}
		moved := outputsOf(t, c.Local, x0, writes)
		rest := outputsOf(t, c.Local, gpt2.NewArray(x0.Shape, true), zerosLike(writes))
		err = b.sweepAll(t.Context(), b.target, func(i int, edges, embed gpt2.Array, at, pos int) {
			back := 0.0
			for _, w := range b.sourceRow(at, pos, edges, embed) {
				back += w
			}
			target, forth := cfg.Targets[i], 0.0
			for _, w := range target.Tokens {
				k := target.Pos*vocab + int(w.ID)
				forth += w.Scale * (moved[k] - rest[k])
			}
			if f := target.Feature; f != nil {
				k := n*vocab + (f.Layer*n+target.Pos)*d
				for j, w := range c.CLT.WEnc[f.Layer][f.Index*d:][:d] {
					forth += float64(w) * (moved[k+j] - rest[k+j])
				}
			}
			if math.Abs(back-forth) > 1e-9*max(1, math.Abs(forth)) {
				t.Errorf("target %d: backward %.12g, forward %.12g", i, back, forth)
			}
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
	})
}

func zerosLike(list []gpt2.Array) []gpt2.Array {
	out := slices.Clone(list)
	for i, a := range list {
		out[i] = gpt2.NewArray(a.Shape, true)
	}
	return out
}

// TestInvariant22Centring: a constant added to all dimensions of the stream at any
// place moves no logit, as frozen LayerNorms keep taking the mean away. A skip that
// reads behind no LayerNorm sees it.
func TestInvariant22Centring(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		r := rand.New(rand.NewPCG(3, 3))
		x0, writes := streams(r, c.Local)
		n := len(c.Tokens) * c.LM.Config.DVocab
		base := outputsOf(t, c.Local, x0, writes)[:n]
		for place := range writes {
			shifted := zerosLike(writes)
			pos := 1 + place
			for i := range c.CLT.DModel {
				shifted[place].F64[pos*c.CLT.DModel+i] = 3
			}
			got := outputsOf(t, c.Local, x0, plusAll(writes, shifted))[:n]
			d, _ := maxDiff(func(i int) float64 { return got[i] }, base)
			seen := c.CLT.Skip && c.CLT.Read == gpt2.ResidMid && place < 2
			if seen != (d > 1e-9) {
				t.Errorf("a shift of the MLP output of layer %d moves a logit by %g", place, d)
			}
		}
	})
}
