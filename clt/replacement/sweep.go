package replacement

import (
	"context"
	"fmt"
	"sort"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// chunk is a batch of targets that are swept together: they enter at about the
// same layer, and none of them is at a later position than pos-1.
type chunk struct {
	rows []int // indices into the targets given to sweepAll
	top  int   // the layer at which the sweep starts
	pos  int   // positions that are computed
}

// groupWork is the work in multiply-adds under which targets are not grouped by
// position: compiling another shape would cost more than it saves.
const groupWork = 1 << 30

// plan sorts targets into chunks so that each chunk's causal cone is narrow:
// grouped by position, within a group from the top layer down.
func (b *builder) plan(rows []row) []chunk {
	length, layers, d := b.length(), b.LM.Config.Layers, b.CLT.DModel
	groups := 1
	if len(rows)*length*layers*d*d >= groupWork && length >= 8 {
		groups = 4
	}
	group := func(r row) int { return r.pos * groups / length }
	order := make([]int, len(rows))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(i, j int) bool {
		a, c := rows[order[i]], rows[order[j]]
		if ga, gc := group(a), group(c); ga != gc {
			return ga < gc
		}
		return a.layer > c.layer
	})
	var chunks []chunk
	for i := 0; i < len(order); {
		g := group(rows[order[i]])
		n := 1
		for n < b.cfg.Batch && i+n < len(order) && group(rows[order[i+n]]) == g {
			n++
		}
		top := min(rows[order[i]].layer, layers-1)
		chunks = append(chunks, chunk{order[i : i+n], top, (length*(g+1) + groups - 1) / groups})
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
		edges, embed, err := b.sweep(rows, c)
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
func (b *builder) sweep(rows []row, c chunk) (edges, embed gpt2.Array, err error) {
	d, n, layers := b.CLT.DModel, b.cfg.Batch, b.LM.Config.Layers
	vec, stream := gpt2.NewArray([]int{n, d}, b.LM.Double), gpt2.NewArray([]int{n, c.pos, d}, b.LM.Double)
	layer, pos := make([]int32, n), make([]int32, n)
	for i := range layer {
		layer[i] = -1
	}
	for k, i := range c.rows {
		r := rows[i]
		layer[k], pos[k] = int32(r.layer), int32(r.pos)
		into, at := vec, k*d
		if r.layer == layers { // at the top of the stream
			into, at = stream, (k*c.pos+r.pos)*d
		}
		for j, v := range r.vec {
			set(into, at+j, v)
		}
	}
	state := []*tensors.Tensor{stream.Tensor(b.LM.Double), gpt2.NewArray([]int{n, c.pos, b.slots}, b.LM.Double).Tensor(b.LM.Double)}
	shared := []any{vec.Tensor(b.LM.Double), tensors.FromFlatDataAndDimensions(layer, n), tensors.FromFlatDataAndDimensions(pos, n)}
	for l := c.top; l >= 0; l-- {
		args := append([]any{state[0], state[1]}, shared...)
		out, err := b.step.Call(append(append(args, tensors.FromScalar(int32(l))), b.layerInputs[l]...)...)
		if err != nil {
			return edges, embed, fmt.Errorf("replacement: attribute: %w", err)
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
	if edges, err = gpt2.FromTensor(state[1]); err != nil {
		return edges, embed, err
	}
	embed, err = gpt2.FromTensor(out[0])
	for _, t := range append(state, out...) {
		_ = t.FinalizeAll()
	}
	return edges, embed, err
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
	frozen := b.frozenInputs()
	skips := b.skipTensors()
	for l := range b.LM.Config.Layers {
		weights, err := b.LM.WeightTensors(l, "ln_1.weight", "attn.c_attn.weight", "attn.c_proj.weight")
		if err != nil {
			return err
		}
		in := []any{sources[l], frozen[1+3*l], frozen[2+3*l]}
		for _, w := range weights {
			in = append(in, w)
		}
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
