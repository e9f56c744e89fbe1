package vec

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
)

func random(n int, seed uint64) []float32 {
	r := rand.New(rand.NewPCG(seed, 7))
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	return v
}

// Every loop against float64, at lengths around the widths of the vectors.
func TestLoops(t *testing.T) {
	for _, n := range []int{0, 1, 7, 8, 31, 32, 33, 128, 1000} {
		x, w, y := random(n, 1), random(n, 2), random(n, 3)
		var inner, square float64
		sums := make([]float64, n)
		for i := range x {
			inner += float64(x[i]) * float64(w[i])
			square += float64(x[i]) * float64(x[i])
			sums[i] = float64(y[i]) + 0.7*float64(x[i])
		}
		near := func(what string, got, want float64) {
			if math.Abs(got-want) > 1e-5*(1+math.Sqrt(float64(n))) {
				t.Errorf("%s of %d: %g, want %g", what, n, got, want)
			}
		}
		near("dot", float64(Dot(x, w)), inner)
		near("square", Square(x), square)
		y2 := slices.Clone(y)
		near("dot of dotAxpy", float64(DotAxpy(0.7, x, w, y2)), inner)
		Axpy(0.7, x, y)
		for i := range y {
			near("axpy", float64(y[i]), sums[i])
			near("dotAxpy", float64(y2[i]), sums[i])
		}
	}
}

func TestAdam(t *testing.T) {
	s := AdamStep{Beta1: 0.9, Beta2: 0.99, Rate: 0.1, Epsilon: 1e-6, Factor: 0.5}
	for _, n := range []int{3, 8, 43} {
		w, m, v, g := random(n, 1), random(n, 2), random(n, 3), random(n, 4)
		for i := range v {
			v[i] *= v[i]
		}
		w2, m2, v2 := slices.Clone(w), slices.Clone(m), slices.Clone(v)
		Adam(s, w, m, v, g)
		for i := range w2 {
			d := 0.5 * float64(g[i])
			wm, wv := 0.9*float64(m2[i])+0.1*d, 0.99*float64(v2[i])+0.01*d*d
			want := float64(w2[i]) - 0.1*wm/(math.Sqrt(wv)+1e-6)
			if math.Abs(float64(w[i])-want) > 1e-5 || math.Abs(float64(m[i])-wm) > 1e-6 || math.Abs(float64(v[i])-wv) > 1e-6 {
				t.Fatalf("n %d: weight %g, want %g", n, w[i], want)
			}
		}
	}
}

func TestParallel(t *testing.T) {
	var hits [1000]atomic.Int32
	Parallel(len(hits), 10, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			hits[i].Add(1)
		}
	})
	Each(len(hits), func(i int) { hits[i].Add(1) })
	for i := range hits {
		if hits[i].Load() != 2 {
			t.Fatalf("%d was visited %d times, want 2", i, hits[i].Load())
		}
	}
	Parallel(0, 1, func(lo, hi int) { t.Error("called for nothing") })
}

func BenchmarkDotAxpy(b *testing.B) {
	x, w, y := random(768, 1), random(768, 2), random(768, 3)
	for b.Loop() {
		DotAxpy(1e-9, x, w, y)
	}
}

func TestLargest(t *testing.T) {
	for _, n := range []int{1, 2, 5, 100, 1001} {
		v := random(n, uint64(n))
		for i := range v {
			v[i] = float32(math.Round(float64(4*v[i]))) / 4 // with ties
		}
		sorted := slices.Clone(v)
		slices.Sort(sorted)
		for _, k := range []int{1, (n + 1) / 2, n} {
			if got := Largest(slices.Clone(v), k); got != sorted[n-k] {
				t.Errorf("%d-th largest of %d is %g, want %g", k, n, got, sorted[n-k])
			}
		}
	}
}
