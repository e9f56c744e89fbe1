package replacement

import (
	"context"
	"fmt"
	"sort"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// upSource is one source that is carried up.
type upSource struct {
	column int // of a row of the graph
	layer  int // whose MLP output it first writes to; -1 for the embedding
	pos    int
	slot   int  // of its position in builder.sources, or in builder.standing
	spread bool // writes to later layers too
}

// upSources are the sources of the layers up to last, in the order of the columns.
func (b *builder) upSources(last int) []upSource {
	var list []upSource
	layers, length, compat := b.LM.Config.Layers, len(b.Tokens), b.cfg.Compat != ""
	for f, a := range b.Active {
		if a.Layer <= last {
			list = append(list, upSource{f, a.Layer, a.Pos, b.slot[f], b.CLT.Targets(a.Layer) > 1})
		}
	}
	column := len(b.Active)
	for l := range layers {
		for p := range length {
			if l <= last && !(compat && p == 0) { // circuit-tracer has no errors at position 0
				list = append(list, upSource{column, l, p, b.widths[l] - 1, false})
			}
			column++
		}
	}
	for k := range 2 {
		for p := range length {
			if k == 0 || !compat {
				list = append(list, upSource{column, -1, p, k, false})
			}
			column++
		}
	}
	return list
}

// rising is a batch of sources that are carried up together; none of them is at an
// earlier position than start.
type rising struct {
	enter [][]int // layer+1 -> sources; -1 pads
	start int
}

// arrived are sources that were carried up to the cut.
type arrived struct {
	start  int
	lanes  []int           // sources; -1 pads
	stream *tensors.Tensor // [lane, pos-start, d_model], on the device
}

// planUp sorts sources into batches as plan does targets: by position, within a
// range of positions from the bottom up.
func (b *builder) planUp(sources []upSource, groups, cut int) []rising {
	length := b.length()
	byGroup := make([][]int, groups)
	for i, s := range sources {
		g := s.pos * groups / length
		byGroup[g] = append(byGroup[g], i)
	}
	layerOf := func(i int) int { return sources[i].layer + 1 }
	var list []rising
	for g, members := range byGroup {
		sort.SliceStable(members, func(i, j int) bool { return layerOf(members[i]) < layerOf(members[j]) })
		b.split(members, layerOf, func(batch []int) {
			list = append(list, rising{b.entering(batch, cut+2, layerOf), groupStart(g, groups, length)})
		})
	}
	return list
}

// groupStart is the first position of a range of positions, of so many.
func groupStart(g, groups, length int) int { return (length*g + groups - 1) / groups }

// lowTargets are the targets of the layers up to the cut, laid out by position.
type lowTargets struct {
	vec   []gpt2.Array // layer -> [length, slot, d_model]
	keys  [][]int      // layer -> row of position·slots+slot, -1 for none
	slots []int        // by layer
}

func (b *builder) layLow(rows []row, cut int) lowTargets {
	length, d := b.length(), b.CLT.DModel
	var t lowTargets
	for l := range cut + 1 {
		at := make([][]int, length)
		slots := 0
		for i, r := range rows {
			if r.layer == l {
				at[r.pos] = append(at[r.pos], i)
				slots = max(slots, len(at[r.pos]))
			}
		}
		slots = max(8, b.paddedRows(slots))
		vec, keys := gpt2.NewArray([]int{length, slots, d}, b.LM.Double), make([]int, length*slots)
		for i := range keys {
			keys[i] = -1
		}
		for p, list := range at {
			for s, i := range list {
				keys[p*slots+s] = i
				for j, v := range rows[i].vec {
					set(vec, (p*slots+s)*d+j, v)
				}
			}
		}
		t.vec, t.keys, t.slots = append(t.vec, vec), append(t.keys, keys), append(t.slots, slots)
	}
	return t
}

// written are the vectors that some sources write to the MLP output of a layer, -1
// for what stands at the embedding; positions are counted from start.
func (b *builder) written(sources []upSource, lanes []int, layer, start int) entry {
	d, e := b.CLT.DModel, b.newEntry(len(lanes))
	for k, i := range lanes {
		if i < 0 || sources[i].layer > layer || sources[i].layer < layer && !sources[i].spread {
			continue
		}
		s := sources[i]
		e.at[k] = int32(s.pos - start)
		if layer < 0 {
			copyRow(e.vec, k*d, b.standing, (s.pos*2+s.slot)*d, d)
		} else {
			copyRow(e.vec, k*d, b.sources[layer], (s.pos*b.widths[layer]+s.slot)*d, d)
		}
	}
	return e
}

// ascend carries a batch of sources up to hook_resid_post of the layer cut, and gives
// the edges to the targets on the way to edge.
func (b *builder) ascend(ctx context.Context, sources []upSource, c rising, cut int, low lowTargets, edge func(source, row int, w float64)) (a arrived, err error) {
	var stream *tensors.Tensor
	a.start = c.start
	var lanes, single []int
	for l := 0; l <= cut; l++ {
		if err := ctx.Err(); err != nil {
			return a, err
		}
		single = c.enter[l]
		f := form{len(lanes) > 0, len(single) > 0}
		if !f.streams && !f.single {
			continue
		}
		var out []*tensors.Tensor
		all := append(append([]int{}, lanes...), single...)
		if out, err = b.stepUp(f, l, c.start, stream, b.written(sources, single, l-1, c.start), b.written(sources, all, l, c.start), low); err != nil {
			return a, fmt.Errorf("replacement: attribute: layer %d: %w", l, err)
		}
		if stream != nil {
			_ = stream.FinalizeAll()
		}
		stream, lanes = out[0], all
		met, err := gpt2.TakeTensor(out[1])
		if err != nil {
			return a, err
		}
		slots := low.slots[l]
		for at, i := range low.keys[l][c.start*slots:] {
			for k, s := range lanes {
				if i >= 0 && s >= 0 {
					edge(s, i, met.At((at/slots*len(lanes)+k)*slots+at%slots))
				}
			}
		}
	}
	single = c.enter[cut+1]
	a.lanes = append(lanes, single...)
	a.stream, err = b.arrive(form{stream != nil, len(single) > 0}, c.start, stream, b.written(sources, single, cut, c.start))
	return a, err
}

// stepUp runs one layer.
func (b *builder) stepUp(f form, l, start int, stream *tensors.Tensor, single, writes entry, low lowTargets) ([]*tensors.Tensor, error) {
	exec, err := gpt2.Plain(b.LM, "up|"+f.String()+"|"+b.programKey(), upGraph(f))
	if err != nil {
		return nil, err
	}
	value, proj, err := b.hopWeights(l, false)
	if err != nil {
		return nil, err
	}
	pattern := b.dividedPattern(l, start, b.length(), false)
	rows, written := b.inputs(single), b.inputs(writes)
	targets := b.resident(rest(low.vec[l], start))
	defer func() {
		free(pattern, targets)
		free(rows...)
		free(written...)
	}()
	in := []any{pattern, value, proj}
	if f.streams {
		in = append(in, stream)
	}
	if f.single {
		in = append(in, rows...)
	}
	return exec.Call(append(append(in, written...), targets)...)
}

// beginning are the first n of the first axis of an array; it shares memory.
func beginning(a gpt2.Array, n int) gpt2.Array {
	size := a.Len() / a.Shape[0] * n
	r := gpt2.Array{Shape: append([]int{n}, a.Shape[1:]...)}
	if a.F64 != nil {
		r.F64 = a.F64[:size]
	} else {
		r.F32 = a.F32[:size]
	}
	return r
}

// rest is an array from an index of its first axis on; it shares memory.
func rest(a gpt2.Array, start int) gpt2.Array {
	n := a.Len() / a.Shape[0]
	r := gpt2.Array{Shape: append([]int{a.Shape[0] - start}, a.Shape[1:]...)}
	if a.F64 != nil {
		r.F64 = a.F64[start*n:]
	} else {
		r.F32 = a.F32[start*n:]
	}
	return r
}

// arrive turns carried sources to [row, pos, d_model].
func (b *builder) arrive(f form, start int, stream *tensors.Tensor, single entry) (*tensors.Tensor, error) {
	exec, err := gpt2.Plain(b.LM, "arrive|"+f.String()+"|"+b.programKey(), arrivalGraph(f))
	if err != nil {
		return nil, err
	}
	in := []any{make([]int32, b.length()-start)}
	if f.streams {
		in = append(in, stream)
	}
	if f.single {
		rows := b.inputs(single)
		defer free(rows...)
		in = append(in, rows...)
	}
	out, err := exec.Call(in...)
	if err != nil {
		return nil, fmt.Errorf("replacement: attribute: %w", err)
	}
	if stream != nil {
		_ = stream.FinalizeAll()
	}
	return out[0], nil
}
