package gpt2

import (
	"fmt"
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
	in := at(AttnIn)(p.layerNorm(x, fmt.Sprintf("h.%d.ln_1", l), Ln1Scale.At(l), Ln1Normalized.At(l)))
	batch, pos, d := x.Shape().Dimensions[0], x.Shape().Dimensions[1], p.cfg.DModel
	parts := split3(in, p.layerWeight(l, "attn.c_attn.weight"), p.layerWeight(l, "attn.c_attn.bias"))
	for i := range parts { // [batch, pos, head, d_head]
		parts[i] = Reshape(parts[i], batch, pos, p.cfg.Heads, p.cfg.DHead())
	}
	q, k, v := at(AttnQ)(parts[0]), at(AttnK)(parts[1]), at(AttnV)(parts[2])

	scores := p.scores(l, q, k, positions)
	taken := at(AttnScores)(scores)
	free := p.free(AttnScores.At(l), scores, taken)
	pattern := Softmax(taken, -1) // [batch, head, query, key]
	taken = at(AttnPattern)(pattern)
	free = free && p.free(AttnPattern.At(l), pattern, taken)
	z := p.mix(l, taken, v)
	if free && p.inSteps(pos) {
		z = p.attentionInSteps(l, q, k, v, positions)
	}
	z = at(AttnZ)(z)
	out := linear(Reshape(z, batch, pos, d), p.layerWeight(l, "attn.c_proj.weight"), p.layerWeight(l, "attn.c_proj.bias"))
	return at(AttnOut)(out)
}

// scores are q·k/sqrt(d_head) [batch, head, query, key] of layer l, masked.
func (p *pass) scores(l int, q, k, positions *Node) *Node {
	q = MulScalar(q, 1/math.Sqrt(float64(p.cfg.DHead()))) // of q: there are fewer of it than of products
	var products *Node
	if p.past != nil {
		products = p.past.products(l, q, k)
	} else {
		products = Einsum("bqhd,bkhd->bhqk", q, k)
	}
	return causal(products, positions)
}

// mix is each head's mean of values under its pattern: [batch, query, head, d_head].
func (p *pass) mix(l int, pattern, v *Node) *Node {
	if p.past != nil {
		return p.past.mix(l, pattern, v)
	}
	return Einsum("bhqk,bkhd->bqhd", pattern, v)
}

// attentionStep is how many queries attentionInSteps takes at once.
const attentionStep = 128

// inSteps says whether steps pay: on the Go backend, where masked scores cost as
// much as others, and for a pass that is long and starts at position 0.
func (p *pass) inSteps(pos int) bool {
	return p.fromStart && pos >= 2*attentionStep && !compilesShapes(p.g.Backend())
}

// attentionInSteps is the mix of the pattern for passes from position 0 on: a step
// of queries reads the keys up to its own end, and those that all of its queries
// would mask are left out, which is almost half of the work.
func (p *pass) attentionInSteps(l int, q, k, v, positions *Node) *Node {
	pos := q.Shape().Dimensions[1]
	var parts []*Node
	for from := 0; from < pos; from += attentionStep {
		to := min(from+attentionStep, pos)
		keys := func(n *Node) *Node { return Slice(n, AxisRange(), AxisRange(0, to)) }
		scores := p.scores(l, Slice(q, AxisRange(), AxisRange(from, to)), keys(k), Slice(positions, AxisRange(from, to)))
		parts = append(parts, p.mix(l, Softmax(scores, -1), keys(v)))
	}
	return Concatenate(parts, 1)
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
