package embed

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
)

// PCA projects points (rows of equal length) on their n directions of largest variance, and gives the fraction of the
// variance that each of them has. The directions are found one after the other by power iteration on the centred points,
// with those found before taken out; the largest entry of each is positive. Points that do not vary give zeros.
func PCA(points [][]float64, n int) (at [][]float64, explained []float64, err error) {
	if err := check(points); err != nil {
		return nil, nil, err
	}
	if n < 1 || n > len(points[0]) {
		return nil, nil, fmt.Errorf("embed: %d components of %d dimensions; give 1 to that many", n, len(points[0]))
	}
	x, total := centred(points)
	at = make([][]float64, len(points))
	for i := range at {
		at[i] = make([]float64, n)
	}
	explained = make([]float64, n)
	var found [][]float64
	r := rand.New(rand.NewPCG(1, 2))
	for c := range n {
		v := direction(x, found, r)
		found = append(found, v)
		variance := 0.0
		for i, row := range x {
			at[i][c] = dot(row, v)
			variance += at[i][c] * at[i][c]
		}
		if total > 0 {
			explained[c] = variance / total
		}
	}
	return at, explained, nil
}

// check refuses points that cannot be drawn.
func check(points [][]float64) error {
	if len(points) < 2 || len(points[0]) == 0 {
		return errors.New("embed: fewer than two points, or none of any dimension; give more")
	}
	for i, p := range points {
		if len(p) != len(points[0]) {
			return fmt.Errorf("embed: point %d has %d dimensions, the first has %d; make them alike", i, len(p), len(points[0]))
		}
		for _, v := range p {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return fmt.Errorf("embed: point %d has the value %g; leave it out", i, v)
			}
		}
	}
	return nil
}

// centred takes the mean away, and gives the sum of squares of what is left.
func centred(points [][]float64) ([][]float64, float64) {
	mean := make([]float64, len(points[0]))
	for _, p := range points {
		for j, v := range p {
			mean[j] += v / float64(len(points))
		}
	}
	x, total := make([][]float64, len(points)), 0.0
	for i, p := range points {
		x[i] = make([]float64, len(p))
		for j, v := range p {
			x[i][j] = v - mean[j]
			total += x[i][j] * x[i][j]
		}
	}
	return x, total
}

// direction is the leading one of xᵀx, orthogonal to those found.
func direction(x, found [][]float64, r *rand.Rand) []float64 {
	v := make([]float64, len(x[0]))
	for j := range v {
		v[j] = r.NormFloat64()
	}
	orthonormal(v, found)
	for range 500 {
		next := make([]float64, len(v))
		for _, row := range x {
			axpy(dot(row, v), row, next)
		}
		if !orthonormal(next, found) {
			break // nothing varies any more
		}
		change := 0.0
		for j := range v {
			change += (next[j] - v[j]) * (next[j] - v[j])
		}
		if v = next; change < 1e-20 {
			break
		}
	}
	largest := 0
	for j := range v {
		if math.Abs(v[j]) > math.Abs(v[largest])+1e-12 {
			largest = j
		}
	}
	if v[largest] < 0 {
		for j := range v {
			v[j] = -v[j]
		}
	}
	return v
}

// orthonormal takes the found directions out of v and makes it a unit vector, unless nothing is left.
func orthonormal(v []float64, found [][]float64) bool {
	before := math.Sqrt(dot(v, v))
	for range 2 { // twice is enough
		for _, f := range found {
			axpy(-dot(f, v), f, v)
		}
	}
	norm := math.Sqrt(dot(v, v))
	if norm <= 1e-12*before || norm == 0 {
		return false
	}
	for j := range v {
		v[j] /= norm
	}
	return true
}

func dot(a, b []float64) float64 {
	sum := 0.0
	for i, x := range a {
		sum += x * b[i]
	}
	return sum
}

// axpy adds a·x to y.
func axpy(a float64, x, y []float64) {
	for i, v := range x {
		y[i] += a * v
	}
}
