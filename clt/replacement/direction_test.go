package replacement

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// TestAnyDirection: a direction given as a vector is the sum of unembedding columns
// that it is: the same row, which adds up to its value, the same direct effects and the
// same predictions, also of vectors that edits add.
func TestAnyDirection(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		rows, err := c.LM.UnembedRows([]int32{3, 5})
		if err != nil {
			t.Fatal(err)
		}
		d := c.CLT.DModel
		vector, push := make([]float64, d), make([]float64, d)
		for i := range vector {
			vector[i], push[i] = 2*rows.At(i)-.5*rows.At(d+i), 1e-5*math.Sin(float64(i))
		}
		text, err := json.Marshal(vector)
		if err != nil {
			t.Fatal(err)
		}
		direction, err := c.ParseTarget(string(text) + "@4")
		if err != nil {
			t.Fatal(err)
		}
		sum := Target{Prob: 1, Tokens: []Weighted{{3, 2}, {5, -.5}}, Pos: 4}
		both := Target{Prob: 1, Tokens: []Weighted{{3, 1}, {5, -.25}}, Vector: halved(vector), Pos: 4}
		targets := []Target{sum, direction, both}
		g := graphOf(t, c.Local, targets...)
		first := len(g.Nodes) - len(targets)
		if e, _ := g.CheckRows(); !(e >= 0 && e < 1e-10) {
			t.Errorf("a row misses its value by %g", e)
		}
		edits := []Edit{AddVector(1, 2, gpt2.ResidMid, push), AddVector(2, 4, gpt2.MLPOut, push), ScaleBy(c.Active[2].Feature, c.Active[2].Pos, 1+1e-5)}
		direct, err := c.DirectEffects(t.Context(), targets, edits)
		if err != nil {
			t.Fatal(err)
		}
		p, err := c.Predict(t.Context(), g, edits, targets...)
		if err != nil {
			t.Fatal(err)
		}
		if direct[0] == 0 || p.Value[first] == 0 {
			t.Errorf("direct effect %g, in all %g", direct[0], p.Value[first])
		}
		for i := 1; i < len(targets); i++ {
			for s := range g.Nodes {
				if x := g.Weight(first+i, s) - g.Weight(first, s); math.Abs(x) > 1e-11 {
					t.Fatalf("%v: the edge differs by %g from that of the sum of tokens", g.Nodes[s].ID, x)
				}
			}
			if x := g.Nodes[first+i].Preactivation - g.Nodes[first].Preactivation; math.Abs(x) > 1e-11 {
				t.Errorf("the value differs by %g", x)
			}
			if x := direct[i] - direct[0]; math.Abs(x) > 1e-12 {
				t.Errorf("the direct effect differs by %g", x)
			}
			if x := p.Value[first+i] - p.Value[first]; math.Abs(x) > 1e-12 {
				t.Errorf("the predicted effect differs by %g", x)
			}
		}
		for _, bad := range []Target{{Label: "short", Prob: 1, Vector: []float64{1}}, {Label: "none", Prob: 1, Vector: append(make([]float64, d-1), math.NaN())}} {
			cfg := DefaultAttributeConfig()
			cfg.Targets = []Target{bad}
			if _, err := c.Attribute(t.Context(), cfg, nil); err == nil {
				t.Errorf("%s was accepted", bad.Label)
			}
		}
	})
}

func halved(x []float64) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = v / 2
	}
	return y
}
