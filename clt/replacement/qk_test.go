package replacement

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/internal/testenv"
	"github.com/etredal/cross-layer-transcoder/internal/toy"
)

// TestScoreOfReference: on the reference model the pairs add up to the score that
// its stored queries and keys give, for every set, layer and head.
func TestScoreOfReference(t *testing.T) {
	acts := openGolden(t, "../../gpt2/testdata/tiny2/acts_p1_f64.safetensors")
	var meta struct {
		Prompts []struct{ IDs []int32 }
	}
	data, err := os.ReadFile("../../gpt2/testdata/tiny2/meta.json")
	if err == nil {
		err = json.Unmarshal(data, &meta)
	}
	if err != nil || len(meta.Prompts) < 2 || len(meta.Prompts[1].IDs) != 7 {
		t.Fatalf("no prompt of 7 tokens: %v", err)
	}
	ids := meta.Prompts[1].IDs
	for _, set := range []string{"clt_relu_resid_mid", "plt_topk_skip_mlp_in"} {
		m := loadSet(t, "go", "../../gpt2/testdata/tiny2", "testdata/"+set, true)
		local := localized(t, m, ids)
		width, heads := m.LM.Config.DHead(), m.LM.Config.Heads
		for layer := range m.LM.Config.Layers {
			q, k := acts.floats(string(gpt2.AttnQ.At(layer))), acts.floats(string(gpt2.AttnK.At(layer)))
			head, query, key := layer%heads, 6-layer, 5-layer
			want := 0.0
			for c := range width {
				want += q[(query*heads+head)*width+c] * k[(key*heads+head)*width+c] / math.Sqrt(float64(width))
			}
			a, err := local.AttributeScore(t.Context(), layer, head, query, key)
			if err != nil {
				t.Fatal(err)
			}
			sum := 0.0
			for i := range a.Sources {
				for j := range a.Sources {
					sum += a.Weight(i, j)
				}
			}
			t.Logf("%s layer %d: score %.6f, %d sources, sum off by %.2g", set, layer, a.Score, len(a.Sources), math.Abs(sum-want))
			if math.Abs(sum-want) > 1e-9 || math.Abs(a.Score-want) > 1e-9 {
				t.Errorf("%s layer %d: pairs add up to %.12g, score %.12g, stored %.12g", set, layer, sum, a.Score, want)
			}
		}
	}
}

// TestScoreParts doubles what single sources write in the oracle's frozen model and
// looks at how queries and keys move.
func TestScoreParts(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		const layer, head, query, key, d, width = 2, 1, 4, 2, 8, 4
		a, err := c.AttributeScore(t.Context(), layer, head, query, key)
		if err != nil {
			t.Fatal(err)
		}
		for side, list := range a.Sides() {
			sum := 0.0
			for i, w := range list {
				one := 0.0
				for j := range a.Sources {
					if side == 0 {
						one += a.Weight(i, j)
					} else {
						one += a.Weight(j, i)
					}
				}
				if sum += w; math.Abs(one-w) > 1e-11 {
					t.Fatalf("side %d: %v gives %g, its pairs %g", side, a.Sources[i], w, one)
				}
			}
			if math.Abs(sum-a.Score) > 1e-10 {
				t.Errorf("side %d adds up to %g, the score is %g", side, sum, a.Score)
			}
		}
		if row, err := c.Pattern(layer, head, query); err != nil || math.Abs(row[key]-c.plain.Clean[string(gpt2.AttnPattern.At(layer))][(head*6+query)*6+key]) > 1e-12 {
			t.Errorf("attention %v, %v", row, err)
		}
		base := c.frozenQK(nil, layer)
		for i, s := range a.Sources {
			if s.Kind == attribution.Bias || i%3 != 0 {
				continue
			}
			moved := c.frozenQK(&s, layer)
			for ch := range width {
				dq := (moved[0][query*d+head*width+ch] - base[0][query*d+head*width+ch]) / math.Sqrt(width)
				dk := moved[1][key*d+head*width+ch] - base[1][key*d+head*width+ch]
				if math.Abs(dq-a.Q[i][ch]) > 1e-11 || math.Abs(dk-a.K[i][ch]) > 1e-11 {
					t.Fatalf("%v: query part %.12g, moves by %.12g; key part %.12g, moves by %.12g", s, a.Q[i][ch], dq, a.K[i][ch], dk)
				}
			}
		}
	})
}

// frozenQK is queries and keys of a layer in the oracle's frozen model, with the
// output of one source doubled if it is not nil.
func (c randomCase) frozenQK(double *attribution.ID, layer int) [2][]float64 {
	p, d := c.plain, c.CLT.DModel
	x0 := make([]float64, len(p.Tokens)*d)
	for i := range x0 {
		x0[i] = p.Clean["hook_embed"][i] + p.Clean["hook_pos_embed"][i]
	}
	writes := make([][]float64, p.Layers)
	for l, y := range p.CLT.Decode(p.Act, nil) { // without the skip, which is live
		writes[l] = y
		for i, e := range p.Errors[l] {
			writes[l][i] += e
		}
	}
	if double != nil {
		at := double.Pos * d
		switch double.Kind {
		case attribution.Token:
			addTo(x0[at:], p.Clean["hook_embed"][at:at+d])
		case attribution.Position:
			addTo(x0[at:], p.Clean["hook_pos_embed"][at:at+d])
		case attribution.Error:
			addTo(writes[double.Layer][at:], p.Errors[double.Layer][at:at+d])
		case attribution.Feature:
			for l := range writes {
				for j, w := range p.CLT.Decoder(double.Layer, double.Index, l) {
					writes[l][at+j] += w * p.Act[double.Layer][double.Pos*c.CLT.Features+double.Index]
				}
			}
		}
	}
	acts := p.Affine(x0, writes)
	return [2][]float64{acts[string(gpt2.AttnQ.At(layer))], acts[string(gpt2.AttnK.At(layer))]}
}

func addTo(dst, src []float64) {
	for i, v := range src {
		dst[i] += v
	}
}

// TestScoreOfToyCircuit: the copying head looks for the noun because of the two
// words alone.
func TestScoreOfToyCircuit(t *testing.T) {
	for _, c := range toy.Circuits() {
		if c.Name != "copy head" {
			continue
		}
		a, err := toyLocal(t, c).AttributeScore(t.Context(), 0, 0, 2, 1)
		if err != nil {
			t.Fatal(err)
		}
		top := a.Top(3)
		want := Pair{attribution.ID{Kind: attribution.Token, Pos: 2, Index: 2}, attribution.ID{Kind: attribution.Token, Pos: 1, Index: 1}, toy.CopyScore}
		if math.Abs(a.Score-toy.CopyScore) > 1e-12 || len(top) != 1 || top[0].Query != want.Query || top[0].Key != want.Key || math.Abs(top[0].Weight-want.Weight) > 1e-12 {
			t.Errorf("score %g of %v, want %v", a.Score, top, want)
		}
		return
	}
	t.Error("the table has no copy head")
}

func TestTopPairs(t *testing.T) {
	a := &QK{Q: [][]float64{{1}, {-3}, {0.5}}, K: [][]float64{{2}, {1}, {0}},
		Sources: []attribution.ID{{Kind: attribution.Token}, {Kind: attribution.Token, Pos: 1}, {Kind: attribution.Bias}}}
	got := a.Top(3)
	if len(got) != 3 || got[0].Weight != -6 || got[1].Weight != -3 || got[2].Weight != 2 || got[1].Key.Pos != 1 {
		t.Errorf("top pairs %v", got)
	}
	if n := len(a.Top(100)); n != 6 {
		t.Errorf("%d pairs are not zero, want 6", n)
	}
	if a.Top(0) != nil {
		t.Error("no pairs were asked for")
	}
	kinds := a.ByKind()
	if kinds[[2]attribution.Kind{attribution.Token, attribution.Token}] != -6 || kinds[[2]attribution.Kind{attribution.Bias, attribution.Token}] != 1.5 {
		t.Errorf("sums by kind %v", kinds)
	}
}

func TestScoreRefusals(t *testing.T) {
	local := toyLocal(t, toy.Circuits()[0])
	for _, bad := range [][4]int{{1, 0, 0, 0}, {0, 2, 0, 0}, {-1, 0, 0, 0}, {0, 0, 1, 2}, {0, 0, 3, 0}, {0, 0, 1, -1}} {
		if _, err := local.AttributeScore(t.Context(), bad[0], bad[1], bad[2], bad[3]); err == nil {
			t.Errorf("%v was accepted", bad)
		}
	}
}

// TestSplitsOnXLA repeats the split by heads and a score where lengths are padded
// and numbers are float32: both fail by themselves if their parts do not add up.
func TestSplitsOnXLA(t *testing.T) {
	testenv.Slow(t)
	ids := []int32{96, 23, 43, 4, 79, 94, 33}
	set := "testdata/clt_jumprelu_ln2_normalized"
	wide := localized(t, loadSet(t, "go", "../../gpt2/testdata/tiny2", set, true), ids)
	local := localized(t, loadSet(t, "xla:cpu", "../../gpt2/testdata/tiny2", set, false), ids)
	a, err := local.AttributeScore(t.Context(), 2, 1, 5, 3)
	if err != nil {
		t.Fatal(err)
	}
	b, err := wide.AttributeScore(t.Context(), 2, 1, 5, 3)
	if err != nil {
		t.Fatal(err)
	}
	for i := range b.Sources {
		for j := range b.Sources {
			if d := math.Abs(a.Weight(i, j) - b.Weight(i, j)); d > 5e-5 {
				t.Fatalf("pair %v, %v differs by %g", b.Sources[i], b.Sources[j], d)
			}
		}
	}
	x, err := local.Heads(t.Context(), local.TopTargets(1, 1)...)
	if err != nil {
		t.Fatal(err)
	}
	y, err := wide.Heads(t.Context(), wide.TopTargets(1, 1)...)
	if err != nil {
		t.Fatal(err)
	}
	for k, h := range y[0].Heads {
		if d, at := maxDiff(func(i int) float64 { return x[0].Heads[k].Weights[i] }, h.Weights); d > 5e-5 {
			t.Fatalf("L%d/H%d of %v differs by %g", h.Layer, h.Head, y[0].Sources[at], d)
		}
	}
}
