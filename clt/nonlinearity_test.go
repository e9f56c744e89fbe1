package clt

import (
	"math"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// A feature at its threshold is off, in training as at inference; raising a
// threshold never turns a feature on.
func TestThresholdIsStrict(t *testing.T) {
	const n, F = 60, 3
	cfg := Config{Layers: 1, DModel: 1, Features: F, Activation: ActJumpReLU}
	h := normals(5, n*F)
	copy(h, []float64{0.5, 0.25, 0})
	count := func(theta []float64) (active int, first []float64) {
		out := call(t, goBackend(t), func(in []*graph.Node) []*graph.Node {
			return []*graph.Node{cfg.Activate(in[0], in[1]), jumpReLU(in[0], in[1], 1)}
		}, tensors.FromFlatDataAndDimensions(h, n, F), theta)
		a, trained := float64s(out[0]), float64s(out[1])
		for i, v := range a {
			if v != trained[i] {
				t.Fatalf("entry %d is %g at inference and %g in training", i, v, trained[i])
			}
			if v != 0 {
				active++
			}
		}
		return active, a[:F]
	}
	_, first := count([]float64{0.5, 0.25, 0})
	if first[0] != 0 || first[1] != 0 || first[2] != 0 {
		t.Errorf("features at their thresholds are %v", first)
	}
	_, first = count([]float64{0.49, 0.24, -0.01})
	if first[0] != 0.5 || first[1] != 0.25 {
		t.Errorf("features just above their thresholds are %v", first)
	}
	before := n*F + 1
	for _, theta := range []float64{0, 0.1, 0.3, 0.7, 2, 5} {
		active, _ := count([]float64{theta, theta, theta})
		if active > before {
			t.Errorf("%d features are active at threshold %g, %d below it", active, theta, before)
		}
		before = active
	}
}

// The penalty of a small activation rises with slope λ·c·ν.
func TestSparsitySlope(t *testing.T) {
	cfg := Config{Layers: 1, DModel: 2, Features: 1, Activation: ActReLU, Read: "mlp.hook_in"}
	c := newLossCase(cfg, 1, 3)
	c.tc.TanhScale, c.lambda = 2.5, 0.8
	c.weights = [][]float64{{1, 0}, {0}, {0.3, -0.4}, {0, 0}} // W_enc, b_enc, W_dec of norm 0.5, b_dec
	const a = 1e-6
	c.x = [][]float64{{a, 0}}
	res := c.build(t, func(o lossOutputs, _ []*graph.Node) []*graph.Node { return []*graph.Node{o.sparsity} })
	if got, want := res[0][0]/a, c.lambda*c.tc.TanhScale*0.5; math.Abs(got-want) > 1e-6 {
		t.Errorf("slope %g, want %g", got, want)
	}
}
