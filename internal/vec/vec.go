// Package vec has the loops over float32 slices that the host does itself, where
// a compiled graph would do too much: sparse products and the optimiser. With the
// SIMD build and AVX2 they run eight values at a time. All are deterministic: the
// order of every sum depends on lengths alone, never on the number of cores.
package vec

import (
	"math"
	"runtime"
	"sync"
)

// The loops below are replaced where the processor can do better.
var (
	axpy    = axpyPlain
	dot     = dotPlain
	dotAxpy = dotAxpyPlain
	adam    = adamPlain
)

// Axpy adds a·x to y; both have one length.
func Axpy(a float32, x, y []float32) { axpy(a, x, y[:len(x)]) }

// Dot is the inner product of two slices of one length.
func Dot(x, y []float32) float32 { return dot(x, y[:len(x)]) }

// DotAxpy adds a·x to y and returns the inner product of x and w.
func DotAxpy(a float32, x, w, y []float32) float32 { return dotAxpy(a, x, w[:len(x)], y[:len(x)]) }

// Square is the sum of the squares, in float64 over stretches of a few thousand.
func Square(x []float32) float64 {
	sum := 0.0
	for len(x) > 0 {
		n := min(len(x), 4096)
		sum += float64(dot(x[:n], x[:n]))
		x = x[n:]
	}
	return sum
}

// Transposed is the transpose of a [rows, cols] matrix.
func Transposed(m []float32, rows, cols int) []float32 {
	out := make([]float32, len(m))
	for i := range rows {
		for j := range cols {
			out[j*rows+i] = m[i*cols+j]
		}
	}
	return out
}

// AdamStep holds the constants of one step of Adam: gradients are multiplied by
// Factor; the weights lose Rate·m/(sqrt(v)+Epsilon).
type AdamStep struct{ Beta1, Beta2, Rate, Epsilon, Factor float32 }

// Adam updates weights and moments in place; all have one length.
func Adam(s AdamStep, w, m, v, g []float32) { adam(s, w, m[:len(w)], v[:len(w)], g[:len(w)]) }

func axpyPlain(a float32, x, y []float32) {
	for i, v := range x {
		y[i] += a * v
	}
}

func dotPlain(x, y []float32) float32 {
	var s [8]float32
	for len(x) >= 8 {
		a, b := (*[8]float32)(x), (*[8]float32)(y)
		for i := range s {
			s[i] += a[i] * b[i]
		}
		x, y = x[8:], y[8:]
	}
	for i, v := range x {
		s[i] += v * y[i]
	}
	return (s[0] + s[4]) + (s[1] + s[5]) + (s[2] + s[6]) + (s[3] + s[7])
}

func dotAxpyPlain(a float32, x, w, y []float32) float32 {
	axpyPlain(a, x, y)
	return dotPlain(x, w)
}

func adamPlain(s AdamStep, w, m, v, g []float32) {
	for i := range w {
		d := g[i] * s.Factor
		m[i] = s.Beta1*m[i] + (1-s.Beta1)*d
		v[i] = s.Beta2*v[i] + (1-s.Beta2)*d*d
		w[i] -= s.Rate * m[i] / (float32(math.Sqrt(float64(v[i]))) + s.Epsilon)
	}
}

// Parallel calls f with the numbers from 0 to n-1, cut into stretches of at least
// grain, on all cores.
func Parallel(n, grain int, f func(lo, hi int)) {
	parts := min(runtime.GOMAXPROCS(0), max(1, n/max(1, grain)))
	if parts <= 1 {
		if n > 0 {
			f(0, n)
		}
		return
	}
	var wait sync.WaitGroup
	for p := range parts {
		wait.Go(func() { f(p*n/parts, (p+1)*n/parts) })
	}
	wait.Wait()
}

// Each calls f with every number from 0 to n-1; a core that is done takes the next.
func Each(n int, f func(i int)) {
	var mu sync.Mutex
	next := 0
	take := func() int {
		mu.Lock()
		defer mu.Unlock()
		next++
		return next - 1
	}
	Parallel(min(n, runtime.GOMAXPROCS(0)), 1, func(_, _ int) {
		for i := take(); i < n; i = take() {
			f(i)
		}
	})
}
