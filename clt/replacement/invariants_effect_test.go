package replacement

import (
	"math"
	"slices"
	"testing"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// The tests of this file are the invariants 7, 35, 37 and 55 to 62 of the method:
// what graphs say about interventions. 36 stands with total effects.

// TestInvariant07RescaledRows: a feature's encoder times k and decoders over k
// scale its row by k and leave all other rows as they are.
func TestInvariant07RescaledRows(t *testing.T) {
	const k = 4
	rescaled := clt.Feature{Layer: 1, Index: 3}
	var plain map[string]*attribution.Graph
	for pass := range 2 {
		graphs := map[string]*attribution.Graph{}
		onRandom(t, func(_ gpt2.Params, x *clt.Transcoder) {
			if pass == 0 || x.Activation == clt.ActTopK {
				return // TopK compares features with each other
			}
			scale := func(v []float32, width int, by float32) {
				for i := range v[rescaled.Index*width : (rescaled.Index+1)*width] {
					v[rescaled.Index*width+i] *= by
				}
			}
			scale(x.WEnc[1], x.DModel, k)
			scale(x.BEnc[1], 1, k)
			scale(x.WDec[1], x.Targets(1)*x.DModel, 1.0/k)
			if x.HasThreshold() {
				scale(x.Threshold[1], 1, k)
			}
		}, func(t *testing.T, c randomCase) {
			g := graphOf(t, c.Local)
			graphs[c.key] = g
			if pass == 0 || c.CLT.Activation == clt.ActTopK {
				return
			}
			before := plain[c.key]
			for at, n := range g.Nodes {
				by := 1.0
				if n.Kind == attribution.Feature && n.Layer == rescaled.Layer && n.Index == rescaled.Index {
					by = k
				}
				for s := range g.Nodes {
					if d := g.Weight(at, s) - by*before.Weight(at, s); math.Abs(d) > 1e-10 {
						t.Fatalf("edge %v -> %v misses %g times what it was by %g", g.Nodes[s].ID, n.ID, by, d)
					}
				}
			}
		})
		plain = graphs
	}
}

// intervened runs edits.
func intervened(t *testing.T, l *Local, cfg InterveneConfig, edits ...Edit) *Effect {
	t.Helper()
	e, err := l.Intervene(t.Context(), cfg, edits...)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// centredLogit is a logit of the last position, relative to the mean.
func (l *Local) centredLogit(a gpt2.Array, token int) float64 {
	v := l.LM.Config.DVocab
	row, mean := a.F64[len(a.F64)-v:], 0.0
	for _, x := range row {
		mean += x / float64(v)
	}
	return row[token] - mean
}

// some picks a few features of the layers below the last.
func (c randomCase) some() (list []Active) {
	for i, a := range c.Active {
		if a.Layer < 2 && i%9 == 0 {
			list = append(list, a)
		}
	}
	return list
}

// TestInvariant35FiniteDifference: with all other features held fixed, a target
// moves by exactly the edge over the activation, however far the feature is moved.
// So do the logits if the range covers all layers (59).
func TestInvariant35FiniteDifference(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		g := graphOf(t, c.Local)
		for _, a := range c.some() {
			s := g.Find(a.id())
			for _, delta := range []float64{1e-4, 1, -50} {
				e := intervened(t, c.Local, c.DefaultInterveneConfig(), Edit{Feature: a.Feature, Pos: a.Pos, Value: a.Value + delta})
				for at, n := range g.Nodes {
					var moved float64
					switch n.Kind {
					case attribution.Feature:
						i := n.Pos*c.CLT.Features + n.Index
						moved = e.Pre[n.Layer].At(i) - c.pre[n.Layer].At(i)
					case attribution.Logit:
						moved = c.centredLogit(e.Logits, n.Index) - c.centredLogit(c.Logits, n.Index)
					default:
						continue
					}
					if want := g.Weight(at, s) / a.Value * delta; math.Abs(moved-want) > 1e-10*max(1, math.Abs(want)) {
						t.Fatalf("%v moved by %g moves %v by %.12g, its edge says %.12g", a.id(), delta, n.ID, moved, want)
					}
				}
			}
		}
	})
}

// TestInvariant37NoInfluence: features without influence on the targets do not move
// them in the local replacement model.
func TestInvariant37NoInfluence(t *testing.T) {
	idle := 0
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		targets := []Target{c.tokenTarget(3, 0.7, 2), c.tokenTarget(4, 0.2, 3)}
		g := graphOf(t, c.Local, targets...)
		infl, err := g.Influence()
		if err != nil {
			t.Fatal(err)
		}
		for i, n := range g.Nodes {
			if n.Kind != attribution.Feature || infl[i] != 0 || i%7 != 0 {
				continue
			}
			idle++
			e := intervened(t, c.Local, c.everythingFrozen(), Edit{Feature: clt.Feature{Layer: n.Layer, Index: n.Index}, Pos: n.Pos, Scale: true, Factor: 1.001})
			for _, target := range targets {
				for k := range 13 {
					at := target.Pos*13 + k
					if d := e.Logits.At(at) - c.Logits.At(at); math.Abs(d) > 1e-11 {
						t.Fatalf("%v has no influence and moves logit %d at %d by %g", n.ID, k, target.Pos, d)
					}
				}
			}
		}
	})
	if idle < 20 {
		t.Errorf("only %d features have no influence", idle)
	}
}

// TestInvariant55NoOp: a feature set to what it is, or scaled by one, gives the bits
// of no edits at all.
func TestInvariant55NoOp(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		a, b := c.Active[1], c.Active[len(c.Active)/2]
		edits := []Edit{{Feature: a.Feature, Pos: a.Pos, Value: a.Value}, {Feature: b.Feature, Pos: b.Pos, Scale: true, Factor: 1}}
		for _, mode := range []string{Constrained, Iterative, Live} {
			for _, frozen := range []bool{true, false} {
				cfg := InterveneConfig{Mode: mode, To: 3, FreezeAttention: frozen, FreezeLN: frozen}
				x, y := intervened(t, c.Local, cfg), intervened(t, c.Local, cfg, edits...)
				if !slices.Equal(x.Logits.F64, y.Logits.F64) {
					t.Errorf("%+v: edits that change nothing change bits", cfg)
				}
				if d, _ := maxDiff(x.Logits.At, c.Logits.F64); d > 1e-11 {
					t.Errorf("%+v: no edits move logits by %g", cfg, d)
				}
			}
		}
	})
}

// TestInvariant56DirectEdge: patched from the source's layer to the one below the
// target with everything frozen, the target moves by (M-1) times the edge, with its
// sign (62); with live divisors it does not.
func TestInvariant56DirectEdge(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		g := graphOf(t, c.Local)
		live, signs := 0.0, 0
		for _, a := range c.some() {
			s := g.Find(a.id())
			cfg := InterveneConfig{Mode: Constrained, From: a.Layer, To: 2, FreezeAttention: true, FreezeLN: true}
			edit := Edit{Feature: a.Feature, Pos: a.Pos, Scale: true, Factor: -1}
			frozen := intervened(t, c.Local, cfg, edit)
			cfg.FreezeLN = false
			other := intervened(t, c.Local, cfg, edit)
			for at, n := range g.Nodes {
				if n.Kind != attribution.Feature || n.Layer != 2 {
					continue
				}
				i := n.Pos*c.CLT.Features + n.Index
				moved, want := frozen.Pre[2].At(i)-c.pre[2].At(i), -2*g.Weight(at, s)
				if math.Abs(moved-want) > 1e-10 {
					t.Fatalf("%v turned round moves %v by %.12g, want %.12g", a.id(), n.ID, moved, want)
				}
				if want != 0 && (moved < 0) == (want < 0) {
					signs++
				}
				live = max(live, math.Abs(other.Pre[2].At(i)-c.pre[2].At(i)-want))
			}
		}
		if live < 1e-3 || signs == 0 {
			t.Errorf("with live divisors targets differ by %g at most; %d signs", live, signs)
		}
	})
}

// TestInvariant57Locality: nothing changes at earlier positions, nor at layers that
// read before the source writes.
func TestInvariant57Locality(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		for _, mode := range []string{Constrained, Iterative, Live} {
			for _, frozen := range []bool{true, false} {
				edit := Edit{Feature: clt.Feature{Layer: 1, Index: 2}, Pos: 3, Value: 9}
				e := intervened(t, c.Local, InterveneConfig{Mode: mode, To: 3, FreezeAttention: frozen, FreezeLN: frozen}, edit)
				moved := false
				for l, pre := range e.Pre {
					for i := c.CLT.Features; i < pre.Len(); i++ {
						d := math.Abs(pre.At(i) - c.pre[l].At(i))
						if (l <= 1 || i/c.CLT.Features < 3) && d > 1e-11 {
							t.Fatalf("%s, frozen %v: layer %d, position %d moves by %g", mode, frozen, l, i/c.CLT.Features, d)
						}
						moved = moved || d > 1e-6
					}
				}
				for i := range 3 * 13 {
					if d := math.Abs(e.Logits.At(i) - c.Logits.At(i)); d > 1e-11 {
						t.Fatalf("%s: a logit at position %d moves by %g", mode, i/13, d)
					}
				}
				if !moved {
					t.Errorf("%s: nothing moves at all", mode)
				}
			}
		}
		// Nor before the range: what is read up to its first layer is clean, what
		// is read behind it is not.
		edit := Edit{Feature: clt.Feature{Layer: 0, Index: 2}, Pos: 3, Value: 9}
		for from := 1; from < 3 && c.CLT.Targets(0) > 1; from++ {
			e := intervened(t, c.Local, InterveneConfig{Mode: Constrained, From: from, To: 3}, edit)
			for l, pre := range e.Pre {
				d, _ := maxDiff(func(i int) float64 { return pre.At(c.CLT.Features + i) }, c.pre[l].F64[c.CLT.Features:])
				if l <= from && d > 1e-11 || l > from && d < 1e-6 {
					t.Errorf("layers %d to 2: what layer %d reads moves by %g", from, l, d)
				}
			}
		}
	})
}

// TestInvariant58Additivity: the outputs that are clamped for several edits are the
// clean ones plus what each edit adds alone.
func TestInvariant58Additivity(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		edits := []Edit{{Feature: clt.Feature{Layer: 0, Index: 2}, Pos: 3, Value: 2}, {Feature: c.Active[2].Feature, Pos: c.Active[2].Pos, Scale: true, Factor: -1},
			{Feature: clt.Feature{Layer: 1, Index: 5}, Pos: 2, Open: true, Value: 1}}
		base, all := c.clampedOutputs(nil), c.clampedOutputs(edits)
		for l := range all {
			want := slices.Clone(base[l].F64)
			for _, e := range edits {
				addTo(want, subtract(c.clampedOutputs([]Edit{e})[l], base[l]).F64)
			}
			if d, _ := maxDiff(all[l].At, want); d > 1e-12 {
				t.Errorf("layer %d: outputs of all edits differ from their sum by %g", l, d)
			}
		}
	})
}

// TestInvariant59DirectLogitEffect: over all layers with everything frozen the logit
// moves by (M-1) times the edge, as DirectEffects predicts.
func TestInvariant59DirectLogitEffect(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		g := graphOf(t, c.Local)
		targets := c.TopTargets(3, 1)
		for _, a := range c.some() {
			edit := Edit{Feature: a.Feature, Pos: a.Pos, Scale: true, Factor: -3}
			predicted, err := c.DirectEffects(t.Context(), targets, []Edit{edit})
			if err != nil {
				t.Fatal(err)
			}
			e := intervened(t, c.Local, c.DefaultInterveneConfig(), edit)
			for i, target := range targets {
				id := int(target.Tokens[0].ID)
				at := slices.IndexFunc(g.Nodes, func(n attribution.Node) bool { return n.Kind == attribution.Logit && n.Index == id })
				moved := c.centredLogit(e.Logits, id) - c.centredLogit(c.Logits, id)
				if at >= 0 && math.Abs(moved+4*g.Weight(at, g.Find(a.id()))) > 1e-10 || math.Abs(moved-predicted[i]) > 1e-10 {
					t.Fatalf("%v: logit %d moves by %.12g, predicted %.12g", a.id(), id, moved, predicted[i])
				}
			}
		}
	})
}

// TestInvariant60FinalDivisor: a feature of the last layer at the last position acts
// on the real model's logits as on the frozen ones but for ln_f's divisor: less the
// part of ln_f's bias they are the frozen ones times sigma/sigma'.
func TestInvariant60FinalDivisor(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		f := clt.Feature{Layer: 2, Index: 4}
		edit := Edit{Feature: f, Pos: 5, Value: 3}
		cfg := InterveneConfig{Mode: Constrained, From: 2, To: 3, FreezeAttention: true, FreezeLN: true}
		frozen := intervened(t, c.Local, cfg, edit)
		cfg.FreezeLN = false
		live := intervened(t, c.Local, cfg, edit)
		// The stream that ln_f sees: the clean one and what the feature writes more.
		d := c.CLT.DModel
		x := slices.Clone(c.plain.Clean["blocks.2.hook_resid_post"][5*d:])
		delta := 3 - c.act[2].At(5*c.CLT.Features+f.Index)
		for i, w := range c.plain.CLT.Decoder(2, f.Index, 2) {
			x[i] += delta * w
		}
		centred(x)
		sigma := math.Sqrt(inner(x, x)/float64(d) + c.LM.Config.LayerNormEps)
		ratio := c.scaleF.At(5) / sigma
		for token := range 13 {
			bias := inner(c.plain.W["wte.weight"][token*d:][:d], c.plain.W["ln_f.bias"])
			got, want := live.Logits.At(5*13+token)-bias, ratio*(frozen.Logits.At(5*13+token)-bias)
			if math.Abs(got-want) > 1e-10 || math.Abs(ratio-1) < 1e-6 {
				t.Fatalf("logit %d is %.12g with the live divisor, want %.12g (ratio %g)", token, got, want, ratio)
			}
		}
	})
}

// TestInvariant61Iterative: iterative patching with errors kept and everything
// frozen is the oracle's live local replacement model, however large the edit.
func TestInvariant61Iterative(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		a := c.Active[0]
		edits := []Edit{{Feature: a.Feature, Pos: a.Pos, Scale: true, Factor: -3}, {Feature: clt.Feature{Layer: 1, Index: 7}, Pos: 2, Open: true, Value: 1.5}}
		e := intervened(t, c.Local, c.everythingFrozen(), edits...)
		acts := c.plain.Run(func(layer, pos, index int, v float64) float64 {
			switch {
			case layer == a.Layer && index == a.Index && pos == a.Pos:
				return -3 * v
			case layer == 1 && index == 7 && pos >= 2:
				return 1.5
			}
			return v
		})
		if d, _ := maxDiff(e.Logits.At, acts["logits"]); d > 1e-10 {
			t.Errorf("logits differ from the loops by %g", d)
		}
		if d, _ := maxDiff(e.Logits.At, c.Logits.F64); d < 1e-3 {
			t.Errorf("the edits move logits by %g only", d)
		}
	})
}
