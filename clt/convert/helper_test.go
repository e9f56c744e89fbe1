package convert

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/internal/safetensors"
	"github.com/etredal/cross-layer-transcoder/internal/toy"
)

// The sources of the tests: three layers of five features on a stream of four.
const (
	nLayers   = 3
	nFeatures = 5
	dModel    = 4
)

// array is a tensor of a source in float64 with float32 values.
type array struct {
	shape []int
	v     []float64
}

// at is an element.
func (a array) at(i ...int) float64 {
	n := 0
	for k, x := range i {
		n = n*a.shape[k] + x
	}
	return a.v[n]
}

// rnd draws tensors of one test.
type rnd struct{ *rand.Rand }

func newRnd(seed uint64) rnd { return rnd{rand.New(rand.NewPCG(seed, 5))} }

func (r rnd) normal(scale float64, shape ...int) array {
	n := 1
	for _, d := range shape {
		n *= d
	}
	a := array{shape, make([]float64, n)}
	for i := range a.v {
		a.v[i] = float64(float32(scale * r.NormFloat64()))
	}
	return a
}

// positive draws numbers around 1.
func (r rnd) positive(shape ...int) array {
	a := r.normal(0.3, shape...)
	for i, v := range a.v {
		a.v[i] = float64(float32(0.2 + math.Abs(1+v)))
	}
	return a
}

// source is a transcoder as another project keeps it.
type source struct {
	dir     string
	files   map[string]map[string]array // by path, by tensor
	configs map[string]any
}

func newSource(t testing.TB) *source {
	return &source{dir: t.TempDir(), files: map[string]map[string]array{}, configs: map[string]any{}}
}

func (s *source) put(file, name string, a array) array {
	if s.files[file] == nil {
		s.files[file] = map[string]array{}
	}
	s.files[file][name] = a
	return a
}

// write writes all files.
func (s *source) write(t testing.TB) {
	t.Helper()
	for file, list := range s.files {
		var out []safetensors.Tensor
		for name, a := range list {
			v := make([]float32, len(a.v))
			for i, x := range a.v {
				v[i] = float32(x)
			}
			out = append(out, safetensors.F32(name, a.shape, v))
		}
		if err := safetensors.WriteFile(filepath.Join(s.dir, file), nil, out...); err != nil {
			t.Fatal(err)
		}
	}
	for name, v := range s.configs {
		data, ok := v.([]byte)
		if !ok {
			var err error
			if data, err = json.Marshal(v); err != nil {
				t.Fatal(err)
			}
		}
		path := filepath.Join(s.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// state is what a source computes for one token: activations [layer][feature] and
// outputs [layer][d].
type state struct{ act, out [][]float64 }

func newState() state {
	var s state
	for range nLayers {
		s.act, s.out = append(s.act, make([]float64, nFeatures)), append(s.out, make([]float64, dModel))
	}
	return s
}

// relu, and the k largest.
func relu(v float64) float64 { return math.Max(v, 0) }

func topK(v []float64, k int) []float64 {
	sorted := slices.Sorted(slices.Values(v))
	out := make([]float64, len(v))
	for i, x := range v {
		if x > 0 && x >= sorted[len(sorted)-k] {
			out[i] = x
		}
	}
	return out
}

// reads are inputs of the layers for one token.
func reads(r rnd) [][]float64 {
	var x [][]float64
	for range nLayers {
		x = append(x, r.normal(1, dModel).v)
	}
	return x
}

// ours is what the converted transcoder computes, by the oracle.
func ours(tr *clt.Transcoder, x [][]float64) state {
	n := toy.NaiveCLT(tr)
	var pre [][]float64
	s := state{}
	for l := range x {
		p, a := n.Encode(l, x[l])
		pre, s.act = append(pre, p), append(s.act, a)
	}
	if tr.Activation == clt.ActGlobalTopK { // which the oracle does not have
		s.act = clt.ActivateAllHost(tr, pre)
	}
	s.out = n.Decode(s.act, x)
	return s
}

// agree compares what the source computes with what is made of it, on some
// tokens. passed says how an activation of the source shows in ours.
func agree(t *testing.T, tr *clt.Transcoder, want func(x [][]float64) state) {
	t.Helper()
	r := newRnd(99)
	active := 0
	for range 40 {
		x := reads(r)
		a, b := want(x), ours(tr, x)
		for l := range nLayers {
			for f, v := range a.act[l] {
				if math.Abs(v-b.act[l][f]) > 2e-5*math.Max(1, math.Abs(v)) {
					t.Fatalf("layer %d feature %d: the source has %g, converted %g", l, f, v, b.act[l][f])
				}
				if v != 0 {
					active++
				}
			}
			for j, v := range a.out[l] {
				if math.Abs(v-b.out[l][j]) > 5e-5*math.Max(1, math.Abs(v)) {
					t.Fatalf("output of layer %d, %d: the source has %g, converted %g", l, j, v, b.out[l][j])
				}
			}
		}
	}
	if active < 40 || active == 40*nLayers*nFeatures {
		t.Fatalf("%d activations: the test says nothing", active)
	}
}

// open reads a source, finding its layout.
func (s *source) open(t *testing.T, want Layout, opt Options) (*clt.Transcoder, Report) {
	t.Helper()
	s.write(t)
	tr, rep, err := Open(s.dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	if rep.Layout != want {
		t.Fatalf("found the layout %s, want %s", rep.Layout, want)
	}
	return tr, rep
}
