package gpt2

import (
	"fmt"
	"math"

	. "github.com/gomlx/gomlx/core/graph"
)

// mlp is the MLP sub-layer of block l on x [batch, pos, d_model]: hook_mlp_out,
// before it is added to the residual stream.
func (p *pass) mlp(l int, x *Node) *Node {
	at := func(s Site) func(*Node) *Node { return func(n *Node) *Node { return p.hook(s.At(l), n) } }
	in := at(MLPIn)(p.layerNorm(x, fmt.Sprintf("h.%d.ln_2", l), Ln2Scale.At(l), Ln2Normalized.At(l)))
	pre := at(MLPPre)(linear(in, p.layerWeight(l, "mlp.c_fc.weight"), p.layerWeight(l, "mlp.c_fc.bias")))
	post := at(MLPPost)(gelu(pre)) // [batch, pos, d_mlp]
	return at(MLPOut)(linear(post, p.layerWeight(l, "mlp.c_proj.weight"), p.layerWeight(l, "mlp.c_proj.bias")))
}

// plainGelu is gelu by parts: x·(1 + tanh(sqrt(2/π)·(x + 0.044715·x³)))/2. The cube
// is written as multiplications: Pow costs a quarter of a forward pass on the Go
// backend.
func plainGelu(x *Node) *Node {
	cube := Mul(Mul(x, x), x)
	inner := MulScalar(Add(x, MulScalar(cube, 0.044715)), math.Sqrt(2/math.Pi))
	return Mul(MulScalar(x, 0.5), AddScalar(Tanh(inner), 1))
}
