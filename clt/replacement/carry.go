package replacement

import (
	"context"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// carry takes whole streams [batch, pos, d_model] at hook_resid_post of a layer
// (-1 for the embedding) down to the embedding. It is sweep for vectors that stand
// at many positions. edges is [batch, pos, slot], embed [batch, pos, 2].
func (b *builder) carry(ctx context.Context, stream gpt2.Array, top int) (edges, embed gpt2.Array, err error) {
	down, edges, err := b.descend(ctx, swapped(stream), nil, top, -1, stream.Shape[1])
	if err != nil {
		return edges, embed, err
	}
	embed, err = b.meetEmbedding(down)
	return edges, embed, err
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
