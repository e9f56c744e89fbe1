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
// layers and all prompts of a bucket. Positions come first everywhere: sources meet
// the stream position by position, without moving it.
type stepNodes struct {
	stream  *Node // [pos, batch, d_model] at hook_resid_post of the layer
	edges   *Node // [pos, batch, slot]: sum over the layers above
	vec     *Node // [batch, d_model]: the targets' vectors in the residual stream
	layer   *Node // [batch] int32: the layer at whose hook_resid_mid each target enters
	pos     *Node // [batch] int32
	current *Node // [] int32: this layer
	sources *Node // [length, slot, d_model]: what each source writes to this MLP output
	pattern *Node // [head, length, length]: attention by query and key, over the ln_1 divisor of the key
	value   *Node // [d_model, d_model]: see Model.valueTensors
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
			sources: in[6], pattern: in[7], value: in[8], proj: in[9]}
		if c.Skip {
			s.scale2, s.ln2, s.skip = in[10], in[11], in[12]
		}
		return s.build(cfg, c)
	}
}

func (s stepNodes) build(cfg gpt2.Config, c clt.Config) []*Node {
	pos := s.stream.Shape().Dimensions[0]
	s.sources = first(s.sources, 0, pos)
	s.pattern = first(first(s.pattern, 1, pos), 2, pos)
	// The stream after the block reads the MLP output as it is.
	edges := Add(s.edges, contract(s.stream, s.sources))
	stream := s.stream
	if c.Skip {
		s.scale2 = TransposeAllAxes(first(s.scale2, 1, pos), 1, 0, 2)
		read := DotGeneral(stream, []int{2}, nil, s.skip, []int{1}, nil)
		stream = Add(stream, s.readTranspose(c, read))
	}
	stream = Add(stream, s.inject())
	return []*Node{Add(stream, s.attentionTranspose(cfg, stream)), edges}
}

// first is the beginning of an axis.
func first(x *Node, axis, n int) *Node {
	if x.Shape().Dimensions[axis] == n {
		return x
	}
	return SliceAxis(x, axis, AxisRange(0, n))
}

// inject is the vectors of the targets that enter at this layer: [pos, batch,
// d_model], zero but at their positions.
func (s stepNodes) inject() *Node {
	dtype, dims := s.vec.DType(), s.stream.Shape().Dimensions
	here := ConvertDType(Equal(s.layer, s.current), dtype) // [batch]
	positions := Iota(s.vec.Graph(), shapes.Make(dtypes.Int32, dims[0], dims[1]), 0)
	at := ConvertDType(Equal(positions, BroadcastToDims(InsertAxes(s.pos, 0), dims[0], dims[1])), dtype)
	at = Mul(at, InsertAxes(here, 0)) // [pos, batch]
	return Mul(InsertAxes(at, -1), InsertAxes(s.vec, 0))
}

// contract is the scalar product of the stream [pos, batch, d_model] with each
// source [pos, slot, d_model] of the same position: [pos, batch, slot].
func contract(stream, sources *Node) *Node {
	return DotGeneral(stream, []int{2}, []int{0}, sources, []int{2}, []int{0})
}

// contractGraph contracts with the sources at the embedding [length, slot,
// d_model]: [pos, batch, slot].
func contractGraph(stream, sources *Node) *Node {
	return contract(stream, first(sources, 0, stream.Shape().Dimensions[0]))
}

// attentionTranspose carries the stream back through the attention of the block:
// output matrix, frozen pattern, value matrix, LayerNorm with frozen divisor. The
// divisor is in the pattern, gain and centring are in the value matrix.
func (s stepNodes) attentionTranspose(cfg gpt2.Config, stream *Node) *Node {
	d, heads, width := cfg.DModel, cfg.Heads, cfg.DHead()
	pos, batch := stream.Shape().Dimensions[0], stream.Shape().Dimensions[1]
	s.value.AssertDims(d, d)
	s.proj.AssertDims(d, d)
	flat := Reshape(stream, pos*batch, d)
	z := DotGeneral(flat, []int{1}, nil, s.proj, []int{1}, nil) // [pos*batch, d]
	z = Reshape(z, pos, batch, heads, width)
	// [head, query, key] and [query, batch, head, width] give [head, key, batch, width].
	v := DotGeneral(s.pattern, []int{1}, []int{0}, z, []int{0}, []int{2})
	v = Reshape(TransposeAllAxes(v, 1, 2, 0, 3), pos*batch, d)
	return Reshape(DotGeneral(v, []int{1}, nil, s.value, []int{1}, nil), pos, batch, d)
}

// normTranspose is the transpose of a LayerNorm with a frozen divisor [pos, 1, 1]:
// times gain, divided, centred. Nil gain is one.
func normTranspose(x, gain, scale *Node) *Node {
	if gain != nil {
		x = Mul(x, ExpandLeftToRank(gain, x.Rank()))
	}
	x = Div(x, scale)
	return Sub(x, ReduceAndKeep(x, ReduceMean, -1))
}

// readTranspose carries vectors at the encoder's read point to hook_resid_mid.
func (s stepNodes) readTranspose(c clt.Config, x *Node) *Node {
	switch c.Read {
	case gpt2.MLPIn:
		return normTranspose(x, s.ln2, s.scale2)
	case gpt2.Ln2Normalized:
		return normTranspose(x, nil, s.scale2)
	}
	return x
}
