package replacement

import (
	"context"
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// entry are rows that enter a sweep at one layer, each at one position.
type entry struct {
	vec gpt2.Array // [row, d_model]
	at  []int32    // [row]; -1 for rows that pad
}

// newEntry are n rows at no position.
func (b *builder) newEntry(n int) entry {
	e := entry{gpt2.NewArray([]int{n, b.CLT.DModel}, b.LM.Double), make([]int32, n)}
	for i := range e.at {
		e.at[i] = -1
	}
	return e
}

// inputs are an entry as inputs of a step.
func (b *builder) inputs(e entry) []any {
	return []any{b.resident(e.vec), tensors.FromFlatDataAndDimensions(e.at, len(e.at))}
}

// sweep carries one chunk down to hook_resid_post of the layer bottom, -1 for the
// embedding. stream is [pos, lane, d_model], edges [lane, pos, slot].
func (b *builder) sweep(ctx context.Context, rows []row, c chunk, bottom int) (stream *tensors.Tensor, edges gpt2.Array, err error) {
	d, layers := b.CLT.DModel, b.LM.Config.Layers
	var top gpt2.Array
	enter := make([]entry, layers)
	for l, list := range c.enter {
		e := b.newEntry(len(list))
		for k, i := range list {
			if i >= 0 {
				e.at[k] = int32(rows[i].pos)
				for j, v := range rows[i].vec {
					set(e.vec, k*d+j, v)
				}
			}
		}
		if l < layers {
			enter[l] = e
		} else if len(list) > 0 { // at the top of the stream
			top = gpt2.NewArray([]int{c.pos, len(list), d}, b.LM.Double)
			for k, p := range e.at {
				if p >= 0 {
					copyRow(top, (int(p)*len(list)+k)*d, e.vec, k*d, d)
				}
			}
		}
	}
	return b.descend(ctx, top, enter, layers-1, bottom, c.pos)
}

// descend carries rows down to hook_resid_post of the layer bottom: streams [pos,
// row, d_model] that stand at hook_resid_post of the layer top, if there are any, and
// those that enter at hook_resid_mid of a layer, by layer.
func (b *builder) descend(ctx context.Context, top gpt2.Array, enter []entry, from, bottom, pos int) (stream *tensors.Tensor, edges gpt2.Array, err error) {
	lanes, n := 0, 0
	if top.Len() > 0 {
		stream, n = b.resident(top), top.Shape[1]
	}
	lanes = n
	for l := from; l > bottom && enter != nil; l-- {
		lanes += len(enter[l].at)
	}
	edges = gpt2.NewArray([]int{lanes, pos, b.slots}, b.LM.Double)
	for l := from; l > bottom; l-- {
		if err := ctx.Err(); err != nil {
			return nil, edges, err
		}
		var e entry
		if enter != nil {
			e = enter[l]
		}
		f := form{stream != nil, len(e.at) > 0}
		if !f.streams && !f.single {
			continue
		}
		out, err := b.stepDown(f, l, pos, stream, e)
		if err != nil {
			return nil, edges, fmt.Errorf("replacement: attribute: layer %d: %w", l, err)
		}
		if stream != nil {
			_ = stream.FinalizeAll()
		}
		stream = out[0]
		if f.streams {
			met, err := gpt2.TakeTensor(out[1])
			if err != nil {
				return nil, edges, err
			}
			b.addEdges(edges, met, l)
		}
		n += len(e.at)
	}
	return stream, edges, nil
}

// stepDown runs one layer.
func (b *builder) stepDown(f form, l, pos int, stream *tensors.Tensor, e entry) ([]*tensors.Tensor, error) {
	turned := b.LM.CompilesShapes()
	exec, err := gpt2.Plain(b.LM, "down|"+f.String()+"|"+b.programKey(), downGraph(b.CLT.Config, f, turned))
	if err != nil {
		return nil, err
	}
	at, err := b.downInputs(l, pos)
	if err != nil {
		return nil, err
	}
	in := append([]any{}, at.hop...)
	if f.streams {
		in = append(in, stream)
	}
	if f.single {
		rows := b.inputs(e)
		defer free(rows...)
		in = append(in, rows...)
	}
	if f.streams {
		in = append(in, at.sources...)
	}
	return exec.Call(in...)
}

// free gives back the memory of tensors, which the collector knows nothing of, before
// it comes round.
func free(list ...any) {
	for _, t := range list {
		_ = t.(*tensors.Tensor).FinalizeAll()
	}
}

// meetEmbedding contracts streams [pos, lane, d_model] at the embedding with what
// stands there: [lane, pos, 2]. It frees the streams.
func (b *builder) meetEmbedding(stream *tensors.Tensor) (gpt2.Array, error) {
	exec, err := gpt2.Plain(b.LM, "contract|"+b.programKey(), contractGraph)
	if err != nil {
		return gpt2.Array{}, err
	}
	out, err := exec.Call1(stream, b.embed)
	_ = stream.FinalizeAll()
	if err != nil {
		return gpt2.Array{}, fmt.Errorf("replacement: attribute: %w", err)
	}
	embed, err := gpt2.TakeTensor(out)
	if err != nil {
		return gpt2.Array{}, err
	}
	return swapped(embed), nil
}

// addEdges adds the edges [pos, row, slot] of a layer to the first rows of [lane, pos,
// slot].
func (b *builder) addEdges(sum, part gpt2.Array, layer int) {
	pos, rows, width := part.Shape[0], part.Shape[1], part.Shape[2]
	layers := len(b.widths)
	n := min(width-1, b.slots-layers) // features
	for p := range pos {
		for r := range rows {
			from, to := (p*rows+r)*width, (r*pos+p)*b.slots
			last := to + b.slots - layers + layer
			if sum.F64 != nil {
				addValues(sum.F64[to:to+n], part.F64[from:from+n])
				sum.F64[last] += part.F64[from+width-1]
			} else {
				addValues(sum.F32[to:to+n], part.F32[from:from+n])
				sum.F32[last] += part.F32[from+width-1]
			}
		}
	}
}

func addValues[T float32 | float64](sum, part []T) {
	for i, v := range part {
		sum[i] += v
	}
}
