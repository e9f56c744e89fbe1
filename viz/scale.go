package viz

import "math"

// axis maps values to pixels, linearly or by logarithm.
type axis struct {
	lo, hi   float64 // domain; transformed if log
	from, to float64 // pixels
	log      bool
	ticks    []float64
}

// newAxis covers lo to hi with round ticks, about n of them.
func newAxis(lo, hi float64, n int, from, to float64, log bool) axis {
	a := axis{from: from, to: to, log: log}
	if log {
		a.lo, a.hi = math.Log10(lo), math.Log10(hi)
		if a.hi-a.lo < 0.3 { // less than a factor of two: widen
			mid := (a.lo + a.hi) / 2
			a.lo, a.hi = mid-0.15, mid+0.15
		}
		a.ticks = logTicks(a.lo, a.hi, n)
		return a
	}
	if hi <= lo {
		d := math.Max(math.Abs(lo)*0.1, 1e-9)
		lo, hi = lo-d, hi+d
	}
	step := niceStep((hi - lo) / float64(n))
	a.lo, a.hi = lo, hi
	for k := math.Ceil(lo/step - 1e-9); k*step <= hi+step*1e-9; k++ {
		a.ticks = append(a.ticks, k*step)
	}
	return a
}

// niceStep rounds up to 1, 2 or 5 times a power of ten.
func niceStep(x float64) float64 {
	p := math.Pow(10, math.Floor(math.Log10(x)))
	for _, m := range []float64{1, 2, 5} {
		if x <= m*p*(1+1e-9) {
			return m * p
		}
	}
	return 10 * p
}

func logTicks(lo, hi float64, n int) []float64 {
	var out []float64
	decades := hi - lo
	steps := []float64{1, 2, 5}
	if decades > float64(n)/2 {
		steps = []float64{1}
	}
	every := max(1, int(math.Ceil(decades/float64(n))))
	for d := int(math.Floor(lo)); d <= int(math.Ceil(hi)); d++ {
		if d%every != 0 {
			continue
		}
		for _, s := range steps {
			v := s * math.Pow(10, float64(d))
			if l := math.Log10(v); l >= lo-1e-9 && l <= hi+1e-9 {
				out = append(out, v)
			}
		}
	}
	return out
}

// at is the pixel of a value, clamped to the axis.
func (a axis) at(v float64) float64 {
	if a.log {
		v = math.Log10(v)
	}
	t := (v - a.lo) / (a.hi - a.lo)
	return a.from + math.Min(1, math.Max(0, t))*(a.to-a.from)
}

// value is what stands at a pixel.
func (a axis) value(px float64) float64 {
	v := a.lo + (px-a.from)/(a.to-a.from)*(a.hi-a.lo)
	if a.log {
		return math.Pow(10, v)
	}
	return v
}

// extent is the range of the finite values that keep, or 0 to 1 without any.
func extent(values []float64, keep func(float64) bool) (lo, hi float64, ok bool) {
	lo, hi = math.Inf(1), math.Inf(-1)
	for _, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) || keep != nil && !keep(v) {
			continue
		}
		lo, hi = math.Min(lo, v), math.Max(hi, v)
	}
	if hi < lo {
		return 0, 1, false
	}
	return lo, hi, true
}

// tick writes a tick value shortly: "1e−4", "0.2", "1 500".
func tick(v float64) string {
	if a := math.Abs(v); a != 0 && (a < 1e-3 || a >= 1e5) {
		return num(v)
	}
	if v == math.Trunc(v) {
		return count(int(v))
	}
	return brief(v)
}
