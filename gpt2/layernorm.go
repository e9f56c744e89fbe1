package gpt2

import (
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
	centred := Sub(x, ReduceAndKeep(x, ReduceMean, -1))
	variance := ReduceAndKeep(Mul(centred, centred), ReduceMean, -1)
	divisor := Sqrt(AddScalar(variance, p.cfg.LayerNormEps)) // division, since Rsqrt has no gradient
	taken := p.hook(scale, divisor)
	free := p.free(scale, divisor, taken)
	quotient := Div(centred, taken)
	taken = p.hook(normalized, quotient)
	free = free && p.free(normalized, quotient, taken)
	y := Add(Mul(taken, ExpandLeftToRank(gain, x.Rank())), ExpandLeftToRank(bias, x.Rank()))
	if !free {
		return y
	}
	return fusedNorm(x, p.cfg.LayerNormEps, gain, bias, y)
}
