package replacement

import (
	"math"
	"strings"
	"testing"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// noAttention makes the attention write nothing but its output bias.
func noAttention(p gpt2.Params, _ *clt.Transcoder) {
	for name, a := range p {
		if strings.HasSuffix(name, "attn.c_proj.weight") {
			clear(a.F64)
		}
	}
}

// divisor is what ln_2 divides a feature's reads by, 1 if it reads before it.
func (l *Local) divisor(id attribution.ID) float64 {
	if l.CLT.Read == gpt2.ResidMid {
		return 1
	}
	return l.scale2[id.Layer].At(id.Pos)
}

// TestInvariant63VirtualWeights: with attention removed an edge between features is
// the source's activation times the virtual weight over the target's divisor, and
// zero between positions; so are edges from tokens and positions. It is 31 as well.
func TestInvariant63VirtualWeights(t *testing.T) {
	onRandom(t, noAttention, func(t *testing.T, c randomCase) {
		if c.CLT.Skip {
			return // a skip is a path of its own
		}
		g := graphOf(t, c.Local)
		between := 0
		for at, n := range g.Nodes {
			if n.Kind != attribution.Feature {
				continue
			}
			target := clt.Feature{Layer: n.Layer, Index: n.Index}
			inputs, err := c.VirtualInputs(target, nil)
			if err != nil || len(inputs) != n.Layer*c.CLT.Features {
				t.Fatalf("%d inputs of %v: %v", len(inputs), n.ID, err)
			}
			tokens, err1 := c.TokenWeights(target)
			positions, err2 := c.PositionWeights(target)
			if err1 != nil || err2 != nil {
				t.Fatal(err1, err2)
			}
			for s, source := range g.Nodes {
				want := 0.0
				switch {
				case source.Kind == attribution.Error, source.Kind == attribution.Bias, source.Kind == attribution.Logit:
					continue
				case source.Pos != n.Pos:
				case source.Kind == attribution.Token:
					want = tokens[source.Index]
				case source.Kind == attribution.Position:
					want = positions[source.Pos]
				case source.Layer < n.Layer:
					want = source.Activation * inputs[source.Layer*c.CLT.Features+source.Index].Virtual
					between++
				}
				if w := g.Weight(at, s) * c.divisor(n.ID); math.Abs(w-want) > 1e-11 {
					t.Fatalf("%v -> %v is %.12g times the divisor, the virtual weight says %.12g", source.ID, n.ID, w, want)
				}
			}
		}
		if between == 0 {
			t.Error("no edges between features")
		}
		checkVirtualOutputs(t, c.Model)
	})
}

// checkVirtualOutputs: outputs are inputs seen from the other side, and weights
// that do not go up are zero.
func checkVirtualOutputs(t *testing.T, m *Model) {
	t.Helper()
	s := clt.Feature{Layer: 0, Index: 3}
	outputs, err := m.VirtualOutputs(s, nil)
	if err != nil || len(outputs) != 2*m.CLT.Features {
		t.Fatalf("%d outputs: %v", len(outputs), err)
	}
	for _, o := range outputs {
		inputs, err := m.VirtualInputs(o.Target, nil)
		if err != nil {
			t.Fatal(err)
		}
		pair, err := m.VirtualWeight(s, o.Target, nil)
		if err != nil || inputs[s.Index] != o || pair != o {
			t.Fatalf("output %+v, input %+v, pair %+v, %v", o, inputs[s.Index], pair, err)
		}
		if w, err := m.VirtualWeight(o.Target, s, nil); err != nil || w.Virtual != 0 {
			t.Fatalf("weight from layer %d to layer 0: %+v, %v", o.Target.Layer, w, err)
		}
	}
	if top := Strongest(outputs, 2, func(w GlobalWeight) float64 { return w.Virtual }); len(top) != 2 || math.Abs(top[0].Virtual) < math.Abs(top[1].Virtual) {
		t.Errorf("strongest %v", top)
	}
	if _, err := m.VirtualInputs(clt.Feature{Layer: 3}, nil); err == nil {
		t.Error("a feature that is not there has inputs")
	}
}

// TestInvariant64Coactivation: ERA and TWERA from streamed statistics are the means
// over all tokens of what each token's residual attribution is.
func TestInvariant64Coactivation(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		stats := clt.NewCoactivation()
		var acts [][]gpt2.Array
		tokens := 0
		for _, prompt := range [][]int32{{12, 3, 7, 3, 0, 9}, {12, 1, 2, 4}, {12, 5, 5, 6, 11, 10, 8, 2}} {
			l := localized(t, c.Model, prompt)
			var list []clt.Activation
			for _, a := range l.Active {
				list = append(list, clt.Activation{Feature: a.Feature, Pos: a.Pos, Value: float32(a.Value)})
			}
			stats.Add(list, len(prompt))
			acts, tokens = append(acts, l.act), tokens+len(prompt)
		}
		target := clt.Feature{Layer: 2, Index: 4}
		inputs, err := c.VirtualInputs(target, stats)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range inputs {
			var era, product, sum float64
			for _, act := range acts {
				for i := range act[0].Shape[0] {
					s := act[w.Source.Layer].At(i*c.CLT.Features + w.Source.Index)
					u := act[target.Layer].At(i*c.CLT.Features + target.Index)
					product, sum = product+s*u*w.Virtual, sum+u
					if u > 0 {
						era += s * w.Virtual / float64(tokens)
					}
				}
			}
			twera := 0.0
			if product != 0 {
				twera = product / sum
			}
			if math.Abs(w.ERA-era) > 1e-6 || math.Abs(w.TWERA-twera) > 1e-6 || product == 0 && (w.ERA != 0 || w.TWERA != 0) {
				t.Fatalf("%v -> %v: ERA %g and TWERA %g, means %g and %g", w.Source, target, w.ERA, w.TWERA, era, twera)
			}
		}
	})
}

// TestInvariant67LogitWeights: with attention removed the edge from a feature at
// the last position to a logit is its activation times the logit weight over the
// divisor of ln_f.
func TestInvariant67LogitWeights(t *testing.T) {
	onRandom(t, noAttention, func(t *testing.T, c randomCase) {
		if c.CLT.Skip {
			return
		}
		g := graphOf(t, c.Local)
		last, checked := len(c.Tokens)-1, 0
		for s, source := range g.Nodes {
			if source.Kind != attribution.Feature || source.Pos != last {
				continue
			}
			w, err := c.LogitWeights(clt.Feature{Layer: source.Layer, Index: source.Index})
			if err != nil {
				t.Fatal(err)
			}
			sum := 0.0
			for _, v := range w {
				sum += v
			}
			if math.Abs(sum) > 1e-11 {
				t.Errorf("logit weights of %v add up to %g", source.ID, sum)
			}
			for at, n := range g.Nodes {
				if n.Kind == attribution.Logit {
					checked++
					if got := g.Weight(at, s) * c.scaleF.At(last) / source.Activation; math.Abs(got-w[n.Index]) > 1e-11 {
						t.Fatalf("%v -> %v: edge says %.12g, weight %.12g", source.ID, n.ID, got, w[n.Index])
					}
				}
			}
		}
		if checked == 0 {
			t.Error("no feature is active at the last position")
		}
	})
}
