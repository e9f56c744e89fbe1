package clt

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// lossCase is a transcoder, a batch and counters, all float64.
type lossCase struct {
	cfg     Config
	tc      TrainConfig
	weights [][]float64 // in the order of Transcoder.weights
	shapes  [][]int
	names   []string
	x, y    [][]float64
	idle    [][]float64
	n       int
	lambda  float64
}

func newLossCase(cfg Config, n int, seed uint64) lossCase {
	c := lossCase{cfg: cfg, tc: DefaultTrainConfig(), n: n, lambda: 0.7}
	t := blank(cfg)
	for i, w := range t.weights() {
		v := normals(seed+uint64(i), size(w.shape))
		for j := range v {
			v[j] *= 0.5
			if w.slot == &t.Threshold {
				v[j] = 0.1 + math.Abs(v[j])
			}
		}
		c.weights, c.shapes, c.names = append(c.weights, v), append(c.shapes, w.shape), append(c.names, w.name)
	}
	for l := range cfg.Layers {
		c.x = append(c.x, normals(seed+100+uint64(l), n*cfg.DModel))
		c.y = append(c.y, normals(seed+200+uint64(l), n*cfg.DModel))
		c.idle = append(c.idle, make([]float64, cfg.Features))
	}
	return c
}

// build runs fn on the loss of the case.
func (c lossCase) build(t *testing.T, fn func(out lossOutputs, weights []*graph.Node) []*graph.Node) [][]float64 {
	t.Helper()
	args := make([]any, 0, 16)
	add := func(v []float64, shape ...int) { args = append(args, tensors.FromFlatDataAndDimensions(v, shape...)) }
	for i, w := range c.weights {
		add(w, c.shapes[i]...)
	}
	for _, group := range [][][]float64{c.x, c.y} {
		for _, v := range group {
			add(v, c.n, c.cfg.DModel)
		}
	}
	for _, v := range c.idle {
		add(v, c.cfg.Features)
	}
	args = append(args, c.lambda)
	L := c.cfg.Layers
	out := call(t, goBackend(t), func(in []*graph.Node) []*graph.Node {
		enc, dec, rest := c.cfg.UnpackNodes(in)
		l := c.cfg.loss(c.tc, lossInputs{enc: enc, dec: dec, x: rest[:L], y: rest[L : 2*L], idle: rest[2*L : 3*L],
			lambda: rest[3*L], start: graph.Scalar(in[0].Graph(), in[0].DType(), 0), count: graph.Scalar(in[0].Graph(), in[0].DType(), 1)})
		return fn(l, in[:len(c.weights)])
	}, args...)
	var list [][]float64
	for _, o := range out {
		list = append(list, float64s(o))
	}
	return list
}

func (c lossCase) total(t *testing.T) float64 {
	return c.build(t, func(out lossOutputs, _ []*graph.Node) []*graph.Node { return []*graph.Node{out.total} })[0][0]
}

// The gradient of the whole loss against central differences, for every weight
// except thresholds, whose gradient is a pseudo-gradient. Two features are dead.
func TestLossGradient(t *testing.T) {
	for name, cfg := range configs() {
		t.Run(name, func(t *testing.T) {
			cfg.Layers = 2
			c := newLossCase(cfg, 5, 40)
			c.tc.DeadPenalty, c.tc.TanhScale = 0.3, 1.3
			c.idle[0][1], c.idle[1][2] = 1000, 1000
			bias := slices.Index(c.names, "b_enc_0")
			c.weights[bias][1] = -9 // silent, and counted as such before
			bias = slices.Index(c.names, "b_enc_1")
			c.weights[bias][2] = -9
			res := c.build(t, func(out lossOutputs, w []*graph.Node) []*graph.Node {
				return append([]*graph.Node{out.dead}, graph.Gradient(out.total, w...)...)
			})
			if cfg.Activation != ActTopK && !(res[0][0] > 0) {
				t.Fatalf("dead-feature loss is %g, should be positive", res[0][0])
			}
			checked := 0
			for i, g := range res[1:] {
				if t.Failed() {
					break
				}
				if c.names[i][:3] == "thr" {
					continue
				}
				for _, j := range []int{0, len(g) / 3, len(g) - 1, min(9, len(g)-1)} {
					const h = 1e-6
					at := c.weights[i][j]
					c.weights[i][j] = at + h
					up := c.total(t)
					c.weights[i][j] = at - h
					down := c.total(t)
					c.weights[i][j] = at
					if want := (up - down) / (2 * h); math.Abs(want-g[j]) > 1e-6*max(1, math.Abs(want)) {
						t.Errorf("%s[%d]: gradient %g, differences say %g", c.names[i], j, g[j], want)
					}
					checked++
				}
			}
			if checked < 20 {
				t.Errorf("only %d derivatives were checked", checked)
			}
		})
	}
}

// Both partial derivatives of JumpReLU, with points inside the window and out.
func TestJumpReLUGradient(t *testing.T) {
	const n, F, eps = 400, 3, 0.4
	h := normals(1, n*F)
	theta := []float64{0.5, 0.05, 1.2}
	g := normals(2, n*F)
	out := call(t, goBackend(t), func(in []*graph.Node) []*graph.Node {
		a := jumpReLU(in[0], in[1], eps)
		return append([]*graph.Node{a}, graph.Gradient(graph.ReduceAllSum(graph.Mul(a, in[2])), in[0], in[1])...)
	}, tensors.FromFlatDataAndDimensions(h, n, F), theta, tensors.FromFlatDataAndDimensions(g, n, F))
	a, dh, dtheta := float64s(out[0]), float64s(out[1]), float64s(out[2])
	want, inside := make([]float64, F), 0
	for i, v := range h {
		on := v > theta[i%F]
		if on != (a[i] != 0) || on && a[i] != v {
			t.Fatalf("jumprelu(%g) is %g at threshold %g", v, a[i], theta[i%F])
		}
		if on && dh[i] != g[i] || !on && dh[i] != 0 {
			t.Fatalf("derivative at %g is %g, upstream %g", v, dh[i], g[i])
		}
		if math.Abs(v-theta[i%F]) < eps/2 {
			want[i%F] -= theta[i%F] / eps * g[i]
			inside++
		}
	}
	if inside < 50 {
		t.Fatalf("only %d points inside the window", inside)
	}
	if d := maxDiff(t, dtheta, want); d > 1e-12 {
		t.Errorf("threshold gradient %v, want %v", dtheta, want)
	}
}

// For uniform h the mean pseudo-gradient is -theta·p(theta), the true derivative
// of the mean activation.
func TestThresholdGradientMean(t *testing.T) {
	const n, theta = 40000, 0.5
	h := make([]float64, n)
	for i := range h {
		h[i] = -1 + 4*(float64(i)+0.5)/n
	}
	out := call(t, goBackend(t), func(in []*graph.Node) []*graph.Node {
		return graph.Gradient(graph.ReduceAllMean(jumpReLU(in[0], in[1], 0.4)), in[1])
	}, tensors.FromFlatDataAndDimensions(h, n, 1), []float64{theta})
	if got := float64s(out[0])[0]; math.Abs(got+theta/4) > 1e-3 {
		t.Errorf("mean gradient %g, want %g", got, -theta/4)
	}
}

// The terms of the loss against plain loops, and the norm over all targets.
func TestLossTerms(t *testing.T) {
	cfg := configs()["jumprelu"]
	c := newLossCase(cfg, 7, 3)
	c.tc.TanhScale = 1.7
	x := blank(cfg)
	for i, w := range x.weights() {
		for j, v := range c.weights[i] {
			(*w.slot)[w.layer][j] = float32(v)
			c.weights[i][j] = float64(float32(v)) // the loops read float32
		}
	}
	_, act, out := naive(x, c.n, c.x)
	wantRec, wantSparse := 0.0, 0.0
	for l := range cfg.Layers {
		for i, y := range out[l] {
			wantRec += (y - c.y[l][i]) * (y - c.y[l][i]) / float64(c.n)
		}
		width := cfg.Targets(l) * cfg.DModel
		for f := range cfg.Features {
			norm := 0.0
			for _, v := range x.WDec[l][f*width : (f+1)*width] {
				norm += float64(v) * float64(v)
			}
			norm = math.Sqrt(norm)
			if got := float64(decoderNorms(t, x)[l][f]); math.Abs(got-norm) > 1e-6 {
				t.Errorf("DecoderNorms %g, want %g", got, norm)
			}
			for i := range c.n {
				wantSparse += c.lambda * math.Tanh(c.tc.TanhScale*act[l][i*cfg.Features+f]*norm) / float64(c.n)
			}
		}
	}
	res := c.build(t, func(o lossOutputs, _ []*graph.Node) []*graph.Node {
		return []*graph.Node{o.reconstruction, o.sparsity, o.total, o.dead, o.aux}
	})
	if got := res[0][0]; math.Abs(got-wantRec) > 1e-10 {
		t.Errorf("reconstruction %g, want %g", got, wantRec)
	}
	if got := res[1][0]; math.Abs(got-wantSparse) > 1e-9 {
		t.Errorf("sparsity %g, want %g", got, wantSparse)
	}
	if got := res[2][0]; math.Abs(got-wantRec-wantSparse) > 1e-9 || res[3][0] != 0 || res[4][0] != 0 {
		t.Errorf("total %g, dead %g, aux %g", got, res[3][0], res[4][0])
	}
}

// The penalty is between 0 and λ·L·F, and tends to λ·L0 for large c.
func TestSparsityLimits(t *testing.T) {
	cfg := configs()["jumprelu"]
	c := newLossCase(cfg, 50, 9)
	c.tc.TanhScale = 1e9
	res := c.build(t, func(o lossOutputs, _ []*graph.Node) []*graph.Node {
		return append([]*graph.Node{o.sparsity}, o.fired...)
	})
	l0 := 0.0
	for _, f := range res[1:] {
		for _, k := range f {
			l0 += k / float64(c.n)
		}
	}
	if !(l0 > 1) || math.Abs(res[0][0]-c.lambda*l0) > 1e-9 {
		t.Errorf("penalty %g, λ·L0 is %g", res[0][0], c.lambda*l0)
	}
}

// Scaling a feature's encoder, bias and threshold up and its decoders down
// changes nothing.
func TestRescaleSymmetry(t *testing.T) {
	cfg := configs()["jumprelu"]
	c := newLossCase(cfg, 12, 5)
	c.tc.DeadPenalty = 0.5
	c.idle[1][3] = 500
	c.weights[slices.Index(c.names, "b_enc_1")][3] = -20
	terms := func() []float64 {
		r := c.build(t, func(o lossOutputs, _ []*graph.Node) []*graph.Node {
			return []*graph.Node{o.reconstruction, o.sparsity, o.dead}
		})
		return []float64{r[0][0], r[1][0], r[2][0]}
	}
	before := terms()
	for i, name := range c.names {
		for j := range c.weights[i] {
			if name[:5] == "b_dec" {
				break
			}
			f := j / (len(c.weights[i]) / cfg.Features)
			by := 0.5 + float64(f)
			switch name[:4] {
			case "W_en", "b_en", "thre":
				c.weights[i][j] *= by
			case "W_de":
				c.weights[i][j] /= by
			}
		}
	}
	if after := terms(); maxDiff(t, before, after) > 1e-9 || before[2] == 0 {
		t.Errorf("terms %v became %v", before, after)
	}
}

// A batch repeated is the same loss and the same gradient: λ does not depend on
// the batch size.
func TestBatchSizeInvariance(t *testing.T) {
	for _, name := range []string{"jumprelu", "batchtopk", "plt jumprelu skip"} {
		c := newLossCase(configs()[name], 6, 7)
		c.tc.DeadPenalty = 0.2
		if name == "batchtopk" {
			c.tc.DeadPenalty = 0 // it contains the threshold, which is free between two values
		}
		c.idle[0][0] = 100
		c.weights[slices.Index(c.names, "b_enc_0")][0] = -9
		run := func() [][]float64 {
			return c.build(t, func(o lossOutputs, w []*graph.Node) []*graph.Node {
				return append([]*graph.Node{o.total}, graph.Gradient(o.total, w...)...)
			})
		}
		once := run()
		c.n *= 2
		for l := range c.x {
			c.x[l], c.y[l] = slices.Concat(c.x[l], c.x[l]), slices.Concat(c.y[l], c.y[l])
		}
		twice := run()
		for i := range once {
			if d := maxDiff(t, once[i], twice[i]); d > 1e-12 {
				t.Errorf("%s: result %d differs by %g", name, i, d)
			}
		}
	}
}

// A feature that fires is never dead; one that does not counts up.
func TestDeadCounters(t *testing.T) {
	c := newLossCase(configs()["relu"], 6, 2)
	for l := range c.idle {
		for f := range c.idle[l] {
			c.idle[l][f] = float64(10 * f)
		}
	}
	L := c.cfg.Layers
	res := c.build(t, func(o lossOutputs, _ []*graph.Node) []*graph.Node { return append(slices.Clone(o.fired), o.idle...) })
	both := [2]int{}
	for l := range L {
		for f, fired := range res[l] {
			want := c.idle[l][f] + 1
			if fired > 0 {
				want = 0
				both[0]++
			} else {
				both[1]++
			}
			if res[L+l][f] != want {
				t.Errorf("layer %d feature %d fired %g times, counter %g, want %g", l, f, fired, res[L+l][f], want)
			}
		}
	}
	if both[0] == 0 || both[1] == 0 {
		t.Errorf("the case has %d features that fired and %d silent ones", both[0], both[1])
	}
}

// The auxiliary loss is what dead features leave of the residual, against loops.
func TestAuxLoss(t *testing.T) {
	cfg := configs()["relu"]
	c := newLossCase(cfg, 4, 13)
	c.tc.AuxK, c.tc.AuxScale = 2, 0.5
	res := c.build(t, func(o lossOutputs, _ []*graph.Node) []*graph.Node { return []*graph.Node{o.aux, o.reconstruction} })
	if res[0][0] != 0 {
		t.Errorf("aux loss %g without dead features", res[0][0])
	}
	// With all features silent in the batch and counted dead, but for one that is
	// let through by hand: the residual is y - b_dec, the dead features are those
	// of largest positive h.
	for l := range cfg.Layers {
		for f := range cfg.Features {
			c.idle[l][f] = 1000
		}
		b := c.weights[slices.Index(c.names, fmt.Sprintf("b_enc_%d", l))]
		for f := range b {
			b[f] = -50
		}
	}
	res = c.build(t, func(o lossOutputs, w []*graph.Node) []*graph.Node {
		return append([]*graph.Node{o.aux, o.reconstruction}, graph.Gradient(o.total, w...)...)
	})
	if math.Abs(res[0][0]-0.5*res[1][0]) > 1e-9 {
		t.Errorf("dead features with negative h explain nothing: aux %g, want half of %g", res[0][0], res[1][0])
	}
	for i, g := range res[2:] {
		for _, v := range g {
			if math.IsNaN(v) {
				t.Fatalf("gradient of %s is NaN", c.names[i])
			}
		}
	}
}

// The step penalty is the number of active features; its gradient is -1/ε for each
// pre-activation inside the window, and thresholds alone get it.
func TestStepPenalty(t *testing.T) {
	const n, F, eps = 300, 3, 0.4
	h, theta := normals(1, n*F), []float64{0.5, 0.05, 1.2}
	out := call(t, goBackend(t), func(in []*graph.Node) []*graph.Node {
		count := graph.ReduceAllSum(stepCount(in[0], in[1], eps))
		return append([]*graph.Node{count}, graph.Gradient(graph.Add(count, graph.MulScalar(graph.ReduceAllSum(in[0]), 1e-30)), in[0], in[1])...)
	}, tensors.FromFlatDataAndDimensions(h, n, F), theta)
	count, want := 0.0, make([]float64, F)
	for i, v := range h {
		if v > theta[i%F] {
			count++
		}
		if math.Abs(v-theta[i%F]) < eps/2 {
			want[i%F] -= 1 / eps
		}
	}
	if got := float64s(out[0])[0]; got != count {
		t.Errorf("%g active, want %g", got, count)
	}
	for i, d := range float64s(out[1]) {
		if math.Abs(d) > 1e-20 {
			t.Fatalf("pre-activation %d gets gradient %g", i, d)
		}
	}
	if d := maxDiff(t, float64s(out[2]), want); d > 1e-9 {
		t.Errorf("threshold gradient %v, want %v", float64s(out[2]), want)
	}
}
