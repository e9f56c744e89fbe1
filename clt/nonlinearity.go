package clt

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
)

// Activate applies the transcoder's activation function to pre-activations h
// [..., features] as it is at inference. The threshold [features] is used by
// jumprelu and batchtopk alone. A feature at its threshold is off.
func (c Config) Activate(h, threshold *Node) *Node {
	switch c.Activation {
	case ActReLU:
		return positive(h)
	case ActJumpReLU, ActBatchTopK:
		if threshold == nil {
			panic(fmt.Errorf("clt: activation %s needs a threshold of shape [%d], there is none", c.Activation, c.Features))
		}
		threshold.AssertDims(c.Features)
		return keep(h, GreaterThan(h, broadcastTo(threshold, h)))
	case ActTopK:
		return topK(h, c.K)
	}
	panic(fmt.Errorf("clt: unknown activation %q", c.Activation))
}

// keep is h where the mask is true, 0 elsewhere; the gradient passes where the
// mask is true.
func keep(h, mask *Node) *Node { return Where(mask, h, ZerosLike(h)) }

// positive is ReLU; its gradient at 0 is 0.
func positive(h *Node) *Node { return keep(h, IsPositive(h)) }

// jumpReLU is h where h > theta, 0 elsewhere. Its gradient is 1{h > theta} for h
// and -(theta/eps)·1{|h - theta| < eps/2}, summed over the leading axes, for
// theta: a term of value 0 carries the second (straight-through estimator;
// Rajamanoharan et al. 2024). theta is [features].
func jumpReLU(h, theta *Node, bandwidth float64) *Node {
	at := broadcastTo(StopGradient(theta), h)
	fixed := StopGradient(h)
	near := LessThan(Abs(Sub(fixed, at)), Scalar(h.Graph(), h.DType(), bandwidth/2))
	slope := keep(MulScalar(at, 1/bandwidth), near)
	zero := broadcastTo(Sub(theta, StopGradient(theta)), h)
	return Sub(keep(h, GreaterThan(fixed, at)), Mul(slope, zero))
}

// topK keeps the k largest entries of the last axis that are positive; entries
// equal to the k-th largest are all kept.
func topK(h *Node, k int) *Node {
	fixed := StopGradient(h)
	values, _ := TopK(fixed, k, -1)
	least := SliceAxis(values, -1, AxisElem(k-1))
	return keep(h, And(GreaterOrEqual(fixed, least), IsPositive(fixed)))
}

// broadcastTo repeats v, whose axes are the last axes of like, over the leading
// axes of like.
func broadcastTo(v, like *Node) *Node {
	return BroadcastToShape(ExpandLeftToRank(v, like.Rank()), like.Shape())
}
