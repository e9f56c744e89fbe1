package replacement

import (
	"math"
	"strings"
	"testing"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/clt/attribution"
)

// everythingFrozen is the local replacement model, live between features.
func (l *Local) everythingFrozen() InterveneConfig {
	return InterveneConfig{Mode: Iterative, To: l.CLT.Layers, FreezeAttention: true, FreezeLN: true}
}

// checkPrediction compares a prediction with the intervention.
func checkPrediction(t *testing.T, l *Local, g *attribution.Graph, targets []Target, edits []Edit, tol float64) {
	t.Helper()
	p, err := l.Predict(t.Context(), g, edits, targets...)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Crossing) > 0 {
		t.Fatalf("%v cross their thresholds; the test wants a smaller change", p.Crossing)
	}
	e, err := l.Intervene(t.Context(), l.everythingFrozen(), edits...)
	if err != nil {
		t.Fatal(err)
	}
	moved := 0
	for i, n := range g.Nodes {
		var measured float64
		switch n.Kind {
		case attribution.Feature:
			at := n.Pos*l.CLT.Features + n.Index
			measured = e.Pre[n.Layer].At(at) - l.pre[n.Layer].At(at)
		case attribution.Logit:
			target, err := l.targetOfLogit(n.ID, targets)
			if err != nil {
				t.Fatal(err)
			}
			if target.Feature != nil {
				at := n.Pos*l.CLT.Features + target.Feature.Index
				measured = e.Pre[target.Feature.Layer].At(at) - l.pre[target.Feature.Layer].At(at)
				break
			}
			measured = l.directionOf(target, n.Pos, func(k int) float64 { return e.Logits.At(k) - l.Logits.At(k) }, nil)
		}
		if math.Abs(measured-p.Value[i]) > tol {
			t.Fatalf("%v moves by %.12g, predicted %.12g", n.ID, measured, p.Value[i])
		}
		if math.Abs(measured) > 100*tol {
			moved++
		}
	}
	if moved < 3 {
		t.Fatalf("only %d targets move", moved)
	}
}

// safeEdits change features of the lowest layers so little that nothing crosses a
// threshold: one scaled, one set, one switched on.
func safeEdits(l *Local) []Edit {
	a, b := l.Active[0], l.Active[len(l.Active)/3]
	edits := []Edit{{Feature: a.Feature, Pos: a.Pos, Scale: true, Factor: 1 + 1e-5}, {Feature: b.Feature, Pos: b.Pos, Value: b.Value + 1e-5}}
	for i := range l.CLT.Features {
		if l.act[0].At(2*l.CLT.Features+i) == 0 {
			return append(edits, Edit{Feature: clt.Feature{Layer: 0, Index: i}, Pos: 2, Value: 1e-5})
		}
	}
	return edits
}

// TestInvariant36TotalEffects: with everything frozen and no feature crossing its
// threshold, what an intervention does is what the graph predicts, for features of
// the graph and for one that was off, for every kind of target.
func TestInvariant36TotalEffects(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		targets := append(c.TopTargets(3, 1), Target{Label: "difference", Prob: 1, Tokens: []Weighted{{1, 1}, {2, -1}}, Pos: 4},
			Target{Label: "feature", Prob: 1, Feature: &clt.Feature{Layer: 2, Index: 5}, Pos: 5})
		g := graphOf(t, c.Local, targets...)
		checkPrediction(t, c.Local, g, targets, safeEdits(c.Local), 1e-12)
	})
}

// TestPredictionsOfReference is the same on the reference model, where a feature's
// total derivative is compared as well.
func TestPredictionsOfReference(t *testing.T) {
	for _, set := range []string{"clt_relu_resid_mid", "clt_jumprelu_ln2_normalized"} {
		m := loadSet(t, "go", "../../gpt2/testdata/tiny2", "testdata/"+set, true)
		local := localized(t, m, []int32{96, 23, 43, 4, 79, 94, 33})
		g := graphOf(t, local)
		checkPrediction(t, local, g, nil, safeEdits(local), 1e-11)
		top := g.TopTarget()
		effects, err := g.TotalEffects(top)
		if err != nil {
			t.Fatal(err)
		}
		sum, direct := 0.0, 0
		for i, n := range g.Nodes {
			if n.Kind != attribution.Feature {
				sum += effects[i]
			} else if effects[i] == g.Weight(top, i) {
				direct++
			}
		}
		if v := g.Nodes[top].Preactivation; math.Abs(sum-v) > 1e-9 || direct == g.Count(attribution.Feature) {
			t.Errorf("%s: total effects of all leaves add up to %.12g, value %.12g; %d features have direct effects alone", set, sum, v, direct)
		}
	}
}

// TestPredictionWarns: a feature that is switched off with what feeds it is named.
func TestPredictionWarns(t *testing.T) {
	m := loadSet(t, "go", "../../gpt2/testdata/tiny2", "testdata/clt_relu_resid_mid", true)
	local := localized(t, m, []int32{96, 23, 43, 4, 79, 94, 33})
	g := graphOf(t, local)
	var edits []Edit
	for _, a := range local.Active {
		if a.Layer == 0 {
			edits = append(edits, Edit{Feature: a.Feature, Pos: a.Pos, Scale: true, Factor: -20})
		}
	}
	p, err := local.Predict(t.Context(), g, edits)
	if err != nil {
		t.Fatal(err)
	}
	e, err := local.Intervene(t.Context(), local.everythingFrozen(), edits...)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Crossing) == 0 {
		t.Fatal("no feature crosses its threshold")
	}
	first := p.Crossing[0] // nothing crosses before it, so that it does cross
	if h := e.Pre[first.Layer].At(first.Pos*m.CLT.Features + first.Index); h > 0 {
		t.Errorf("%v is predicted to fall below 0, it is %g", first, h)
	}
	other := localized(t, m, []int32{96, 23, 43})
	for want, err := range map[string]error{
		"another prompt": predictionError(t, other, g, edits[:0]),
		"layers are 0":   predictionError(t, local, g, []Edit{{Feature: clt.Feature{Layer: 9}, Pos: 1}}),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
	_, err = local.Predict(t.Context(), graphOf(t, local, Target{Prob: 1, Tokens: []Weighted{{1, 1}, {2, -1}}, Pos: 3}), safeEdits(local)[2:])
	if err == nil || !strings.Contains(err.Error(), "no single token") {
		t.Errorf("a target without its direction: %v", err)
	}
}

func predictionError(t *testing.T, l *Local, g *attribution.Graph, edits []Edit) error {
	t.Helper()
	_, err := l.Predict(t.Context(), g, edits)
	return err
}
