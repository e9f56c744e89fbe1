package clt

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
)

// batchThreshold finds a scalar t ≥ 0 that about want of all entries of the
// arrays exceed; see search. start is a guess: the threshold of the batch before.
func batchThreshold(hs []*Node, want, tolerance, maxPasses int, start *Node) *Node {
	fixed := make([]*Node, len(hs))
	for i, h := range hs {
		fixed[i] = StopGradient(h)
	}
	first := Where(IsPositive(start), StopGradient(start), Scalar(start.Graph(), start.DType(), 0.5))
	return search(fixed, countAbove, first, want, tolerance, maxPasses)
}

// rowThreshold finds a t ≥ 0 for every row of the last axis that k of the row's
// entries exceed, [..., 1]. Entries tied at the k-th place are all above or all
// not; a row with fewer than k positive entries gets 0.
func rowThreshold(h *Node, k int) *Node {
	h = StopGradient(h)
	first := AddScalar(MulScalar(ReduceAndKeep(h, ReduceMax, -1), 0.5), 1e-6)
	first = Where(IsPositive(first), first, OnesLike(first))
	return search([]*Node{h}, func(hs []*Node, t *Node) *Node { return rowsAbove(hs[0], t) }, first, k, 0, 64)
}

// search finds thresholds t ≥ 0 with count(hs, t) within tolerance of want,
// without sorting: it counts at a few t, guessed by secants on the logarithm of
// the count inside a bracket, with bisection in between, and stops when all are
// found or after maxPasses. Where count(hs, 0) ≤ want, t is 0. All is element by
// element on the shape of first; no gradient passes.
//
// The loop's functions use nothing of the outer graph but their parameters (XLA
// cannot), and make constants by ConstAs: Scalar, and operations with a Go
// number, would keep a constant of an inner function for the whole graph.
func search(hs []*Node, count func(hs []*Node, t *Node) *Node, first *Node, want, tolerance, maxPasses int) *Node {
	zero := ZerosLike(first)
	start := searchState{low: zero, high: SubScalar(zero, 1), at: zero, count: count(hs, zero), next: first,
		pass: Scalar(first.Graph(), first.DType(), 0), hs: hs}
	goal := searchGoal{float64(want), float64(tolerance)}
	cond := NewClosure(first.Graph(), func(g *Graph) []*Node {
		s := searchParameters(g, start)
		more := LessThan(s.pass, ConstAs(s.pass, float64(maxPasses)))
		open := sum(ConvertDType(goal.open(s), s.at.DType()))
		return []*Node{And(more, GreaterThan(open, ConstAs(open, 0)))}
	})
	body := NewClosure(first.Graph(), func(g *Graph) []*Node {
		s := searchParameters(g, start)
		return goal.step(s, count(s.hs, s.next)).nodes()
	})
	return StopGradient(While(cond, body, start.nodes()...)[2])
}

// searchGoal is the count wanted and how far from it is good enough.
type searchGoal struct{ want, tolerance float64 }

// searchState is the state of the search: the bracket (high is negative while
// unknown), the last threshold and its count, the next threshold to try, the
// number of passes, and the arrays that are counted.
type searchState struct {
	low, high, at, count, next, pass *Node
	hs                               []*Node
}

func (s searchState) nodes() []*Node {
	return append([]*Node{s.low, s.high, s.at, s.count, s.next, s.pass}, s.hs...)
}

func searchParameters(g *Graph, like searchState) searchState {
	var p []*Node
	for i, n := range like.nodes() {
		p = append(p, Parameter(g, fmt.Sprintf("search_%d", i), n.Shape()))
	}
	return searchState{p[0], p[1], p[2], p[3], p[4], p[5], p[6:]}
}

// open says where the last threshold will not do.
func (q searchGoal) open(s searchState) *Node {
	c := func(v float64) *Node { return ConstAs(s.pass, v) }
	few := And(LessThan(s.count, c(q.want-q.tolerance)), GreaterThan(s.at, c(0)))
	return Or(GreaterThan(s.count, c(q.want+q.tolerance)), few)
}

// step takes the count at s.next into the bracket and chooses the next threshold.
// Where the last threshold will do, nothing changes.
func (q searchGoal) step(s searchState, count *Node) searchState {
	open := q.open(s)
	c := func(v float64) *Node { return ConstAs(s.pass, v) }
	log := func(n *Node) *Node { return Log(Add(n, c(0.5))) }
	tried := s.next
	above := GreaterThan(count, c(q.want))
	low, high := Where(above, tried, s.low), Where(above, s.high, tried)
	known := GreaterThan(high, c(0))

	slope := Div(Sub(log(count), log(s.count)), Sub(tried, s.at))
	secant := Add(tried, Div(Sub(log(c(q.want)), log(count)), slope))
	inside := And(GreaterThan(secant, low), LessThan(secant, Where(known, high, Add(Mul(low, c(4)), c(1)))))
	trusted := LessThan(Sub(s.pass, Mul(Floor(Mul(s.pass, c(0.25))), c(4))), c(2.5)) // not every fourth
	if s.low.Rank() > 0 {
		trusted = BroadcastToShape(trusted, inside.Shape())
	}
	middle := Where(known, Mul(Add(low, high), c(0.5)), Add(Mul(low, c(2)), c(1e-3)))
	next := Where(And(inside, trusted), secant, middle)
	keep := func(now, before *Node) *Node { return Where(open, now, before) }
	return searchState{keep(low, s.low), keep(high, s.high), keep(tried, s.at), keep(count, s.count), keep(next, s.next), Add(s.pass, c(1)), s.hs}
}

// countAbove counts the entries of all arrays greater than the scalar t, as a
// float of their type: exact in float32 up to 2^24, and nobody wants more active
// features in a batch.
func countAbove(hs []*Node, t *Node) *Node {
	var total *Node
	for _, h := range hs {
		n := sum(rowsAbove(h, t))
		if total == nil {
			total = n
		} else {
			total = Add(total, n)
		}
	}
	return total
}

// rowsAbove counts the entries of each row of the last axis greater than t:
// [..., n] gives [..., 1].
func rowsAbove(h, t *Node) *Node {
	above := ConvertDType(GreaterThan(h, t), h.DType())
	return DotGeneral(above, []int{h.Rank() - 1}, nil, ones(h, h.Shape().Dim(-1), 1), []int{0}, nil)
}

// sum adds up all entries. Inside a loop XLA's bindings cannot reduce, hence the
// product with ones.
func sum(x *Node) *Node {
	n := x.Shape().Size()
	return Reshape(DotGeneral(Reshape(x, n), []int{0}, nil, ones(x, n), []int{0}, nil))
}

func ones(like *Node, dims ...int) *Node {
	return BroadcastToDims(ConstAs(like, 1), dims...)
}
