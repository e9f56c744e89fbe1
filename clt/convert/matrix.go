package convert

import (
	"fmt"
	"math"
)

// scale multiplies in place.
func scale(v []float32, by float64) {
	if by == 1 {
		return
	}
	for i, x := range v {
		v[i] = float32(float64(x) * by)
	}
}

// scaleCols multiplies column j of a [rows, cols] matrix by by[j], in place.
func scaleCols(m []float32, by []float64) {
	for i, x := range m {
		m[i] = float32(float64(x) * by[i%len(by)])
	}
}

// add adds v to dst.
func add(dst, v []float32) {
	for i, x := range v {
		dst[i] += x
	}
}

// isZero says whether there is nothing but zeros.
func isZero(v []float32) bool {
	for _, x := range v {
		if x != 0 {
			return false
		}
	}
	return true
}

// exp is the exponential of each entry.
func exp(v []float32) []float32 {
	out := make([]float32, len(v))
	for i, x := range v {
		out[i] = float32(math.Exp(float64(x)))
	}
	return out
}

// positive checks scales that things are divided by.
func positive(what string, v []float64) error {
	for i, x := range v {
		if !(x > 0) || math.IsInf(x, 0) {
			return fmt.Errorf("%s is %g at index %d, must be positive and finite", what, x, i)
		}
	}
	return nil
}

func wide(v []float32) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}

// decoders collects one source layer's decoders as they come, by target.
type decoders struct {
	features, targets, d int
	w                    []float32 // [features, targets, d]
}

func newDecoders(features, targets, d int) *decoders {
	return &decoders{features, targets, d, make([]float32, features*targets*d)}
}

// set puts a [features, d] matrix at the k-th target.
func (x *decoders) set(k int, m []float32) {
	for f := range x.features {
		copy(x.w[(f*x.targets+k)*x.d:][:x.d], m[f*x.d:][:x.d])
	}
}
