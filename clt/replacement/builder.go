package replacement

import (
	"context"
	"sort"
	"sync"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// row is one target of the sweep.
type row struct {
	vec   []float64 // [d_model] in the residual stream
	layer int       // enters at hook_resid_mid of this layer; Layers for the final stream
	pos   int
	bias  float64
	value float64 // what the row must add up to
}

// builder assembles a graph: rows of edges for features and targets. Columns of a
// row are the active features, errors by (layer, pos), tokens, positions, bias;
// the last two only outside compatibility mode.
type builder struct {
	*Local
	cfg      AttributeConfig
	sources  []gpt2.Array       // layer -> [length, slot, d_model]: what each source writes to its MLP output
	widths   []int              // layer -> slots there: features of layers up to it, then its error
	standing gpt2.Array         // [length, 2, d_model]: token and position embeddings
	embed    *tensors.Tensor    // the same
	downAt   map[int]downInputs // layer -> inputs for downPos positions
	downPos  int
	feature  []row      // one for each active feature
	target   []row      // one for each target
	clean    gpt2.Array // unembed.hook_pre of the clean run, for targets that are any direction
	slot     []int      // active feature -> its slot at its position
	slots    int        // per position of a row: features, then an error for each layer
	columns  int
	rows     []attribution.Matrix // active features, then targets; each a view or a row of its own
	visited  []int                // active features with a row, ascending
}

func (l *Local) newBuilder(cfg AttributeConfig) (*builder, error) {
	b := &builder{Local: l, cfg: cfg}
	length := len(l.Tokens)
	b.columns = len(l.Active) + l.LM.Config.Layers*length + length
	if cfg.Compat == "" {
		b.columns += length + 1
	}
	b.makeSources()
	if err := b.CLT.Err(); err != nil {
		return nil, err
	}
	return b, b.makeRows()
}

// makeSources lays out what every source writes, by layer [length, slot, d_model]:
// features by position in slots, lower layers first, so that a layer has slots for
// those alone that may write to it; the last slot is the error's.
func (b *builder) makeSources() {
	d, layers, length := b.CLT.DModel, b.LM.Config.Layers, b.length()
	count := make([]int, length)
	b.slot = make([]int, len(b.Active))
	features, next := 0, 0
	list := make([]gpt2.Array, layers)
	b.widths = make([]int, layers)
	for l := range layers {
		for ; next < len(b.Active) && b.Active[next].Layer <= l; next++ {
			p := b.Active[next].Pos
			b.slot[next] = count[p]
			count[p]++
			features = max(features, count[p])
		}
		width := features + 1
		if b.LM.CompilesShapes() {
			width = (width + 31) / 32 * 32 // fewer shapes to compile
		}
		s := gpt2.NewArray([]int{length, width, d}, b.LM.Double)
		for p := range b.Tokens {
			copyRow(s, (p*width+width-1)*d, b.errors[l], p*d, d)
		}
		list[l], b.widths[l] = s, width
	}
	b.slots = features + layers
	for i, a := range b.Active {
		dec := b.CLT.Decoder(a.Layer, a.Index)
		for k := range b.CLT.Targets(a.Layer) {
			l := a.Layer + k
			addScaled(list[l], (a.Pos*b.widths[l]+b.slot[i])*d, dec[k*d:][:d], a.Value)
		}
	}
	b.sources = list
	e := gpt2.NewArray([]int{length, 2, d}, b.LM.Double)
	for p := range b.Tokens {
		copyRow(e, 2*p*d, b.Local.embed, p*d, d)
		copyRow(e, (2*p+1)*d, b.posEmb, p*d, d)
	}
	b.standing, b.embed = e, b.resident(e)
}

func copyRow(dst gpt2.Array, at int, src gpt2.Array, from, n int) {
	if dst.F64 != nil {
		copy(dst.F64[at:at+n], src.F64[from:from+n])
	} else {
		copy(dst.F32[at:at+n], src.F32[from:from+n])
	}
}

func addScaled(dst gpt2.Array, at int, w []float32, scale float64) {
	if dst.F64 != nil {
		for i, v := range w {
			dst.F64[at+i] += scale * float64(v)
		}
		return
	}
	s := float32(scale)
	for i, v := range w {
		dst.F32[at+i] += s * v
	}
}

// fill computes all rows, or with a cap those of the most influential features.
func (b *builder) fill(ctx context.Context, g *attribution.Graph, report func(done, total int)) error {
	active := len(b.Active)
	b.rows = make([]attribution.Matrix, active+len(b.target))
	total, done := len(b.target)+active, 0
	if b.capped() {
		total = len(b.target) + b.cfg.MaxFeatures
	}
	run := func(keys []int) error {
		rows := make([]row, len(keys))
		for i, k := range keys {
			if rows[i] = b.rowOf(k); b.capped() {
				b.rows[k] = b.newRow()
			} else {
				b.rows[k] = b.viewRow(g, k)
			}
		}
		var counting sync.Mutex
		count := func(n int) {
			counting.Lock()
			defer counting.Unlock()
			if done += n; report != nil {
				report(done, total)
			}
		}
		if cut := b.chooseCut(rows); cut >= 0 {
			return b.meetAll(ctx, rows, keys, cut, count)
		}
		return b.sweepAll(ctx, rows, func(i int, edges, embed gpt2.Array, at, pos int) {
			b.unpack(b.rows[keys[i]], rows[i], edges, embed, at, pos)
		}, count)
	}
	first := make([]int, len(b.target))
	for i := range first {
		first[i] = active + i
	}
	if !b.capped() {
		for f := range b.feature {
			b.visited, first = append(b.visited, f), append(first, f)
		}
		return run(first)
	}
	if err := run(first); err != nil {
		return err
	}
	for {
		next := b.unvisited()
		if len(next) == 0 {
			sort.Ints(b.visited)
			return nil
		}
		if err := run(next); err != nil {
			return err
		}
		b.visited = append(b.visited, next...)
	}
}

func (b *builder) capped() bool {
	return b.cfg.MaxFeatures > 0 && b.cfg.MaxFeatures < len(b.feature)
}

func (b *builder) rowOf(key int) row {
	if key < len(b.feature) {
		return b.feature[key]
	}
	return b.target[key-len(b.feature)]
}

// newRow is a row with memory of its own, as a matrix of one row.
func (b *builder) newRow() attribution.Matrix {
	if b.LM.Double {
		return attribution.Matrix{N: b.columns, F64: make([]float64, b.columns)}
	}
	return attribution.Matrix{N: b.columns, F32: make([]float32, b.columns)}
}

// viewRow is a row in its final place: without a cap the columns of a row are the
// graph's nodes up to the targets.
func (b *builder) viewRow(g *attribution.Graph, key int) attribution.Matrix {
	n := g.Weights.N
	if key >= len(b.feature) {
		key = b.columns + b.targetRank(key-len(b.feature))
	}
	if b.LM.Double {
		return attribution.Matrix{N: b.columns, F64: g.Weights.F64[key*n : key*n+b.columns]}
	}
	return attribution.Matrix{N: b.columns, F32: g.Weights.F32[key*n : key*n+b.columns]}
}

// targetRank is the place of a target among the logit nodes.
func (b *builder) targetRank(i int) int {
	for rank, k := range b.targetOrder() {
		if k == i {
			return rank
		}
	}
	return -1
}

// setBias writes the last column of a row.
func (b *builder) setBias(dst attribution.Matrix, r row) {
	if b.cfg.Compat == "" {
		dst.Set(0, b.columns-1, r.bias)
	}
}

// unpack sorts one target's slots into the columns of its row. pos is how many
// positions were computed; later ones have no edge. Without embed the columns of
// tokens and positions are left alone.
func (b *builder) unpack(dst attribution.Matrix, r row, edges, embed gpt2.Array, at, pos int) {
	layers, length := b.LM.Config.Layers, len(b.Tokens)
	slot := func(p, s int) float64 { return edges.At((at*pos+p)*b.slots + s) }
	for f, a := range b.Active {
		if a.Pos < pos {
			dst.Set(0, f, slot(a.Pos, b.slot[f]))
		}
	}
	c := len(b.Active)
	compat := b.cfg.Compat != ""
	for l := range layers {
		for p := range length {
			if p < pos && !(compat && p == 0) { // circuit-tracer has no errors at position 0
				dst.Set(0, c, slot(p, b.slots-layers+l))
			}
			c++
		}
	}
	b.setBias(dst, r)
	for k := range 2 {
		if k == 1 && compat || embed.Len() == 0 {
			return
		}
		for p := range length {
			if p < pos {
				dst.Set(0, c, embed.At((at*pos+p)*2+k))
			}
			c++
		}
	}
}
