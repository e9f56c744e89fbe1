package replacement

import (
	"context"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// meetAll computes all rows, of which keys[i] is stored in b.rows, by carrying
// sources up to the cut and targets down to it.
func (b *builder) meetAll(ctx context.Context, rows []row, keys []int, cut int, done func(n int)) error {
	sources := b.upSources(cut)
	low := b.layLow(rows, cut)
	add := func(row, column int, w float64) {
		m := b.rows[keys[row]]
		m.Set(0, column, m.At(0, column)+w)
	}
	var high []row
	var at []int // row of each high one
	for i, r := range rows {
		if r.layer > cut {
			high, at = append(high, r), append(at, i)
		} else {
			b.setBias(b.rows[keys[i]], r)
		}
	}
	batches := b.planUp(sources, b.groups(len(rows)), cut)
	arrivals, jobs := make([]arrived, len(batches)), make([]span, len(batches))
	for i := range jobs {
		jobs[i] = span{i, i + 1}
	}
	err := b.abreast(ctx, jobs, func(ctx context.Context, b *builder, s span) (err error) {
		arrivals[s.from], err = b.ascend(ctx, sources, batches[s.from], cut, low, func(s, row int, w float64) {
			if sources[s].layer < rows[row].layer {
				add(row, sources[s].column, w)
			}
		})
		return err
	})
	if err != nil {
		return err
	}
	if done != nil {
		done(len(rows) - len(high))
	}
	chunks := b.plan(high)
	return b.abreast(ctx, spans(chunks), func(ctx context.Context, b *builder, s span) error {
		up := b.gather(arrivals, chunks[s.from].pos)
		defer up.free()
		for _, c := range chunks[s.from:s.to] {
			stream, edges, err := b.sweep(ctx, high, c, cut)
			if err != nil {
				return err
			}
			met, err := b.meet(stream, up)
			if err != nil {
				return err
			}
			b.storeLanes(c, done, func(i, lane int) {
				b.unpack(b.rows[keys[at[i]]], high[i], edges, gpt2.Array{}, lane, c.pos)
				for k, s := range up.lanes {
					if s >= 0 {
						add(at[i], sources[s].column, met.At(lane*len(up.lanes)+k))
					}
				}
			})
		}
		return nil
	})
}

// meeting are the sources that some targets may meet at the cut.
type meeting struct {
	lanes  []int           // sources; -1 pads
	stream *tensors.Tensor // [pos, d_model, lane]
}

func (m meeting) free() { free(m.stream) }

// gather joins the arrived sources that are not behind the first pos positions.
func (b *builder) gather(arrivals []arrived, pos int) meeting {
	var m meeting
	d := b.CLT.DModel
	for _, a := range arrivals {
		if a.start < pos {
			m.lanes = append(m.lanes, a.lanes...)
		}
	}
	for b.LM.CompilesShapes() && len(m.lanes)%64 != 0 {
		m.lanes = append(m.lanes, -1)
	}
	n, column := len(m.lanes), 0
	all := gpt2.NewArray([]int{pos, d, n}, b.LM.Double)
	for _, a := range arrivals {
		if a.start >= pos {
			continue
		}
		for i := range (pos - a.start) * d {
			copyRow(all, (a.start*d+i)*n+column, a.stream, i*len(a.lanes), len(a.lanes))
		}
		column += len(a.lanes)
	}
	m.stream = all.Tensor(b.LM.Double)
	return m
}

// meet contracts streams [pos, lane, d_model] at the cut with the sources that
// arrived there: [lane, source]. It frees the streams.
func (b *builder) meet(stream *tensors.Tensor, up meeting) (gpt2.Array, error) {
	return b.contracted("meet|", meetGraph, stream, up.stream)
}
