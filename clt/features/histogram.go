package features

import "math"

const bins = 64

// histogram counts positive values in bins of equal width. The width is a power of
// two and doubles when a value is too large, so the counts do not depend on the
// order of the values.
type histogram struct {
	exponent int // the range is [0, 2^exponent)
	scale    float64
	counts   [bins]uint32
}

// add counts a value; it must be positive and finite.
func (h *histogram) add(v float32) {
	if h.scale == 0 || float64(v)*h.scale >= bins {
		_, e := math.Frexp(float64(v)) // v < 2^e
		h.grow(e)
	}
	h.counts[int(float64(v)*h.scale)]++
}

func (h *histogram) grow(exponent int) {
	if h.scale != 0 {
		for range exponent - h.exponent {
			for i := range bins / 2 {
				h.counts[i] = h.counts[2*i] + h.counts[2*i+1]
			}
			clear(h.counts[bins/2:])
		}
	}
	h.exponent, h.scale = exponent, bins/math.Ldexp(1, exponent)
}

// width is that of a bin.
func (h *histogram) width() float64 { return math.Ldexp(1, h.exponent) / bins }

// quantiles are values below which those fractions of the counted values lie, to
// within a bin: linear inside it.
func (h *histogram) quantiles(fractions ...float64) []float64 {
	total := 0.0
	for _, n := range h.counts {
		total += float64(n)
	}
	out := make([]float64, len(fractions))
	for i, q := range fractions {
		left := q * total
		for b, n := range h.counts {
			if left > float64(n) {
				left -= float64(n)
				continue
			}
			if n > 0 {
				out[i] = (float64(b) + left/float64(n)) * h.width()
			}
			break
		}
	}
	return out
}
