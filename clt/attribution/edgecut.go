package attribution

import (
	"cmp"
	"math"
	"slices"
)

// score replaces |weight| by the edge score: share of the target's input times
// the target's influence plus probability.
func (sp *sparse) score(w []float64) {
	infl := sp.influence(w)
	parallelRows(len(sp.order), func(next func() (lo, hi int)) {
		for lo, hi := next(); lo < hi; lo, hi = next() {
			for _, t := range sp.order[lo:hi] {
				c := (infl[t] + w[t]) / max(sp.mass[t], minRowMass)
				for k := range sp.abs[t] {
					sp.abs[t][k] *= c
				}
			}
		}
	})
}

// cut keeps the shortest prefix of the edges, by score descending and then by
// target and source, whose scores make up the given share of their total.
// Instead of sorting all edges it adds the scores up in bins of nearly equal
// scores and sorts the one bin in which the share is reached.
func (sp *sparse) cut(share float64) {
	if share >= 1 {
		sp.cutRows(scored{}) // all but zeros, whatever rounding makes of the shares
		return
	}
	bins := make([]float64, 1<<18)
	low, high := len(bins)-1, 0 // of the bins in use: most pages of the rest are never touched
	for _, t := range sp.order {
		for _, e := range sp.abs[t] {
			b := scoreBin(e)
			bins[b] += e
			if e > 0 {
				low, high = min(low, b), max(high, b)
			}
		}
	}
	total := 0.0
	for at := high; at >= low; at-- {
		total += bins[at]
	}
	sum, at := 0.0, high
	for ; at > low; at-- {
		if bins[at] > 0 && (sum+bins[at])/total >= share {
			break
		}
		sum += bins[at]
	}
	sp.cutRows(sp.lastInBin(at, sum, total, share))
}

// cutRows keeps the edges up to the last one.
func (sp *sparse) cutRows(last scored) {
	parallelRows(len(sp.order), func(next func() (lo, hi int)) {
		for lo, hi := next(); lo < hi; lo, hi = next() {
			for _, t := range sp.order[lo:hi] {
				sp.cutRow(t, last)
			}
		}
	})
}

// scoreBin puts larger scores in larger bins: exponent and six bits of mantissa.
func scoreBin(score float64) int { return int(math.Float64bits(score) >> 46) }

type scored struct {
	score          float64
	target, source int32
}

func compareScored(a, b scored) int {
	return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.target, b.target), cmp.Compare(a.source, b.source))
}

// lastInBin is the last edge to keep, given the sum of all higher bins.
func (sp *sparse) lastInBin(bin int, sum, total, share float64) scored {
	var in []scored
	for _, t := range sp.order {
		for k, e := range sp.abs[t] {
			if e > 0 && scoreBin(e) == bin {
				in = append(in, scored{e, t, sp.col[t][k]})
			}
		}
	}
	slices.SortFunc(in, compareScored)
	last := scored{score: math.Float64frombits(uint64(bin) << 46), target: math.MaxInt32}
	for _, e := range in {
		last = e
		if sum += e.score; sum/total >= share {
			break
		}
	}
	return last
}

func (sp *sparse) cutRow(t int32, last scored) {
	col, abs := sp.col[t], sp.abs[t]
	k := 0
	for i, e := range abs {
		s := col[i]
		col[k], abs[k] = s, e
		step := 0
		if e > last.score || e == last.score && e > 0 && (t < last.target || t == last.target && s <= last.source) {
			step = 1
		}
		k += step
	}
	sp.col[t], sp.abs[t] = col[:k], abs[:k]
}
