package clt

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/internal/testbackend"
)

// goBackend is the reference backend.
func goBackend(t testing.TB) compute.Backend {
	t.Helper()
	return testbackend.Open(t, "go")
}

// configs has one small config of every kind.
func configs() map[string]Config {
	base := Config{Layers: 3, DModel: 4, Features: 6, Read: gpt2.MLPIn, Model: "toy"}
	with := func(activation string, k int, perLayer, skip bool) Config {
		c := base
		c.Activation, c.K, c.PerLayer, c.Skip = activation, k, perLayer, skip
		return c
	}
	return map[string]Config{
		"relu": with(ActReLU, 0, false, false), "jumprelu": with(ActJumpReLU, 0, false, false),
		"topk": with(ActTopK, 2, false, false), "batchtopk": with(ActBatchTopK, 2, false, false),
		"clt skip": with(ActJumpReLU, 0, false, true), "plt relu": with(ActReLU, 0, true, false),
		"plt jumprelu skip": with(ActJumpReLU, 0, true, true), "plt topk skip": with(ActTopK, 2, true, true),
		"plt batchtopk": with(ActBatchTopK, 2, true, false),
	}
}

// randomize fills every tensor, biases included, with values of its own.
func randomize(t *Transcoder, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 7))
	for _, w := range t.weights() {
		for i := range (*w.slot)[w.layer] {
			v := float32(rng.NormFloat64() * 0.5)
			if w.slot == &t.Threshold {
				v = float32(math.Abs(float64(v)) + 0.05)
			}
			(*w.slot)[w.layer][i] = v
		}
	}
}

func randomTranscoder(t testing.TB, cfg Config, seed uint64) *Transcoder {
	t.Helper()
	x, err := New(cfg, 0.03, seed)
	if err != nil {
		t.Fatal(err)
	}
	randomize(x, seed)
	return x
}

func decoderNorms(t testing.TB, x *Transcoder) [][]float32 {
	t.Helper()
	norms, err := x.DecoderNorms()
	if err != nil {
		t.Fatal(err)
	}
	return norms
}

// normals returns n draws from a normal distribution.
func normals(seed uint64, n int) []float64 {
	rng := rand.New(rand.NewPCG(seed, 11))
	v := make([]float64, n)
	for i := range v {
		v[i] = rng.NormFloat64()
	}
	return v
}

// call runs a graph function once.
func call(t testing.TB, b compute.Backend, fn func(in []*graph.Node) []*graph.Node, args ...any) []*tensors.Tensor {
	t.Helper()
	exec, err := graph.NewExec(b, fn)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Call(args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func float64s(x *tensors.Tensor) []float64 { return tensors.MustCopyFlatData[float64](x) }

// maxDiff is the largest absolute difference.
func maxDiff(t testing.TB, a, b []float64) float64 {
	t.Helper()
	if len(a) != len(b) {
		t.Fatalf("lengths %d and %d", len(a), len(b))
	}
	d := 0.0
	for i := range a {
		d = max(d, math.Abs(a[i]-b[i]))
	}
	return d
}

func negInf() float64 { return math.Inf(-1) }
