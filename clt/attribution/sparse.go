package attribution

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
)

// minRowMass is the least row sum that is divided by: rows below it count as
// empty (circuit-tracer clamps at the same value).
const minRowMass = 1e-10

// sparse is the non-zero part of the weights, bias column left out.
type sparse struct {
	col   [][]int32   // per target, source columns ascending
	abs   [][]float64 // |weight|
	mass  []float64   // row sums of abs
	order []int32     // targets, each after all targets it feeds: reverse topological
}

// sparse reads the weights once. It fails, naming the node, if a weight is not
// finite, a node that is no target has inputs, a logit is a source, or the
// edges run in a circle.
func (g *Graph) sparse() (*sparse, error) {
	if err := g.Weights.check(); err != nil {
		return nil, err
	}
	if len(g.Nodes) != g.Weights.N {
		return nil, fmt.Errorf("attribution: graph has %d nodes and a %d-node matrix", len(g.Nodes), g.Weights.N)
	}
	n := len(g.Nodes)
	sp := &sparse{col: make([][]int32, n), abs: make([][]float64, n), mass: make([]float64, n)}
	odd := make([]Kind, n) // of the sources that are not simply kept: nodes are wide, and are seen once for each edge
	for i := range g.Nodes {
		if k := g.Nodes[i].Kind; k == Bias || k == Logit {
			odd[i] = k
		}
	}
	faults := make([]error, n)
	parallelRows(n, func(next func() (lo, hi int)) {
		scratchCol, scratchAbs := make([]int32, n), make([]float64, n)
		for lo, hi := next(); lo < hi; lo, hi = next() {
			for t := lo; t < hi; t++ {
				k := g.nonZero(t, scratchCol, scratchAbs)
				faults[t] = sp.store(g, t, scratchCol[:k], scratchAbs[:k], odd)
			}
		}
	})
	for _, err := range faults {
		if err != nil {
			return nil, err
		}
	}
	return sp, sp.sort(g)
}

// nonZero compacts row t into col and abs, which have room for a row, and
// returns the number of entries. Stretches of zeros (half of a causal matrix)
// are skipped; elsewhere the advance is computed without a branch, which at
// 10 % density would mostly be mispredicted.
func (g *Graph) nonZero(t int, col []int32, abs []float64) int {
	n, k := g.Weights.N, 0
	if g.Weights.F64 != nil {
		row := g.Weights.F64[t*n : t*n+n]
		for from := 0; from < n; from += zeroBlock {
			block := row[from:min(from+zeroBlock, n)]
			if zeros64(block) {
				continue
			}
			for i, w := range block {
				bits := math.Float64bits(w) << 1
				col[k], abs[k] = int32(from+i), math.Float64frombits(bits>>1)
				step := 0
				if bits != 0 {
					step = 1
				}
				k += step
			}
		}
		return k
	}
	row := g.Weights.F32[t*n : t*n+n]
	for from := 0; from < n; from += zeroBlock {
		block := row[from:min(from+zeroBlock, n)]
		if zeros32(block) {
			continue
		}
		for i, w := range block {
			bits := math.Float32bits(w) << 1
			col[k], abs[k] = int32(from+i), float64(math.Float32frombits(bits>>1))
			step := 0
			if bits != 0 {
				step = 1
			}
			k += step
		}
	}
	return k
}

const zeroBlock = 32

// zeros32 says whether all entries are zero, of either sign.
func zeros32(w []float32) bool {
	var a, b, c, d uint32
	for ; len(w) >= 4; w = w[4:] {
		a |= math.Float32bits(w[0])
		b |= math.Float32bits(w[1])
		c |= math.Float32bits(w[2])
		d |= math.Float32bits(w[3])
	}
	for _, v := range w {
		a |= math.Float32bits(v)
	}
	return (a|b|c|d)<<1 == 0
}

func zeros64(w []float64) bool {
	var a, b uint64
	for ; len(w) >= 2; w = w[2:] {
		a |= math.Float64bits(w[0])
		b |= math.Float64bits(w[1])
	}
	for _, v := range w {
		a |= math.Float64bits(v)
	}
	return (a|b)<<1 == 0
}

// store checks one compacted row and keeps a copy without the bias.
func (sp *sparse) store(g *Graph, t int, col []int32, abs []float64, odd []Kind) error {
	if len(col) == 0 {
		return nil
	}
	total := 0.0
	for _, a := range abs {
		total += a
	}
	if math.IsNaN(total) || math.IsInf(total, 0) {
		return g.notFinite(t)
	}
	if !g.Nodes[t].Kind.IsTarget() {
		return fmt.Errorf("attribution: %v has an input from %v, but only features and logits have inputs; is the matrix transposed?",
			g.Nodes[t].ID, g.Nodes[col[0]].ID)
	}
	outCol, outAbs := make([]int32, len(col)), make([]float64, len(col))
	n, mass := 0, 0.0
	for k, s := range col {
		switch odd[s] {
		case Logit:
			return fmt.Errorf("attribution: %v is a source of %v, but logits are only targets; is the matrix transposed?",
				g.Nodes[s].ID, g.Nodes[t].ID)
		case Bias:
			continue
		}
		outCol[n], outAbs[n] = s, abs[k]
		mass += abs[k]
		n++
	}
	sp.col[t], sp.abs[t], sp.mass[t] = outCol[:n], outAbs[:n], mass
	return nil
}

// notFinite names the first bad weight of a row.
func (g *Graph) notFinite(t int) error {
	for s := range g.Nodes {
		if w := g.Weight(t, s); math.IsNaN(w) || math.IsInf(w, 0) {
			return fmt.Errorf("attribution: weight of %v from %v is %v; weights must be finite", g.Nodes[t].ID, g.Nodes[s].ID, w)
		}
	}
	return fmt.Errorf("attribution: weights into %v overflow when summed; weights must be finite", g.Nodes[t].ID)
}

// sort fills order. In storage order features feed later features only, so
// walking the rows backwards is enough; other orders (graphs of other programs)
// are sorted by counting.
func (sp *sparse) sort(g *Graph) error {
	canonical, targets := true, 0
	for t := range g.Nodes {
		if !g.Nodes[t].Kind.IsTarget() {
			continue
		}
		targets++
		for _, s := range sp.col[t] {
			if int(s) >= t && g.Nodes[s].Kind == Feature {
				canonical = false
			}
		}
	}
	sp.order = make([]int32, 0, targets)
	if canonical {
		for t := len(g.Nodes) - 1; t >= 0; t-- {
			if g.Nodes[t].Kind.IsTarget() {
				sp.order = append(sp.order, int32(t))
			}
		}
		return nil
	}
	return sp.sortByCount(g)
}

func (sp *sparse) sortByCount(g *Graph) error {
	uses := make([]int, len(g.Nodes))
	for _, cols := range sp.col {
		for _, s := range cols {
			uses[s]++
		}
	}
	var ready []int32
	for t := range g.Nodes {
		if g.Nodes[t].Kind.IsTarget() && uses[t] == 0 {
			ready = append(ready, int32(t))
		}
	}
	for len(ready) > 0 {
		t := ready[len(ready)-1]
		ready = ready[:len(ready)-1]
		sp.order = append(sp.order, t)
		for _, s := range sp.col[t] {
			if uses[s]--; uses[s] == 0 && g.Nodes[s].Kind == Feature {
				ready = append(ready, s)
			}
		}
	}
	for t := range g.Nodes {
		if g.Nodes[t].Kind == Feature && uses[t] > 0 {
			return fmt.Errorf("attribution: the edges run in a circle, %s; an attribution graph has none", sp.circle(g, uses, int32(t)))
		}
	}
	return nil
}

// circle names the nodes of a circle that feeds node t or goes through it. All nodes
// that are left (uses above 0) feed another one that is left: up from target to target
// one comes back.
func (sp *sparse) circle(g *Graph, uses []int, t int32) string {
	user := map[int32]int32{} // of each node that is left, the first target that is left too
	for target, cols := range sp.col {
		for _, s := range cols {
			if _, have := user[s]; !have && uses[target] > 0 {
				user[s] = int32(target)
			}
		}
	}
	seen := map[int32]bool{}
	for !seen[t] {
		seen[t] = true
		t = user[t]
	}
	text, at := g.Nodes[t].ID.String(), user[t]
	for n := 0; at != t && n < 6; n++ {
		text += " to " + g.Nodes[at].ID.String()
		at = user[at]
	}
	if at != t {
		text += " to others"
	}
	return text + " to " + g.Nodes[t].ID.String()
}

// filter keeps the rows and columns of the mask.
func (sp *sparse) filter(mask []bool) *sparse {
	n := len(sp.col)
	out := &sparse{col: make([][]int32, n), abs: make([][]float64, n), mass: make([]float64, n), order: slices.Clone(sp.order)}
	out.order = slices.DeleteFunc(out.order, func(t int32) bool { return !mask[t] })
	parallelRows(len(out.order), func(next func() (lo, hi int)) {
		for lo, hi := next(); lo < hi; lo, hi = next() {
			for _, t := range out.order[lo:hi] {
				out.filterRow(sp, t, mask)
			}
		}
	})
	return out
}

func (sp *sparse) filterRow(from *sparse, t int32, mask []bool) {
	cols, vals := from.col[t], from.abs[t]
	col, abs := make([]int32, len(cols)), make([]float64, len(cols))
	k, mass := 0, 0.0
	for i, s := range cols {
		col[k], abs[k] = s, vals[i]
		step := 0
		if mask[s] {
			step = 1
			mass += vals[i]
		}
		k += step
	}
	sp.col[t], sp.abs[t], sp.mass[t] = col[:k], abs[:k], mass
}

// parallelRows hands out blocks of rows to one worker per core. Workers write
// to their own rows only, so the result does not depend on their number.
func parallelRows(rows int, work func(next func() (lo, hi int))) {
	const block = 64
	var mu sync.Mutex
	at := 0
	next := func() (lo, hi int) {
		mu.Lock()
		defer mu.Unlock()
		lo = at
		at = min(at+block, rows)
		return lo, at
	}
	workers := min(runtime.GOMAXPROCS(0), (rows+block-1)/block)
	if workers <= 1 {
		work(next)
		return
	}
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() { work(next) })
	}
	wg.Wait()
}
