package replacement

import (
	"math"
	"testing"

	"github.com/etredal/cross-layer-transcoder/gpt2"
)

func TestAgree(t *testing.T) {
	x := gpt2.Array{Shape: []int{3, 3}, F64: []float64{1, 2, 3, 1, 2, 3, 0, 0, 5}}
	y := gpt2.Array{Shape: []int{3, 3}, F64: []float64{3, 4, 5, 3, 2, 1, 0, 0, 5}}
	a, err := Agree(x, y)
	if err != nil {
		t.Fatal(err)
	}
	// A constant added to all logits changes nothing but the squared error.
	if a.KL[0] > 1e-12 || math.Abs(a.Cosine[0]-1) > 1e-12 || math.Abs(a.MSE[0]-4) > 1e-12 || !a.Same[0] {
		t.Errorf("shifted: %+v", a)
	}
	// Turned round: KL is Σ p·(log p - log q) = 2·(p₃ - p₁).
	e := math.E
	if want := 2 * (e*e - 1) / (1 + e + e*e); math.Abs(a.KL[1]-want) > 1e-12 || math.Abs(a.Cosine[1]+1) > 1e-12 || a.Same[1] || a.Diverges != 1 {
		t.Errorf("turned round: %+v", a)
	}
	if a, _ := Agree(x, x); a.Diverges != -1 || a.MSE[2] != 0 {
		t.Errorf("itself: %+v", a)
	}
	if _, err := Agree(x, gpt2.Array{Shape: []int{9}, F64: x.F64}); err == nil {
		t.Error("another shape is taken")
	}
}
