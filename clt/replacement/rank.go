package replacement

import (
	"math"
	"slices"
)

// Correlations are the rank correlation of two lists, and the correlation of their
// logarithms; 0 where there are too few pairs.
func Correlations(x, y []float64) (rank, log float64) { return spearman(x, y), logPearson(x, y) }

// spearman is the rank correlation of two lists, ties sharing their mean rank: 0 if
// there are fewer than three pairs or one list is constant.
func spearman(x, y []float64) float64 {
	if len(x) < 3 {
		return 0
	}
	return pearson(ranks(x), ranks(y))
}

// logPearson is the correlation of the logarithms of those pairs that are positive
// on both sides.
func logPearson(x, y []float64) float64 {
	var a, b []float64
	for i := range x {
		if x[i] > 0 && y[i] > 0 {
			a, b = append(a, math.Log(x[i])), append(b, math.Log(y[i]))
		}
	}
	if len(a) < 3 {
		return 0
	}
	return pearson(a, b)
}

func pearson(x, y []float64) float64 {
	n, mx, my := float64(len(x)), 0.0, 0.0
	for i := range x {
		mx, my = mx+x[i]/n, my+y[i]/n
	}
	var xy, xx, yy float64
	for i := range x {
		xy, xx, yy = xy+(x[i]-mx)*(y[i]-my), xx+(x[i]-mx)*(x[i]-mx), yy+(y[i]-my)*(y[i]-my)
	}
	if xx <= 0 || yy <= 0 {
		return 0
	}
	return xy / math.Sqrt(xx*yy)
}

func ranks(x []float64) []float64 {
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case x[a] < x[b]:
			return -1
		case x[a] > x[b]:
			return 1
		}
		return 0
	})
	out := make([]float64, len(x))
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && x[order[j]] == x[order[i]] {
			j++
		}
		for _, k := range order[i:j] {
			out[k] = float64(i+j-1) / 2
		}
		i = j
	}
	return out
}
