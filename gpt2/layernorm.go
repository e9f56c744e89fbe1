package gpt2

import (
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// layerNorm normalises the last axis of x [batch, pos, d_model] with the gain and
// bias of that name: centred, divided by scale = sqrt(var + eps) with the biased
// variance, times gain, plus bias. The hook scale sees the divisor [batch, pos, 1],
// normalized the quotient.
func (p *pass) layerNorm(x *Node, name string, scale, normalized HookName) *Node {
	gain, bias := p.weight(name+".weight"), p.weight(name+".bias")
	gain.AssertDims(x.Shape().Dimensions[x.Rank()-1])
	bias.AssertDims(gain.Shape().Dimensions[0])
	centred := Sub(x, lastMean(x))
	variance := lastMean(Mul(centred, centred))
	divisor := Sqrt(AddScalar(variance, p.cfg.LayerNormEps)) // division, since Rsqrt has no gradient
	taken := p.hook(scale, divisor)
	unchanged := p.unchanged(divisor, taken)
	quotient := Div(centred, taken)
	taken = p.hook(normalized, quotient)
	unchanged = unchanged && p.unchanged(quotient, taken)
	y := Add(Mul(taken, ExpandLeftToRank(gain, x.Rank())), ExpandLeftToRank(bias, x.Rank()))
	if !unchanged {
		return y
	}
	return fusedNorm(x, p.cfg.LayerNormEps, gain, bias, y) // also where its inside is read
}

// lastMean is the mean over the last axis, which is kept with length one. The Go
// backend adds up value by value, but multiplies matrices with SIMD.
func lastMean(x *Node) *Node {
	if compilesShapes(x.Graph().Backend()) {
		return ReduceAndKeep(x, ReduceMean, -1)
	}
	d := x.Shape().Dimensions[x.Rank()-1]
	ones := Ones(x.Graph(), shapes.Make(x.DType(), 1, d))
	return likeRows(MulScalar(Einsum("rd,od->ro", rowsOf(x), ones), 1/float64(d)), x)
}
