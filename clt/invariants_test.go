package clt

import (
	"math"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
)

// The tests of this file are those of the method's invariants 1 to 15 and 68 that
// no other test of the package covers; internal/arch lists them all.

// TestInvariant03Threshold: a feature exactly at its threshold is off, and no
// threshold that rises switches anything on.
func TestInvariant03Threshold(t *testing.T) {
	const n = 40
	for _, kind := range []string{"jumprelu", "batchtopk", "plt jumprelu skip"} {
		cfg := configs()[kind]
		x := randomTranscoder(t, cfg, 12)
		var reads [][]float64
		for l := range cfg.Layers {
			reads = append(reads, normals(uint64(60+l), n*cfg.DModel))
		}
		before := math.Inf(1)
		for range 4 {
			_, act, _ := run(t, x, n, reads)
			l0 := 0.0
			for l := range act {
				for i, a := range act[l] {
					if a != 0 {
						l0++
					}
					if theta := float64(x.Threshold[l][i%cfg.Features]); a != 0 && a <= theta {
						t.Fatalf("%s: activation %g at threshold %g", kind, a, theta)
					}
				}
			}
			if l0 > before || math.IsInf(before, 1) && l0 == 0 {
				t.Errorf("%s: L0 is %g after %g with lower thresholds", kind, l0, before)
			}
			before = l0
			for l := range x.Threshold {
				for f := range x.Threshold[l] {
					x.Threshold[l][f] *= 1 + 0.3*float32(f%3)
				}
			}
		}
		// h is exactly the threshold: the bias alone.
		for l := range x.WEnc {
			clear(x.WEnc[l])
			copy(x.BEnc[l], x.Threshold[l])
		}
		pre, act, _ := run(t, x, n, reads)
		act = append(act, ActivateAllHost(x, pre)...) // the host has its own activation function
		for l := range act {
			if slices.ContainsFunc(act[l], func(a float64) bool { return a != 0 }) {
				t.Errorf("%s: a feature of layer %d is on at its threshold", kind, l)
			}
		}
	}
}

// TestInvariant05Penalty: the sparsity penalty is between 0 and λ·layers·features,
// and its slope at small activations is λ·c·‖W_dec‖.
func TestInvariant05Penalty(t *testing.T) {
	cfg := configs()["relu"]
	c := newLossCase(cfg, 9, 33)
	at := func(scale float64) float64 {
		c.tc.TanhScale = scale
		return c.build(t, func(o lossOutputs, _ []*graph.Node) []*graph.Node { return []*graph.Node{o.sparsity} })[0][0]
	}
	for _, scale := range []float64{1e-3, 1, 1e6} {
		if p := at(scale); !(p > 0) || p > c.lambda*float64(cfg.Layers*cfg.Features) {
			t.Errorf("penalty %g at c = %g", p, scale)
		}
	}
	x := blank(cfg)
	for i, w := range x.weights() {
		for j, v := range c.weights[i] {
			(*w.slot)[w.layer][j] = float32(v)
			c.weights[i][j] = float64(float32(v))
		}
	}
	_, act, _ := naive(x, c.n, c.x)
	want := 0.0
	for l, norms := range decoderNorms(t, x) {
		for i, a := range act[l] {
			want += c.lambda * a * float64(norms[i%cfg.Features]) / float64(c.n)
		}
	}
	const small = 1e-5
	if got := at(small) / small; math.Abs(got-want) > 1e-5*want {
		t.Errorf("slope %g, want %g", got, want)
	}
}

// TestInvariant06DecoderNorms: the squared norm of a feature's decoders is the sum
// over its targets; one of the last layer has a single decoder.
func TestInvariant06DecoderNorms(t *testing.T) {
	for _, kind := range []string{"relu", "plt relu"} {
		x := randomTranscoder(t, configs()[kind], 4)
		for l, norms := range decoderNorms(t, x) {
			targets := x.Targets(l)
			if l == x.Layers-1 && targets != 1 {
				t.Errorf("%s: the last layer has %d targets", kind, targets)
			}
			for f, norm := range norms {
				sum := 0.0
				for k := range targets {
					one := 0.0
					for _, v := range x.WDec[l][(f*targets+k)*x.DModel:][:x.DModel] {
						one += float64(v) * float64(v)
					}
					sum += one
				}
				if math.Abs(float64(norm)*float64(norm)-sum) > 1e-5*sum {
					t.Errorf("%s: norm of L%d/F%d is %g, squares add up to %g", kind, l, f, norm, sum)
				}
			}
		}
	}
}

// TestInvariant14MicroBatches: losses are means over tokens, so that the mean over
// parts of a batch is the loss and the gradient of the whole.
func TestInvariant14MicroBatches(t *testing.T) {
	for _, kind := range []string{"relu", "jumprelu", "topk", "plt jumprelu skip"} {
		c := newLossCase(configs()[kind], 6, 17)
		losses := func(c lossCase) [][]float64 {
			return c.build(t, func(o lossOutputs, w []*graph.Node) []*graph.Node {
				return append([]*graph.Node{o.total}, graph.Gradient(o.total, w...)...)
			})
		}
		whole := losses(c)
		mean := make([][]float64, len(whole))
		for part := range 3 {
			p := c
			p.n, p.x, p.y = 2, nil, nil
			for l := range c.x {
				lo, hi := part*2*c.cfg.DModel, (part+1)*2*c.cfg.DModel
				p.x, p.y = append(p.x, c.x[l][lo:hi]), append(p.y, c.y[l][lo:hi])
			}
			for i, v := range losses(p) {
				if mean[i] == nil {
					mean[i] = make([]float64, len(v))
				}
				for j := range v {
					mean[i][j] += v[j] / 3
				}
			}
		}
		for i := range whole {
			if d := maxDiff(t, whole[i], mean[i]); d > 1e-12 {
				t.Errorf("%s: result %d differs from the mean over parts by %g", kind, i, d)
			}
		}
	}
}

// TestInvariant68Parallelogram: a feature that reads the sum of two operands and is
// active on (a, b) and (c, d) is active on (a, d) or (c, b).
func TestInvariant68Parallelogram(t *testing.T) {
	const operands = 12
	cfg := configs()["jumprelu"]
	x := randomTranscoder(t, cfg, 30)
	first, second := normals(71, operands*cfg.DModel), normals(72, operands*cfg.DModel)
	read := make([]float64, operands*operands*cfg.DModel) // of every pair
	for i := range read {
		j, pair := i%cfg.DModel, i/cfg.DModel
		read[i] = first[pair/operands*cfg.DModel+j] + second[pair%operands*cfg.DModel+j]
	}
	_, act, _ := run(t, x, operands*operands, [][]float64{read, read, read})
	checked := 0
	for l := range act {
		for f := range cfg.Features {
			on := func(a, b int) bool { return act[l][(a*operands+b)*cfg.Features+f] > 0 }
			for i := range operands * operands {
				for j := range i {
					a, b, c, d := i/operands, i%operands, j/operands, j%operands
					if !on(a, b) || !on(c, d) {
						continue
					}
					checked++
					if !on(a, d) && !on(c, b) {
						t.Fatalf("L%d/F%d is active on (%d, %d) and (%d, %d) and on neither (%d, %d) nor (%d, %d)", l, f, a, b, c, d, a, d, c, b)
					}
				}
			}
		}
	}
	if checked < 1000 {
		t.Errorf("only %d pairs of pairs are active", checked)
	}
}
