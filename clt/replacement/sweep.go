package replacement

import (
	"context"
	"sort"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// chunk is a batch of targets that are swept together: they enter at about the
// same layer, and none of them is at a later position than pos-1.
type chunk struct {
	rows  []int // indices into the targets given to sweepAll
	batch int   // rows that are computed: as many, or more to share a compiled shape
	top   int   // the layer at which the sweep starts
	pos   int   // positions that are computed
}

// groupWork is the work in multiply-adds under which targets are not grouped by
// position: compiling another shape would cost more than it saves. fineWork is that
// over which eight groups pay.
const (
	groupWork = 1 << 30
	fineWork  = 1 << 37
)

// tileVectors is how many vectors of the stream a batch of a large sweep holds,
// targets times positions: enough for the matrix product to run at its peak, and few
// enough for the targets to enter at nearly the same layer.
const tileVectors = 256

// groups is into how many ranges of positions the targets are sorted.
func (b *builder) groups(rows int) int {
	length, d := b.length(), b.CLT.DModel
	switch work := rows * length * b.LM.Config.Layers * d * d; {
	case length < 8 || work < groupWork:
		return 1
	case !b.LM.CompilesShapes(): // a shape costs little
		return min(16, length/2)
	case work >= fineWork:
		return 8
	}
	return 4
}

// plan sorts targets into chunks so that each chunk's causal cone is narrow:
// grouped by position, within a group from the top layer down.
func (b *builder) plan(rows []row) []chunk {
	length, top := b.length(), b.LM.Config.Layers-1
	groups := b.groups(len(rows))
	group := func(i int) int { return rows[i].pos * groups / length }
	order := make([]int, len(rows))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(i, j int) bool {
		if ga, gc := group(order[i]), group(order[j]); ga != gc {
			return ga < gc
		}
		return rows[order[i]].layer > rows[order[j]].layer
	})
	var chunks []chunk
	for i := 0; i < len(order); {
		g := group(order[i])
		pos, tile := (length*(g+1)+groups-1)/groups, b.cfg.Batch
		if groups > 1 {
			tile = min(tile, max(8, tileVectors/pos/8*8))
		}
		n := 1
		for n < tile && i+n < len(order) && group(order[i+n]) == g {
			n++
		}
		if !b.LM.CompilesShapes() {
			tile = min(tile, (n+3)/4*4)
		}
		chunks = append(chunks, chunk{order[i : i+n], tile, min(rows[order[i]].layer, top), pos})
		i += n
	}
	return chunks
}

// sweepAll computes the rows and hands each to store, with its index.
func (b *builder) sweepAll(ctx context.Context, rows []row, store func(i int, edges, embed gpt2.Array, at, pos int), done func(n int)) error {
	for _, c := range b.plan(rows) {
		if err := ctx.Err(); err != nil {
			return err
		}
		edges, embed, err := b.sweep(ctx, rows, c)
		if err != nil {
			return err
		}
		for k, i := range c.rows {
			store(i, edges, embed, k, c.pos)
		}
		if done != nil {
			done(len(c.rows))
		}
	}
	return nil
}

// sweep carries one chunk from its top layer to the embedding. edges is [batch,
// pos, slot], embed [batch, pos, 2].
func (b *builder) sweep(ctx context.Context, rows []row, c chunk) (edges, embed gpt2.Array, err error) {
	d, n, layers := b.CLT.DModel, c.batch, b.LM.Config.Layers
	vec, stream := gpt2.NewArray([]int{n, d}, b.LM.Double), gpt2.NewArray([]int{c.pos, n, d}, b.LM.Double)
	layer, pos := make([]int32, n), make([]int32, n)
	for i := range layer {
		layer[i] = -1
	}
	for k, i := range c.rows {
		r := rows[i]
		layer[k], pos[k] = int32(r.layer), int32(r.pos)
		into, at := vec, k*d
		if r.layer == layers { // at the top of the stream
			into, at = stream, (r.pos*n+k)*d
		}
		for j, v := range r.vec {
			set(into, at+j, v)
		}
	}
	return b.descend(ctx, stream, vec, layer, pos, c.top)
}

// makePrograms compiles the sweep's programs, and lines up the inputs of each layer.
func (b *builder) makePrograms(sources []*tensors.Tensor) error {
	var err error
	key := b.key
	if b.step, err = gpt2.Plain(b.LM, "step|"+key, stepGraph(b.LM.Config, b.CLT.Config)); err != nil {
		return err
	}
	if b.last, err = gpt2.Plain(b.LM, "contract|"+key, contractGraph); err != nil {
		return err
	}
	values, err := b.valueTensors()
	if err != nil {
		return err
	}
	frozen := b.frozenInputs()
	skips := b.skipTensors()
	for l := range b.LM.Config.Layers {
		proj, err := b.LM.WeightTensors(l, "attn.c_proj.weight")
		if err != nil {
			return err
		}
		in := []any{sources[l], b.dividedPattern(l), values[l], proj[0]}
		if b.CLT.Skip {
			ln2, err := b.LM.WeightTensors(l, "ln_2.weight")
			if err != nil {
				return err
			}
			in = append(in, frozen[3+3*l], ln2[0], skips[l])
		}
		b.layerInputs = append(b.layerInputs, in)
	}
	return nil
}

// dividedPattern is the frozen pattern of a layer over the ln_1 divisor of each key,
// [head, query, key] at bucket length.
func (l *Local) dividedPattern(layer int) *tensors.Tensor {
	a := gpt2.NewArray(l.pattern[layer].Shape, l.LM.Double)
	for i := range a.Len() {
		set(a, i, l.pattern[layer].At(i)/l.scale1[layer].At(i%len(l.Tokens)))
	}
	return a.Grow(l.length(), 0, 1, 2).Tensor(l.LM.Double)
}

// valueTensors are, by layer, the value matrix W_V with gain and centring of ln_1 in
// it, [d_model, d_model]: row i is gain_i·W_V[i] minus the mean of all such rows.
func (m *Model) valueTensors() ([]*tensors.Tensor, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.values != nil {
		return m.values, nil
	}
	d := m.LM.Config.DModel
	var list []*tensors.Tensor
	for l := range m.LM.Config.Layers {
		w, err := m.hostHeads(l)
		if err != nil {
			return nil, err
		}
		mean := make([]float64, d)
		for i := range d {
			for j := range d {
				mean[j] += w.ln1.At(i) * w.attn.At((3*i+2)*d+j) / float64(d)
			}
		}
		a := gpt2.NewArray([]int{d, d}, m.LM.Double)
		for i := range d {
			for j := range d {
				set(a, i*d+j, w.ln1.At(i)*w.attn.At((3*i+2)*d+j)-mean[j])
			}
		}
		list = append(list, a.Tensor(m.LM.Double))
	}
	m.values = list
	return list, nil
}
