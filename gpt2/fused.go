package gpt2

import (
	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
)

// The functions of this file use a backend's fused operations where it has them:
// the Go backend runs one pass over memory for what would be three to eight. Other
// backends, which fuse by themselves, get the plain form, and so does a gradient.

// linear is x·w + b on the last axis: [..., in] -> [..., out].
func linear(x, w, b *Node) *Node {
	b.AssertDims(w.Shape().Dimensions[1])
	rows := rowsOf(x)
	if narrow(w, x) {
		return likeRows(plainLinear(rows, w, b), x)
	}
	y, _ := InternalFusedOpCaller(
		func() *Node {
			return BackendFusedDense(rows, w, b, compute.DenseConfig{WeightLayout: compute.DenseLayoutInputOutputs})
		},
		func() *Node { return plainLinear(rows, w, b) }, true)
	return likeRows(y, x)
}

// rowsOf is x [..., in] as [rows, in]: a product of other ranks can take another,
// slow way.
func rowsOf(x *Node) *Node { return Reshape(x, -1, x.Shape().Dimensions[x.Rank()-1]) }

// likeRows is y [rows, out] with the leading axes of x.
func likeRows(y, x *Node) *Node {
	dims := append([]int{}, x.Shape().Dimensions...)
	dims[len(dims)-1] = y.Shape().Dimensions[1]
	return Reshape(y, dims...)
}

func plainLinear(rows, w, b *Node) *Node {
	return Add(product(rows, w), InsertAxes(b, 0))
}

// product is x·w in the type of w, given in that of x: with weights in bfloat16 the
// products are in bfloat16 and all else in float32.
func product(x, w *Node) *Node {
	switch parts := rowParts(x, w); {
	case parts > 1:
		return rowProduct(x, w, parts)
	case !narrow(w, x):
		return Dot(x, w).Product()
	}
	return ConvertDType(Dot(ConvertDType(x, w.DType()), w).Product(), x.DType())
}

// rowPart is how many inputs rowProduct takes at once.
const rowPart = 128

// rowParts is how many parts x·w should be cut into along the inputs. With a single
// row, XLA on the CPU reads matrices with fewer outputs than inputs at three quarters
// of the memory's speed in one piece, and at all of it in pieces.
func rowParts(x, w *Node) int {
	in, out := w.Shape().Dimensions[0], w.Shape().Dimensions[1]
	b := x.Graph().Backend()
	if x.Shape().Dimensions[0] != 1 || out > in || in%rowPart != 0 || narrow(w, x) || !compilesShapes(b) || !b.HasSharedBuffers() {
		return 1
	}
	return in / rowPart
}

// rowProduct is x [1, in] · w [in, out], the sum of that many products over a part of
// the inputs each.
func rowProduct(x, w *Node, parts int) *Node {
	in, out := w.Shape().Dimensions[0], w.Shape().Dimensions[1]
	each := Einsum("pi,pio->po", Reshape(x, parts, in/parts), Reshape(w, parts, in/parts, out))
	return ReduceAndKeep(each, ReduceSum, 0)
}

// narrow says whether a weight has a smaller type than the activations.
func narrow(w, x *Node) bool { return w.DType() != x.DType() }

// split3 is linear with an output that is cut into three equal parts.
func split3(x, w, b *Node) []*Node {
	d := w.Shape().Dimensions[1] / 3
	b.AssertDims(3 * d)
	rows := rowsOf(x)
	bias := func(i int) *Node { return Slice(b, AxisRange(i*d, (i+1)*d)) }
	plain := func() []*Node {
		y := plainLinear(rows, w, b)
		part := func(i int) *Node { return Slice(y, AxisRange(), AxisRange(i*d, (i+1)*d)) }
		return []*Node{part(0), part(1), part(2)}
	}
	if narrow(w, x) {
		parts := plain()
		return []*Node{likeRows(parts[0], x), likeRows(parts[1], x), likeRows(parts[2], x)}
	}
	parts, _ := InternalFusedOpCallerMulti(
		func() []*Node {
			q, k, v := BackendFusedAttentionQKVProjection(rows, w, bias(0), bias(1), bias(2), d, d)
			return []*Node{q, k, v}
		},
		plain, true)
	for i := range parts {
		parts[i] = likeRows(parts[i], x)
	}
	return parts
}

// gelu is the tanh form that GPT-2 was trained with (gelu_new).
func gelu(x *Node) *Node {
	y, _ := InternalFusedOpCaller(
		func() *Node { return BackendFusedGelu(x, false) },
		func() *Node { return plainGelu(x) }, true)
	return y
}

// fusedNorm is layerNorm in one piece, for passes that need nothing of its inside;
// whole is the same by parts.
func fusedNorm(x *Node, eps float64, gain, bias, whole *Node) *Node {
	y, _ := InternalFusedOpCaller(
		func() *Node { return BackendFusedLayerNorm(x, []int{x.Rank() - 1}, eps, gain, bias) },
		func() *Node { return whole }, true)
	return y
}
