package replacement

import (
	"context"
	"fmt"

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
	defer func() {
		for _, a := range arrivals {
			if a.stream != nil {
				free(a.stream)
			}
		}
	}()
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
		for _, c := range chunks[s.from:s.to] {
			stream, edges, err := b.sweep(ctx, high, c, cut)
			if err != nil {
				return err
			}
			met, err := b.meet(stream, arrivals, c.pos)
			if err != nil {
				return err
			}
			b.storeLanes(c, done, func(i, lane int) {
				b.unpack(b.rows[keys[at[i]]], high[i], edges, gpt2.Array{}, lane, c.pos)
				for a, m := range met {
					lanes := arrivals[a].lanes
					for k, s := range lanes {
						if s >= 0 && m.Len() > 0 {
							add(at[i], sources[s].column, m.At(lane*len(lanes)+k))
						}
					}
				}
			})
		}
		return nil
	})
}

// meet contracts streams [pos, lane, d_model] at the cut with the sources that arrived
// there: for each batch of those [lane, source], empty if it is behind all of the
// streams' positions. It frees the streams.
func (b *builder) meet(stream *tensors.Tensor, arrivals []arrived, pos int) ([]gpt2.Array, error) {
	length, end := b.length(), 0
	if b.LM.CompilesShapes() {
		end = length // few shapes to compile
	}
	turn, err := gpt2.Plain(b.LM, fmt.Sprintf("turn|%d", length), turnGraph(end))
	if err != nil {
		return nil, err
	}
	meet, err := gpt2.Plain(b.LM, fmt.Sprintf("meet|%d", length), meetGraph(length))
	if err != nil {
		return nil, err
	}
	down, err := turn.Call1(stream)
	_ = stream.FinalizeAll()
	if err != nil {
		return nil, fmt.Errorf("replacement: attribute: %w", err)
	}
	defer free(down)
	met := make([]gpt2.Array, len(arrivals))
	for i, a := range arrivals {
		if a.start >= pos {
			continue
		}
		out, err := meet.Call1(down, a.stream)
		if err != nil {
			return nil, fmt.Errorf("replacement: attribute: %w", err)
		}
		if met[i], err = gpt2.TakeTensor(out); err != nil {
			return nil, err
		}
	}
	return met, nil
}
