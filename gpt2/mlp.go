package gpt2

import (
	"math"

	. "github.com/gomlx/gomlx/core/graph"
)

// mlp is the MLP sub-layer of block l on x [batch, pos, d_model]: hook_mlp_out,
// before it is added to the residual stream.
func (p *pass) mlp(l int, x *Node) *Node {
	at := func(s Site) func(*Node) *Node { return func(n *Node) *Node { return p.hook(s.At(l), n) } }
	in := at(MLPIn)(layerNorm(x, p.cfg.LayerNormEps, p.layerWeight(l, "ln_2.weight"), p.layerWeight(l, "ln_2.bias"),
		at(Ln2Scale), at(Ln2Normalized)))
	pre := at(MLPPre)(linear(in, p.layerWeight(l, "mlp.c_fc.weight"), p.layerWeight(l, "mlp.c_fc.bias")))
	post := at(MLPPost)(gelu(pre)) // [batch, pos, d_mlp]
	return at(MLPOut)(linear(post, p.layerWeight(l, "mlp.c_proj.weight"), p.layerWeight(l, "mlp.c_proj.bias")))
}

// gelu is the tanh form that GPT-2 was trained with (gelu_new). The cube is
// written as multiplications: Pow costs a quarter of a forward pass on the Go
// backend.
func gelu(x *Node) *Node {
	cube := Mul(Mul(x, x), x)
	inner := MulScalar(Add(x, MulScalar(cube, 0.044715)), math.Sqrt(2/math.Pi))
	return Mul(MulScalar(x, 0.5), AddScalar(Tanh(inner), 1))
}
