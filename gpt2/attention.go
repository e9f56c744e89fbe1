package gpt2

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// masked is the score of a key that the query must not see.
const masked = -1e9

// attention is the attention sub-layer of block l on x [batch, pos, d_model]:
// hook_attn_out, before it is added to the residual stream.
func (p *pass) attention(l int, x, positions *Node) *Node {
	at := func(s Site) func(*Node) *Node { return func(n *Node) *Node { return p.hook(s.At(l), n) } }
	in := at(AttnIn)(layerNorm(x, p.cfg.LayerNormEps, p.layerWeight(l, "ln_1.weight"), p.layerWeight(l, "ln_1.bias"),
		at(Ln1Scale), at(Ln1Normalized)))
	batch, pos, d := x.Shape().Dimensions[0], x.Shape().Dimensions[1], p.cfg.DModel
	qkv := linear(in, p.layerWeight(l, "attn.c_attn.weight"), p.layerWeight(l, "attn.c_attn.bias"))
	part := func(i int) *Node { // [batch, pos, head, d_head]
		s := Slice(qkv, AxisRange(), AxisRange(), AxisRange(i*d, (i+1)*d))
		return Reshape(s, batch, pos, p.cfg.Heads, p.cfg.DHead())
	}
	q, k, v := at(AttnQ)(part(0)), at(AttnK)(part(1)), at(AttnV)(part(2))

	scores := MulScalar(Einsum("bqhd,bkhd->bhqk", q, k), 1/math.Sqrt(float64(p.cfg.DHead())))
	scores = at(AttnScores)(causal(scores, positions))
	pattern := at(AttnPattern)(Softmax(scores, -1)) // [batch, head, query, key]
	z := at(AttnZ)(Einsum("bhqk,bkhd->bqhd", pattern, v))
	out := linear(Reshape(z, batch, pos, d), p.layerWeight(l, "attn.c_proj.weight"), p.layerWeight(l, "attn.c_proj.bias"))
	return at(AttnOut)(out)
}

// causal hides from each query the keys after its position.
func causal(scores, positions *Node) *Node {
	dims := scores.Shape().Dimensions // [batch, head, query, key]
	query, key := dims[2], dims[3]
	g := scores.Graph()
	keys := Iota(g, shapes.Make(dtypes.Int32, query, key), 1)
	visible := LessOrEqual(keys, BroadcastToDims(InsertAxes(positions, -1), query, key))
	visible = BroadcastToDims(InsertAxes(visible, 0, 0), dims...)
	return Where(visible, scores, BroadcastToDims(Scalar(g, scores.DType(), masked), dims...))
}
