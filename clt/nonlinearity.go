package clt

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
)

// Activate applies the transcoder's activation function to pre-activations h
// [..., features] as it is at inference. The threshold [features] is used by
// jumprelu, batchtopk and tokentopk alone. A feature at its threshold is off.
func (c Config) Activate(h, threshold *Node) *Node {
	switch c.Activation {
	case ActReLU:
		return positive(h)
	case ActJumpReLU, ActBatchTopK, ActTokenTopK:
		if threshold == nil {
			panic(fmt.Errorf("clt: activation %s needs a threshold of shape [%d], there is none", c.Activation, c.Features))
		}
		threshold.AssertDims(c.Features)
		return keep(h, GreaterThan(h, ExpandLeftToRank(threshold, h.Rank())))
	case ActTopK:
		if c.Signed {
			return largest(h, c.K)
		}
		return topK(h, c.K)
	case ActGlobalTopK:
		panic(fmt.Errorf("clt: a transcoder with top-k over all layers knows what is on in a layer only when it has read all of them, so it cannot stand in for the model while that runs; turn it into a jumprelu first (ToJumpReLU)"))
	}
	panic(fmt.Errorf("clt: unknown activation %q", c.Activation))
}

// keep is h where the mask is true, 0 elsewhere; the gradient passes where the
// mask is true.
func keep(h, mask *Node) *Node { return Where(mask, h, ZerosLike(h)) }

// positive is ReLU; its gradient at 0 is 0.
func positive(h *Node) *Node { return keep(h, IsPositive(h)) }

// jumpReLU is h where h > theta, 0 elsewhere; h is [..., features], theta
// [features]. Its gradient is 1{h > theta} for h and, summed over the leading
// axes, -(theta/bandwidth)·1{|h - theta| < bandwidth/2} for theta: a term of value
// 0 carries it (straight-through estimator; Rajamanoharan et al. 2024).
func jumpReLU(h, theta *Node, bandwidth float64) *Node {
	fixed := StopGradient(theta)
	distance := Sub(StopGradient(h), ExpandLeftToRank(fixed, h.Rank()))
	near := LessThan(Abs(distance), Scalar(h.Graph(), h.DType(), bandwidth/2))
	zero := MulScalar(Mul(Sub(theta, fixed), fixed), 1/bandwidth)
	return Sub(keep(h, IsPositive(distance)), keep(broadcastTo(zero, h), near))
}

// stepCount is 1 where h > theta, 0 elsewhere. Its gradient for theta is
// -1{|h - theta| < bandwidth/2}/bandwidth, summed over the leading axes; there is
// none for h.
func stepCount(h, theta *Node, bandwidth float64) *Node {
	fixed := StopGradient(theta)
	distance := Sub(StopGradient(h), ExpandLeftToRank(fixed, h.Rank()))
	near := LessThan(Abs(distance), Scalar(h.Graph(), h.DType(), bandwidth/2))
	zero := MulScalar(Sub(theta, fixed), 1/bandwidth)
	return Sub(ConvertDType(IsPositive(distance), h.DType()), keep(broadcastTo(zero, h), near))
}

// topK keeps the k largest entries of the last axis that are positive.
func topK(h *Node, k int) *Node { return keep(h, GreaterThan(StopGradient(h), rowThreshold(h, k))) }

// largest keeps the k largest entries of the last axis, whatever their sign. The
// threshold is sought on distances from the least entry, which are not negative.
func largest(h *Node, k int) *Node {
	if k >= h.Shape().Dim(-1) {
		return h
	}
	above := StopGradient(Sub(h, ReduceAndKeep(h, ReduceMin, -1)))
	return keep(h, GreaterThan(above, rowThreshold(above, k)))
}

// broadcastTo repeats v, whose axes are the last axes of like, over the leading
// axes of like.
func broadcastTo(v, like *Node) *Node {
	return BroadcastToShape(ExpandLeftToRank(v, like.Rank()), like.Shape())
}
