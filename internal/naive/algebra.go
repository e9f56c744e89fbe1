package naive

import "math"

func sum(a, b []float64) []float64 {
	c := make([]float64, len(a))
	for i := range a {
		c[i] = a[i] + b[i]
	}
	return c
}

func difference(a, b []float64) []float64 {
	c := make([]float64, len(a))
	for i := range a {
		c[i] = a[i] - b[i]
	}
	return c
}

func dot(a, b []float64) float64 {
	s := 0.0
	for i := range a {
		s += a[i] * b[i]
	}
	return s
}

// addTo adds k·b to a.
func addTo(a, b []float64, k float64) {
	for i := range a {
		a[i] += k * b[i]
	}
}

// centre takes the mean away, in place.
func centre(x []float64) {
	mean := 0.0
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for i := range x {
		x[i] -= mean
	}
}

// linear is x·w + b for rows of x; w is [in, out], b [out].
func linear(x, w, b []float64) []float64 {
	out, in := len(b), len(w)/len(b)
	y := make([]float64, len(x)/in*out)
	for i := range y {
		y[i] = b[i%out]
		for j := range in {
			y[i] += x[i/out*in+j] * w[j*out+i%out]
		}
	}
	return y
}

// softmax of rows of n.
func softmax(x []float64, n int) []float64 {
	y := make([]float64, len(x))
	for lo := 0; lo < len(x); lo += n {
		top, total := math.Inf(-1), 0.0
		for _, v := range x[lo : lo+n] {
			top = max(top, v)
		}
		for i, v := range x[lo : lo+n] {
			y[lo+i] = math.Exp(v - top)
			total += y[lo+i]
		}
		for i := range n {
			y[lo+i] /= total
		}
	}
	return y
}
