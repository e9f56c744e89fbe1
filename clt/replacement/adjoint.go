package replacement

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// form says which rows a step of a sweep has: those that stand at several positions
// already, as whole streams, and those that stand at one position still, which take
// one row of a matrix product instead of one for each position.
type form struct{ streams, single bool }

func (f form) String() string { return fmt.Sprintf("%v,%v", f.streams, f.single) }

// rowNodes are the rows of a step: streams first, then single ones. Positions come
// first everywhere: sources meet the stream position by position, without moving it.
type rowNodes struct {
	streams *Node // [pos, row, d_model]; nil if there are none
	vec     *Node // [row, d_model]; nil if there are none
	at      *Node // [row] int32: the position of each single row; -1 for nowhere
	pos     int
}

// take reads the rows off the inputs of a step.
func (f form) take(pattern *Node, in []*Node) (r rowNodes, rest []*Node) {
	r.pos = pattern.Shape().Dimensions[1]
	if f.streams {
		r.streams, in = in[0], in[1:]
	}
	if f.single {
		r.vec, r.at, in = in[0], in[1], in[2:]
	}
	return r, in
}

// place puts vectors [row, d_model] at their positions: [pos, row, d_model], zero
// elsewhere.
func place(vec, at *Node, pos int) *Node {
	return Mul(InsertAxes(TransposeAllAxes(oneHot(at, pos, vec.DType()), 1, 0), -1), InsertAxes(vec, 0))
}

// oneHot is [row, pos]: one at the position of each row.
func oneHot(at *Node, pos int, dtype dtypes.DType) *Node {
	n := at.Shape().Dimensions[0]
	positions := Iota(at.Graph(), shapes.Make(dtypes.Int32, n, pos), 1)
	return ConvertDType(Equal(positions, BroadcastToDims(InsertAxes(at, -1), n, pos)), dtype)
}

// putAt adds vectors [row, d_model], zero for rows without one, at their positions to
// streams [pos, row, d_model].
func putAt(streams, vec, at *Node) *Node {
	rows := Iota(at.Graph(), at.Shape(), 0)
	where := Stack([]*Node{MaxScalar(at, 0), rows}, -1)
	return ScatterSum(streams, where, vec, false, true)
}

// whole is all rows as streams [pos, row, d_model].
func (r rowNodes) whole() *Node {
	switch {
	case r.vec == nil:
		return r.streams
	case r.streams == nil:
		return place(r.vec, r.at, r.pos)
	}
	return Concatenate([]*Node{r.streams, place(r.vec, r.at, r.pos)}, 1)
}

// hop is the attention of one layer with frozen pattern and frozen divisor, in one
// of its two directions: forward, or transposed for what is carried back. The
// divisor is in the pattern; gain and centring of ln_1 are in the value matrix.
type hop struct {
	pattern *Node // [head, to, from]
	in, out *Node // [from, to] of the matrix, or [to, from] if turned
	turned  bool
}

func (h hop) product(x, w *Node) *Node {
	if h.turned {
		return DotGeneral(x, []int{1}, nil, w, []int{1}, nil)
	}
	return DotGeneral(x, []int{1}, nil, w, []int{0}, nil)
}

// carry takes rows through the attention and adds what comes out to them: [pos,
// row, d_model].
func (h hop) carry(r rowNodes) *Node {
	heads, d := h.pattern.Shape().Dimensions[0], h.in.Shape().Dimensions[0]
	width := d / heads
	var mixed []*Node
	if r.streams != nil {
		n := r.streams.Shape().Dimensions[1]
		z := Reshape(h.product(Reshape(r.streams, r.pos*n, d), h.in), r.pos, n, heads, width)
		z = Reshape(TransposeAllAxes(z, 2, 0, 1, 3), heads, r.pos, n*width)
		z = Reshape(DotGeneral(h.pattern, []int{2}, []int{0}, z, []int{1}, []int{0}), heads, r.pos, n, width)
		mixed = append(mixed, Reshape(TransposeAllAxes(z, 1, 2, 0, 3), r.pos, n, d))
	}
	if r.vec != nil {
		n := r.vec.Shape().Dimensions[0]
		z := Reshape(h.product(r.vec, h.in), 1, n, heads, width)
		p := DotGeneral(oneHot(r.at, r.pos, r.vec.DType()), []int{1}, nil, h.pattern, []int{2}, nil) // [row, head, to]
		mixed = append(mixed, Reshape(Mul(InsertAxes(TransposeAllAxes(p, 2, 0, 1), -1), z), r.pos, n, d))
	}
	v := mixed[0]
	if len(mixed) == 2 {
		v = Concatenate(mixed, 1)
	}
	n := v.Shape().Dimensions[1]
	return Add(r.whole(), Reshape(h.product(Reshape(v, r.pos*n, d), h.out), r.pos, n, d))
}

// downGraph returns the [graph] function of one layer of the sweep that carries
// targets down (method: Anthropic 2025, "Circuit Tracing", attribution graphs;
// written out for GPT-2). The weights are inputs too, so that one compiled program
// serves all layers and all prompts of a bucket.
//
// Inputs: pattern [head, key, query] over the ln_1 divisor of the key; W_O and the
// value matrix, see hop; streams at hook_resid_post of the layer, if there are any;
// the targets that enter at its hook_resid_mid, if there are any; with streams what
// every source writes to its MLP output, [pos, slot, d_model], and with skip the ln_2
// divisor [1, length, 1], the gain [d_model] and the skip [d_model, d_model].
// Outputs: the rows at hook_resid_pre, and with streams their edges [pos, row, slot].
func downGraph(c clt.Config, f form, turned bool) func([]*Node) []*Node {
	return func(in []*Node) []*Node {
		h := hop{pattern: in[0], in: in[1], out: in[2], turned: turned}
		r, rest := f.take(h.pattern, in[3:])
		if !f.streams {
			return []*Node{h.carry(r)}
		}
		// The stream after the block reads the MLP output as it is.
		edges := contract(r.streams, rest[0])
		if c.Skip {
			read := DotGeneral(r.streams, []int{2}, nil, rest[3], []int{1}, nil)
			scale := TransposeAllAxes(first(rest[1], 1, r.pos), 1, 0, 2)
			r.streams = Add(r.streams, readTranspose(c, read, rest[2], scale))
		}
		return []*Node{h.carry(r), edges}
	}
}

// upGraph returns the [graph] function of one layer of the sweep that carries
// sources up.
//
// Inputs: pattern [head, query, key] over the ln_1 divisor of the key; value matrix
// and W_O, see hop; streams at hook_resid_pre of the layer, if there are any, and
// rows that stand at one position there, if there are any; what the rows write to the
// layer's MLP output [row, d_model] and where [row]; the targets at its
// hook_resid_mid [pos, slot, d_model]. Outputs: the rows at hook_resid_post, and the
// edges [pos, row, slot].
func upGraph(f form) func([]*Node) []*Node {
	return func(in []*Node) []*Node {
		h := hop{pattern: in[0], in: in[1], out: in[2]}
		r, rest := f.take(h.pattern, in[3:])
		mid := h.carry(r)
		return []*Node{putAt(mid, rest[0], rest[1]), contract(mid, rest[2])}
	}
}

// meetGraph returns the [graph] function that contracts rows that were carried down,
// [row, pos, d_model] at the first positions, with sources that were carried up,
// [source, pos, d_model] at the last of length positions: [row, source].
func meetGraph(length int) func(down, up *Node) *Node {
	return func(down, up *Node) *Node {
		end := down.Shape().Dimensions[1]
		start := length - up.Shape().Dimensions[1]
		flat := func(x *Node) *Node { return Reshape(x, x.Shape().Dimensions[0], -1) }
		if start > 0 {
			down = SliceAxis(down, 1, AxisRange(start, end))
		}
		return DotGeneral(flat(down), []int{1}, nil, flat(first(up, 1, end-start)), []int{1}, nil)
	}
}

// turnGraph returns the [graph] function that turns streams [pos, row, d_model] for
// meetGraph: [row, pos, d_model], with zeros up to least positions.
func turnGraph(least int) func(*Node) *Node {
	return func(x *Node) *Node {
		if n := least - x.Shape().Dimensions[0]; n > 0 {
			x = Pad(x, ScalarZero(x.Graph(), x.DType()), PadAxis{End: n})
		}
		return TransposeAllAxes(x, 1, 0, 2)
	}
}

// arrivalGraph returns the [graph] function that gathers carried sources for
// meetGraph: [row, pos, d_model]. Inputs: positions [pos] for their number, then the
// rows.
func arrivalGraph(f form) func([]*Node) []*Node {
	return func(in []*Node) []*Node {
		var r rowNodes
		r, _ = f.take(InsertAxes(in[0], 0), in[1:])
		return []*Node{TransposeAllAxes(r.whole(), 1, 0, 2)}
	}
}

// first is the beginning of an axis.
func first(x *Node, axis, n int) *Node {
	if x.Shape().Dimensions[axis] == n {
		return x
	}
	return SliceAxis(x, axis, AxisRange(0, n))
}

// contract is the scalar product of the stream [pos, row, d_model] with each
// source [pos, slot, d_model] of the same position: [pos, row, slot].
func contract(stream, sources *Node) *Node {
	return DotGeneral(stream, []int{2}, []int{0}, sources, []int{2}, []int{0})
}

// contractGraph contracts with the sources at the embedding [length, slot,
// d_model]: [pos, row, slot].
func contractGraph(stream, sources *Node) *Node {
	return contract(stream, first(sources, 0, stream.Shape().Dimensions[0]))
}

// normTranspose is the transpose of a LayerNorm with a frozen divisor [pos, 1, 1]:
// times gain, divided, centred. Nil gain is one.
func normTranspose(x, gain, scale *Node) *Node {
	if gain != nil {
		x = Mul(x, ExpandLeftToRank(gain, x.Rank()))
	}
	x = Div(x, scale)
	return Sub(x, ReduceAndKeep(x, ReduceMean, -1))
}

// readTranspose carries vectors at the encoder's read point to hook_resid_mid.
func readTranspose(c clt.Config, x, gain, scale *Node) *Node {
	switch c.Read {
	case gpt2.MLPIn:
		return normTranspose(x, gain, scale)
	case gpt2.Ln2Normalized:
		return normTranspose(x, nil, scale)
	}
	return x
}
