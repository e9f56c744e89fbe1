package gpt2

import (
	. "github.com/gomlx/gomlx/core/graph"
)

// layerNorm normalises the last axis of x [batch, pos, d_model]: centred, divided
// by scale = sqrt(var + eps) with the biased variance, times gain, plus bias.
// atScale sees the divisor [batch, pos, 1], atNormalized the quotient.
func layerNorm(x *Node, eps float64, gain, bias *Node, atScale, atNormalized func(*Node) *Node) *Node {
	d := x.Shape().Dimensions[x.Rank()-1]
	gain.AssertDims(d)
	bias.AssertDims(d)
	centred := Sub(x, ReduceAndKeep(x, ReduceMean, -1))
	variance := ReduceAndKeep(Mul(centred, centred), ReduceMean, -1)
	scale := atScale(Sqrt(AddScalar(variance, eps))) // division, since Rsqrt has no gradient
	normalized := atNormalized(Div(centred, scale))
	return Add(Mul(normalized, ExpandLeftToRank(gain, x.Rank())), ExpandLeftToRank(bias, x.Rank()))
}
