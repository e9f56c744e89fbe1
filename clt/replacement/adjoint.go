package replacement

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// stepNodes are the inputs of one layer of the top-down sweep over a batch of
// targets. The weights are inputs too, so that one compiled program serves all
// layers and all prompts of a bucket.
type stepNodes struct {
	stream  *Node // [batch, pos, d_model] at hook_resid_post of the layer
	edges   *Node // [batch, pos, slot]: sum over the layers above
	vec     *Node // [batch, d_model]: the targets' vectors in the residual stream
	layer   *Node // [batch] int32: the layer at whose hook_resid_mid each target enters
	pos     *Node // [batch] int32
	current *Node // [] int32: this layer
	sources *Node // [length, slot, d_model]: what each source writes to this MLP output
	pattern *Node // [1, head, length, length]
	scale1  *Node // [1, length, 1]
	ln1     *Node // [d_model] gain
	attn    *Node // [d_model, 3·d_model]: c_attn
	proj    *Node // [d_model, d_model]: c_proj
	scale2  *Node // [1, length, 1]; with skip
	ln2     *Node // [d_model] gain; with skip
	skip    *Node // [d_model, d_model]; with skip
}

// stepGraph returns the [graph] function of one layer of the sweep (method:
// Anthropic 2025, "Circuit Tracing", attribution graphs; written out for GPT-2).
// Inputs as in stepNodes. Outputs: the stream at hook_resid_pre of the layer, and
// the edges with this layer's added.
//
// Only the first pos of the length positions of the prompt are computed: a
// target's vector never reaches later positions than its own.
func stepGraph(cfg gpt2.Config, c clt.Config) func([]*Node) []*Node {
	return func(in []*Node) []*Node {
		s := stepNodes{stream: in[0], edges: in[1], vec: in[2], layer: in[3], pos: in[4], current: in[5],
			sources: in[6], pattern: in[7], scale1: in[8], ln1: in[9], attn: in[10], proj: in[11]}
		if c.Skip {
			s.scale2, s.ln2, s.skip = in[12], in[13], in[14]
		}
		return s.build(cfg, c)
	}
}

func (s stepNodes) build(cfg gpt2.Config, c clt.Config) []*Node {
	pos := s.stream.Shape().Dimensions[1]
	s.sources = Slice(s.sources, AxisRange(0, pos))
	s.scale1 = Slice(s.scale1, AxisRange(), AxisRange(0, pos))
	s.pattern = Slice(s.pattern, AxisRange(), AxisRange(), AxisRange(0, pos), AxisRange(0, pos))
	// The stream after the block reads the MLP output as it is.
	edges := Add(s.edges, contract(s.stream, s.sources))
	stream := s.stream
	if c.Skip {
		s.scale2 = Slice(s.scale2, AxisRange(), AxisRange(0, pos))
		read := DotGeneral(stream, []int{2}, nil, s.skip, []int{1}, nil)
		stream = Add(stream, s.readTranspose(c, read))
	}
	stream = Add(stream, s.inject())
	return []*Node{Add(stream, s.attentionTranspose(cfg, stream)), edges}
}

// inject is the vectors of the targets that enter at this layer: [batch, pos,
// d_model], zero but at their positions.
func (s stepNodes) inject() *Node {
	dtype, dims := s.vec.DType(), s.stream.Shape().Dimensions
	here := ConvertDType(Equal(s.layer, s.current), dtype) // [batch]
	positions := Iota(s.vec.Graph(), shapes.Make(dtypes.Int32, dims[0], dims[1]), 1)
	at := ConvertDType(Equal(positions, BroadcastToDims(InsertAxes(s.pos, -1), dims[0], dims[1])), dtype)
	at = Mul(at, InsertAxes(here, -1)) // [batch, pos]
	return Mul(InsertAxes(at, -1), InsertAxes(s.vec, 1))
}

// contract is the scalar product of the stream [batch, pos, d_model] with each
// source [pos, slot, d_model] of the same position: [batch, pos, slot].
func contract(stream, sources *Node) *Node {
	out := DotGeneral(stream, []int{2}, []int{1}, sources, []int{2}, []int{0}) // [pos, batch, slot]
	return TransposeAllAxes(out, 1, 0, 2)
}

// contractGraph contracts with the sources at the embedding [length, slot,
// d_model]: [batch, pos, slot].
func contractGraph(stream, sources *Node) *Node {
	return contract(stream, Slice(sources, AxisRange(0, stream.Shape().Dimensions[1])))
}

// attentionTranspose carries the stream back through the attention of the block:
// output matrix, frozen pattern, value matrix, LayerNorm with frozen divisor.
func (s stepNodes) attentionTranspose(cfg gpt2.Config, stream *Node) *Node {
	d, heads, width := cfg.DModel, cfg.Heads, cfg.DHead()
	batch, pos := stream.Shape().Dimensions[0], stream.Shape().Dimensions[1]
	s.attn.AssertDims(d, 3*d)
	s.proj.AssertDims(d, d)
	flat := Reshape(stream, batch*pos, d)
	z := DotGeneral(flat, []int{1}, nil, s.proj, []int{1}, nil) // [batch*pos, d]
	z = Reshape(z, batch, pos, heads, width)
	pattern := Reshape(s.pattern, heads, pos, pos)
	// [head, query, key] and [batch, query, head, width] give [head, key, batch, width].
	v := DotGeneral(pattern, []int{1}, []int{0}, z, []int{1}, []int{2})
	v = Reshape(TransposeAllAxes(v, 2, 1, 0, 3), batch*pos, d)
	value := Slice(s.attn, AxisRange(), AxisRange(2*d, 3*d))
	in := DotGeneral(v, []int{1}, nil, value, []int{1}, nil)
	return normTranspose(Reshape(in, batch, pos, d), s.ln1, s.scale1)
}

// normTranspose is the transpose of a LayerNorm with a frozen divisor [1, pos,
// 1]: times gain, divided, centred. Nil gain is one.
func normTranspose(x, gain, scale *Node) *Node {
	if gain != nil {
		x = Mul(x, ExpandLeftToRank(gain, x.Rank()))
	}
	x = Div(x, scale)
	return Sub(x, ReduceAndKeep(x, ReduceMean, -1))
}

// readTranspose carries a vector at the encoder's read point to hook_resid_mid.
func (s stepNodes) readTranspose(c clt.Config, x *Node) *Node {
	switch c.Read {
	case gpt2.MLPIn:
		return normTranspose(x, s.ln2, s.scale2)
	case gpt2.Ln2Normalized:
		return normTranspose(x, nil, s.scale2)
	}
	return x
}
