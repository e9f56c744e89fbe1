package replacement

import (
	"context"
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// carry takes whole streams [batch, pos, d_model] at hook_resid_post of a layer
// (-1 for the embedding) down to the embedding. It is sweep for vectors that stand
// at many positions. edges is [batch, pos, slot], embed [batch, pos, 2].
func (b *builder) carry(ctx context.Context, stream gpt2.Array, top int) (edges, embed gpt2.Array, err error) {
	n := stream.Shape[0]
	nowhere := make([]int32, n)
	for i := range nowhere {
		nowhere[i] = -1
	}
	return b.descend(ctx, swapped(stream), gpt2.NewArray([]int{n, b.CLT.DModel}, b.LM.Double), nowhere, make([]int32, n), top)
}

// descend carries streams [pos, batch, d_model] at hook_resid_post of the layer top
// down to the embedding; vec [batch, d_model] enter at hook_resid_mid of their layer.
// edges is [batch, pos, slot], embed [batch, pos, 2].
func (b *builder) descend(ctx context.Context, stream, vec gpt2.Array, layer, pos []int32, top int) (edges, embed gpt2.Array, err error) {
	length, n, double := stream.Shape[0], stream.Shape[1], b.LM.Double
	state := []*tensors.Tensor{stream.Tensor(double), gpt2.NewArray([]int{length, n, b.slots}, double).Tensor(double)}
	shared := []any{vec.Tensor(double), tensors.FromFlatDataAndDimensions(layer, n), tensors.FromFlatDataAndDimensions(pos, n)}
	for l := top; l >= 0; l-- {
		if err := ctx.Err(); err != nil {
			return edges, embed, err
		}
		args := append([]any{state[0], state[1]}, shared...)
		out, err := b.step.Call(append(append(args, tensors.FromScalar(int32(l))), b.layerInputs[l]...)...)
		if err != nil {
			return edges, embed, fmt.Errorf("replacement: attribute: layer %d: %w", l, err)
		}
		for _, t := range state {
			_ = t.FinalizeAll()
		}
		state = out
	}
	out, err := b.last.Call(state[0], b.embed)
	if err != nil {
		return edges, embed, fmt.Errorf("replacement: attribute: %w", err)
	}
	if edges, err = gpt2.FromTensor(state[1]); err == nil {
		embed, err = gpt2.FromTensor(out[0])
	}
	for _, t := range append(state, out...) {
		_ = t.FinalizeAll()
	}
	if err != nil {
		return edges, embed, err
	}
	return swapped(edges), swapped(embed), nil
}

// swapped exchanges the first two of three axes.
func swapped(a gpt2.Array) gpt2.Array {
	p, q, d := a.Shape[0], a.Shape[1], a.Shape[2]
	out := gpt2.NewArray([]int{q, p, d}, a.F64 != nil)
	for i := range p {
		for j := range q {
			copyRow(out, (j*p+i)*d, a, (i*q+j)*d, d)
		}
	}
	return out
}

// streamLength is how many positions a stream needs that has nothing after pos.
func (b *builder) streamLength(pos int) int {
	if b.LM.CompilesShapes() {
		return b.length() // one shape for all targets
	}
	return pos + 1
}

// sources names the columns of a row before the bias.
func (b *builder) sourceIDs() []attribution.ID {
	var list []attribution.ID
	for _, a := range b.Active {
		list = append(list, a.id())
	}
	for l := range b.LM.Config.Layers {
		for p := range b.Tokens {
			list = append(list, attribution.ID{Kind: attribution.Error, Layer: l, Pos: p})
		}
	}
	for p, id := range b.Tokens {
		list = append(list, attribution.ID{Kind: attribution.Token, Pos: p, Index: int(id)})
	}
	for p := range b.Tokens {
		list = append(list, attribution.ID{Kind: attribution.Position, Pos: p})
	}
	return list
}

func (a Active) id() attribution.ID {
	return attribution.ID{Kind: attribution.Feature, Layer: a.Layer, Pos: a.Pos, Index: a.Index}
}

// sourceRow is one row of a carried batch in the order of sourceIDs.
func (b *builder) sourceRow(at, pos int, edges, embed gpt2.Array) []float64 {
	m := attribution.Matrix{N: b.columns, F64: make([]float64, b.columns)}
	b.unpack(m, row{}, edges, embed, at, pos)
	return m.F64[:b.columns-1]
}
