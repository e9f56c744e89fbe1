package lab

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
	"github.com/etredal/cross-layer-transcoder/viz"
)

// exerciseCases is how many cases an exercise is tried on; they come from a seed.
const exerciseCases = 5

// try runs an exercise and says that it is solved, or shows the first case on which
// it is not: what went in, what was expected, what came out, and which hint to read.
func try(name, hint string, one func(r *rand.Rand) (in string, want []float64, answer func() []float64)) {
	worst := 0.0
	for i := range exerciseCases {
		in, want, answer := one(rand.New(rand.NewPCG(uint64(i), 0xe0)))
		got, crash := attempt(answer)
		d := distance(want, got)
		if crash != "" || !(d <= 1e-9) {
			record(exerciseMark+name, false)
			markTried(name, i, exerciseCases)
			came := numbers(got)
			if crash != "" {
				came = "a panic: " + crash
			}
			fail("exercise", &wire.Error{Message: fmt.Sprintf("lab: %s, case %d of %d: for %s expected %s, got %s", name, i+1, exerciseCases, in, numbers(want), came), Cure: hint})
			return
		}
		worst = max(worst, d)
	}
	record(exerciseMark+name, true)
	markTried(name, exerciseCases, exerciseCases)
	Show(viz.Check(name, true, fmt.Sprintf("%d/%d cases, largest error %.0e", exerciseCases, exerciseCases, worst)))
}

// attempt calls a reader's function; a panic of it is an answer like any other.
func attempt(answer func() []float64) (got []float64, crash string) {
	defer func() {
		if r := recover(); r != nil {
			crash = fmt.Sprint(r)
		}
	}()
	return answer(), ""
}

// distance is the largest error relative to max(1, |wanted|); NaN if lengths differ.
func distance(want, got []float64) float64 {
	if len(want) != len(got) {
		return math.NaN()
	}
	worst := 0.0
	for i, w := range want {
		d := math.Abs(w-got[i]) / math.Max(1, math.Abs(w))
		if !(d <= worst) {
			worst = d
		}
	}
	return worst
}

func numbers(v []float64) string {
	var parts []string
	for _, x := range v[:min(6, len(v))] {
		parts = append(parts, fmt.Sprintf("%.4g", x))
	}
	if len(v) > 6 {
		parts = append(parts, fmt.Sprintf("… (%d numbers)", len(v)))
	}
	return "[" + strings.Join(parts, " ") + "]"
}

func randomVector(r *rand.Rand, n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = math.Round(100*r.NormFloat64()) / 100
	}
	return v
}

// TryActivation tries an implementation of one JumpReLU feature: from what it reads,
// its encoder, its bias and its threshold to its activation.
func TryActivation(f func(x, encoder []float64, bias, threshold float64) float64) {
	try("activation of a feature", "hint 2: equal to the threshold is off", func(r *rand.Rand) (string, []float64, func() []float64) {
		x, w, b := randomVector(r, 4), randomVector(r, 4), math.Round(10*r.NormFloat64())/10
		h := Dot(x, w) + b
		theta := math.Abs(h) * []float64{0.5, 1, 1.5}[r.IntN(3)]
		want := h
		if h <= theta {
			want = 0
		}
		return fmt.Sprintf("x %s, encoder %s, bias %.2g, threshold %.4g", numbers(x), numbers(w), b, theta), []float64{want}, func() []float64 { return []float64{f(x, w, b, theta)} }
	})
}

// TryNMSE tries the normalised error Σ‖y - ŷ‖² / Σ‖y - mean(y)‖² of rows y and their
// reconstructions.
func TryNMSE(f func(y, decoded [][]float64) float64) {
	try("normalised error", "hint 1: the mean is over the rows, one for each column", func(r *rand.Rand) (string, []float64, func() []float64) {
		var y, z [][]float64
		for range 3 {
			y, z = append(y, randomVector(r, 2)), append(z, randomVector(r, 2))
		}
		m := Times(Sum(y...), 1.0/3)
		missed, spread := 0.0, 0.0
		for i := range y {
			d, e := Sum(y[i], Times(z[i], -1)), Sum(y[i], Times(m, -1))
			missed, spread = missed+Dot(d, d), spread+Dot(e, e)
		}
		return fmt.Sprintf("y %v, ŷ %v", y, z), []float64{missed / spread}, func() []float64 { return []float64{f(y, z)} }
	})
}

// TryThroughLN tries the step that carries a direction back through a LayerNorm with
// a frozen divisor.
func TryThroughLN(f func(direction, gain []float64, sigma float64) []float64) {
	try("a direction through LayerNorm", "hint 2: first the gain, then the mean", func(r *rand.Rand) (string, []float64, func() []float64) {
		d, g, sigma := randomVector(r, 4), randomVector(r, 4), 0.5+r.Float64()
		return fmt.Sprintf("direction %s, gain %s, σ %.3f", numbers(d), numbers(g), sigma), ThroughLN(d, g, sigma), func() []float64 { return f(d, g, sigma) }
	})
}

// TryInfluence tries influence: from the shares [target][source] of a graph without
// cycles and the weights of the targets to the influence of every node.
func TryInfluence(f func(share [][]float64, weight []float64) []float64) {
	try("influence", "hint 3: a row vector times the matrix, and the powers end", func(r *rand.Rand) (string, []float64, func() []float64) {
		const n = 6
		a, weight := make([][]float64, n), make([]float64, n)
		weight[n-1], weight[n-2] = 0.75, 0.25
		for t := range a {
			a[t] = make([]float64, n)
			sum := 0.0
			for s := range t {
				a[t][s] = float64(r.IntN(4))
				sum += a[t][s]
			}
			for s := range t {
				a[t][s] /= math.Max(1, sum)
			}
		}
		want := make([]float64, n) // from the last node down, each is complete when its turn comes
		for t := n - 1; t >= 0; t-- {
			for s := range t {
				want[s] += (want[t] + weight[t]) * a[t][s]
			}
		}
		return fmt.Sprintf("shares %.2f, weights %v", a, weight), want, func() []float64 { return f(a, weight) }
	})
}

// TryParallelogram tries the share of pairs of active cells that break the
// parallelogram constraint; 0 if there are no pairs.
func TryParallelogram(f func(active [][]bool) float64) {
	try("parallelogram constraint", "hint 1: only cells in different rows and columns make a parallelogram", func(r *rand.Rand) (string, []float64, func() []float64) {
		const n = 4
		active, o := make([][]bool, n), Operand{n: n}
		for i := range active {
			for range n {
				on := r.IntN(2) == 0
				active[i] = append(active[i], on)
				o.Values = append(o.Values, map[bool]float64{true: 1}[on])
			}
		}
		return fmt.Sprint("cells ", active), []float64{o.Broken()}, func() []float64 { return []float64{f(active)} }
	})
}
