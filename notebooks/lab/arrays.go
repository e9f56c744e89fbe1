package lab

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// Array is a block of numbers in row-major order: activations, weights, logits.
type Array struct {
	Shape []int
	Data  []float64
}

// At is one number. It ends the cell if there is none at that place.
func (a Array) At(index ...int) float64 {
	v := a.Row(index...)
	if len(v) != 1 {
		fail("array", fmt.Errorf("lab: index %v of an array of shape %v names %d numbers, not one; give %d indices", index, a.Shape, len(v), len(a.Shape)))
		return math.NaN()
	}
	return v[0]
}

// Row is the part of the array under the first indices: of an array [pos, d_model]
// Row(3) is the vector at position 3. Negative indices count from the end. It
// shares the array's memory.
func (a Array) Row(index ...int) []float64 {
	if len(index) > len(a.Shape) {
		fail("array", fmt.Errorf("lab: index %v of an array of shape %v; give at most %d indices", index, a.Shape, len(a.Shape)))
		return nil
	}
	v, size := a.Data, len(a.Data)
	for i, k := range index {
		n := a.Shape[i]
		if k < 0 {
			k += n
		}
		if k < 0 || k >= n {
			fail("array", fmt.Errorf("lab: index %v of an array of shape %v; axis %d goes from 0 to %d", index, a.Shape, i, n-1))
			return nil
		}
		size /= n
		v = v[k*size : (k+1)*size]
	}
	return v
}

// MeanRow is the mean over the first axis: of an array [d_vocab, d_model] the mean
// vector.
func (a Array) MeanRow() []float64 {
	n := a.Shape[0]
	out := make([]float64, len(a.Data)/n)
	for i, x := range a.Data {
		out[i%len(out)] += x / float64(n)
	}
	return out
}

// Dot is the scalar product of two vectors.
func Dot(a, b []float64) float64 {
	if len(a) != len(b) {
		fail("dot", fmt.Errorf("lab: dot product of vectors of length %d and %d; do they belong to one model?", len(a), len(b)))
		return math.NaN()
	}
	sum := 0.0
	for i, x := range a {
		sum += x * b[i]
	}
	return sum
}

// Norm is the Euclidean length of a vector.
func Norm(v []float64) float64 { return math.Sqrt(Dot(v, v)) }

// Mean is the mean of the components.
func Mean(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}

// Centred is a vector minus the mean of its components.
func Centred(v []float64) []float64 {
	out, m := make([]float64, len(v)), Mean(v)
	for i, x := range v {
		out[i] = x - m
	}
	return out
}

// Sum adds vectors of one length.
func Sum(vectors ...[]float64) []float64 {
	if len(vectors) == 0 {
		return nil
	}
	out := make([]float64, len(vectors[0]))
	for _, v := range vectors {
		if len(v) != len(out) {
			fail("sum", fmt.Errorf("lab: sum of vectors of length %d and %d; do they belong to one model?", len(out), len(v)))
			return out
		}
		for i, x := range v {
			out[i] += x
		}
	}
	return out
}

// Times is a vector times a number.
func Times(v []float64, factor float64) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = factor * x
	}
	return out
}

// ThroughLN carries a direction back through a LayerNorm whose divisor is frozen:
// the gradient with respect to what enters, of the scalar product of direction with
// what comes out. With gain γ and divisor σ it is r - mean(r) for r = γ·direction/σ.
func ThroughLN(direction, gain []float64, scale float64) []float64 {
	r := make([]float64, len(direction))
	for i, x := range direction {
		r[i] = gain[i] * x / scale
	}
	m := Mean(r)
	for i := range r {
		r[i] -= m
	}
	return r
}

// RandomVector has independent normal components and the given length; the same
// seed gives the same vector.
func RandomVector(dimensions int, length float64, seed uint64) []float64 {
	r := rand.New(rand.NewPCG(seed, 0x1ab))
	v := make([]float64, dimensions)
	for i := range v {
		v[i] = r.NormFloat64()
	}
	return Times(v, length/Norm(v))
}

// MaxDiff is the largest absolute difference of two arrays of one shape.
func MaxDiff(a, b Array) float64 {
	if len(a.Data) != len(b.Data) {
		fail("array", fmt.Errorf("lab: arrays of shape %v and %v; compare equal shapes", a.Shape, b.Shape))
		return math.NaN()
	}
	worst := 0.0
	for i, x := range a.Data {
		worst = math.Max(worst, math.Abs(x-b.Data[i]))
	}
	return worst
}

// KL is the divergence KL(p || q) of the next-token distributions of two rows of
// logits, in nats.
func KL(p, q []float64) float64 {
	if len(p) != len(q) {
		fail("KL", fmt.Errorf("lab: logits of %d and %d tokens; do they belong to one model?", len(p), len(q)))
		return math.NaN()
	}
	a, b, sum := logSum(p), logSum(q), 0.0
	for i := range p {
		sum += math.Exp(p[i]-a) * (p[i] - a - q[i] + b)
	}
	return max(0, sum)
}

// logSum is log Σ exp(x), safe for large x.
func logSum(v []float64) float64 {
	top, sum := math.Inf(-1), 0.0
	for _, x := range v {
		top = max(top, x)
	}
	for _, x := range v {
		sum += math.Exp(x - top)
	}
	return top + math.Log(sum)
}
