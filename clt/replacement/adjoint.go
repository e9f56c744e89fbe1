package replacement

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// adjointNodes are the inputs of one top-down sweep over a batch of targets.
type adjointNodes struct {
	f       frozen
	vec     *Node   // [batch, d_model]: the target's vector in the residual stream
	layer   *Node   // [batch] int32: hook_resid_mid of that layer, or the number of layers for the final stream
	pos     *Node   // [batch] int32
	sources []*Node // layer -> [pos, slot, d_model]: what each source writes to that MLP output
	embed   *Node   // [pos, slot, d_model]: what stands at the embedding
	skips   []*Node // layer -> [d_model, d_model]
}

// sweepGraph returns the [graph] function of the sweep (method: Anthropic 2025,
// "Circuit Tracing", attribution graphs; written out for GPT-2). Outputs: edges
// from the sources of the MLP outputs [batch, pos, slot], and from those of the
// embedding [batch, pos, slot].
func sweepGraph(cfg gpt2.Config, c clt.Config) func(*model.Scope, []*Node) []*Node {
	return func(scope *model.Scope, in []*Node) []*Node {
		var a adjointNodes
		a.f, in = unpackFrozen(cfg.Layers, in)
		a.vec, a.layer, a.pos, in = in[0], in[1], in[2], in[3:]
		a.sources, a.embed, a.skips = in[:cfg.Layers], in[cfg.Layers], in[cfg.Layers+1:]
		g := a.sweep(scope, cfg, c)
		return []*Node{g.written, contract(g.stream, a.embed)}
	}
}

type sweepResult struct{ stream, written *Node }

// sweep carries the targets' vectors from the top of the model to the embedding.
func (a adjointNodes) sweep(scope *model.Scope, cfg gpt2.Config, c clt.Config) sweepResult {
	var written *Node
	stream := a.inject(cfg.Layers) // [batch, pos, d_model]
	for l := cfg.Layers - 1; l >= 0; l-- {
		// The stream after block l reads the MLP output as it is.
		edges := contract(stream, a.sources[l])
		if written == nil {
			written = edges
		} else {
			written = Add(written, edges)
		}
		if c.Skip {
			read := DotGeneral(stream, []int{2}, nil, a.skips[l], []int{1}, nil)
			stream = Add(stream, a.readTranspose(scope, c, l, read))
		}
		stream = Add(stream, a.inject(l))
		stream = Add(stream, a.attentionTranspose(scope, cfg, l, stream))
	}
	return sweepResult{stream, written}
}

// inject is the targets' vectors where they enter: [batch, pos, d_model], zero
// but at (layer, pos).
func (a adjointNodes) inject(layer int) *Node {
	g, dtype := a.vec.Graph(), a.vec.DType()
	here := ConvertDType(Equal(a.layer, Scalar(g, dtypes.Int32, layer)), dtype) // [batch]
	at := OneHot(a.pos, a.embed.Shape().Dimensions[0], dtype)                   // [batch, pos]
	at = Mul(at, InsertAxes(here, -1))
	return Mul(InsertAxes(at, -1), InsertAxes(a.vec, 1))
}

// contract is the scalar product of the stream [batch, pos, d_model] with each
// source [pos, slot, d_model] of the same position: [batch, pos, slot].
func contract(stream, sources *Node) *Node {
	out := DotGeneral(stream, []int{2}, []int{1}, sources, []int{2}, []int{0}) // [pos, batch, slot]
	return TransposeAllAxes(out, 1, 0, 2)
}

// attentionTranspose carries the stream back through the attention of a block:
// output matrix, frozen pattern, value matrix, LayerNorm with frozen divisor.
func (a adjointNodes) attentionTranspose(scope *model.Scope, cfg gpt2.Config, l int, stream *Node) *Node {
	g, d, heads, width := stream.Graph(), cfg.DModel, cfg.Heads, cfg.DHead()
	batch, pos := stream.Shape().Dimensions[0], stream.Shape().Dimensions[1]
	w := func(name string) *Node { return gpt2.Weight(scope, g, fmt.Sprintf("h.%d.%s", l, name)) }
	flat := Reshape(stream, batch*pos, d)
	z := DotGeneral(flat, []int{1}, nil, w("attn.c_proj.weight"), []int{1}, nil) // [batch*pos, d]
	z = Reshape(z, batch, pos, heads, width)
	pattern := Reshape(a.f.pattern[l], heads, pos, pos)
	// [head, query, key] and [batch, query, head, width] give [head, key, batch, width].
	v := DotGeneral(pattern, []int{1}, []int{0}, z, []int{1}, []int{2})
	v = Reshape(TransposeAllAxes(v, 2, 1, 0, 3), batch*pos, d)
	value := Slice(w("attn.c_attn.weight"), AxisRange(), AxisRange(2*d, 3*d))
	in := DotGeneral(v, []int{1}, nil, value, []int{1}, nil)
	return normTranspose(Reshape(in, batch, pos, d), w("ln_1.weight"), a.f.scale1[l])
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
func (a adjointNodes) readTranspose(scope *model.Scope, c clt.Config, l int, x *Node) *Node {
	switch c.Read {
	case gpt2.MLPIn:
		gain := gpt2.Weight(scope, x.Graph(), fmt.Sprintf("h.%d.ln_2.weight", l))
		return normTranspose(x, gain, a.f.scale2[l])
	case gpt2.Ln2Normalized:
		return normTranspose(x, nil, a.f.scale2[l])
	}
	return x
}
