package replacement

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sort"
	"sync"

	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// chunk is a batch of targets that are carried down together: they enter layer by
// layer, and none of them is at a later position than pos-1.
type chunk struct {
	enter [][]int // layer, up to the number of layers for the final stream -> rows; -1 pads
	pos   int     // positions that are computed
}

// lanes are the rows of a chunk in the order of its streams, from the top down.
func (c chunk) lanes() []int {
	var list []int
	for l := len(c.enter) - 1; l >= 0; l-- {
		list = append(list, c.enter[l]...)
	}
	return list
}

// groupWork is the work in multiply-adds under which targets are not grouped by
// position: compiling another shape would cost more than it saves. fineWork is that
// over which eight groups pay.
const (
	groupWork = 1 << 30
	fineWork  = 1 << 39
)

// groups is into how many ranges of positions the targets are sorted.
func (b *builder) groups(rows int) int {
	length, d := b.length(), b.CLT.DModel
	switch work := rows * length * b.LM.Config.Layers * d * d; {
	case length < 8 || work < groupWork:
		return 1
	case !b.LM.CompilesShapes(): // a shape costs little
		return min(8, length/2)
	case work >= fineWork:
		return 8
	case length <= 16:
		return 2
	}
	return 4
}

// padded is how many rows are computed for n of them, where each new shape costs
// something.
func (b *builder) paddedRows(n int) int {
	switch {
	case n == 0:
		return 0
	case !b.LM.CompilesShapes():
		return (n + 1) / 2 * 2
	case n <= 8:
		return 8
	case n <= 64:
		return (n + 15) / 16 * 16
	}
	return (n + 31) / 32 * 32
}

// split cuts the sorted entries of one range of positions into batches. On a backend
// that compiles each shape a batch holds one layer, so that few shapes come up; on
// others rows join as the sweep passes their layer, and the matrix products are large.
func (b *builder) split(rows []int, layerOf func(row int) int, batch func(rows []int)) {
	for i := 0; i < len(rows); {
		n := 1
		for n < b.cfg.Batch && i+n < len(rows) && !(b.LM.CompilesShapes() && layerOf(rows[i+n]) != layerOf(rows[i])) {
			n++
		}
		batch(rows[i : i+n])
		i += n
	}
}

// entering sorts the rows of a batch by layer and pads each layer's.
func (b *builder) entering(rows []int, layers int, layerOf func(row int) int) [][]int {
	enter := make([][]int, layers)
	for _, i := range rows {
		enter[layerOf(i)] = append(enter[layerOf(i)], i)
	}
	for l, list := range enter {
		for range b.paddedRows(len(list)) - len(list) {
			enter[l] = append(enter[l], -1)
		}
	}
	return enter
}

// plan sorts targets into chunks so that each chunk's causal cone is narrow: grouped
// by position, within a group from the top layer down.
func (b *builder) plan(rows []row) []chunk {
	length, groups := b.length(), b.groups(len(rows))
	byGroup := make([][]int, groups)
	for i, r := range rows {
		g := r.pos * groups / length
		byGroup[g] = append(byGroup[g], i)
	}
	layerOf := func(i int) int { return rows[i].layer }
	var chunks []chunk
	for g, list := range byGroup {
		sort.SliceStable(list, func(i, j int) bool { return rows[list[i]].layer > rows[list[j]].layer })
		b.split(list, layerOf, func(batch []int) {
			chunks = append(chunks, chunk{b.entering(batch, b.LM.Config.Layers+1, layerOf), (length*(g+1) + groups - 1) / groups})
		})
	}
	return chunks
}

// sweepAll computes the rows and hands each to store, with its index; store may be
// called from two goroutines, for different rows.
func (b *builder) sweepAll(ctx context.Context, rows []row, store func(i int, edges, embed gpt2.Array, at, pos int), done func(n int)) error {
	chunks := b.plan(rows)
	return b.abreast(ctx, spans(chunks), func(ctx context.Context, b *builder, s span) error {
		for _, c := range chunks[s.from:s.to] {
			stream, edges, err := b.sweep(ctx, rows, c, -1)
			if err != nil {
				return err
			}
			embed, err := b.meetEmbedding(stream)
			if err != nil {
				return err
			}
			b.storeLanes(c, done, func(i, at int) { store(i, edges, embed, at, c.pos) })
		}
		return nil
	})
}

// storeLanes hands out the rows of a chunk that are no padding.
func (b *builder) storeLanes(c chunk, done func(n int), store func(i, at int)) {
	n := 0
	for at, i := range c.lanes() {
		if i >= 0 {
			store(i, at)
			n++
		}
	}
	if done != nil {
		done(n)
	}
}

// span is a range of chunks that share what depends on the number of positions.
type span struct{ from, to int }

// spans are the ranges of chunks with equal numbers of positions, the longest first:
// they take longest.
func spans(chunks []chunk) []span {
	var list []span
	for i, c := range chunks {
		if i > 0 && chunks[i-1].pos == c.pos {
			list[len(list)-1].to++
		} else {
			list = append(list, span{i, i + 1})
		}
	}
	slices.Reverse(list)
	return list
}

// abreast does the jobs, each with a builder that shares all but the inputs of its
// steps. Two at a time: small operations run on one core, and what the host does for
// one of them need not wait for the other. What a job writes is written by it alone, so
// that the matrix does not depend on the order.
func (b *builder) abreast(ctx context.Context, jobs []span, do func(ctx context.Context, b *builder, s span) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	workers := min(2, len(jobs))
	next := make(chan span, len(jobs))
	for _, s := range jobs {
		next <- s
	}
	close(next)
	failed := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			own := *b
			own.downAt, own.downPos = nil, 0
			defer own.freeInputs()
			for s := range next {
				if failed[w] = do(ctx, &own, s); failed[w] != nil {
					cancel()
					return
				}
			}
		})
	}
	wg.Wait()
	for _, err := range failed {
		if err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
	}
	return cmp.Or(failed...)
}
