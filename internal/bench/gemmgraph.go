package bench

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// productGraph is [graph]: the largest entry of a·b. Taking a maximum keeps the
// result small to fetch and the product from being simplified away.
func productGraph(a, b *Node) *Node {
	return ReduceAllMax(Dot(a, b).Product())
}

// productOf is productGraph with the operands in another type.
func productOf(dtype dtypes.DType) func(a, b *Node) *Node {
	return func(a, b *Node) *Node {
		return ConvertDType(productGraph(ConvertDType(a, dtype), ConvertDType(b, dtype)), dtypes.Float32)
	}
}

// moreGraph is [graph]: a vector plus 1, and its first entry.
func moreGraph(v *Node) []*Node {
	more := OnePlus(v)
	return []*Node{more, Reshape(Slice(more, AxisRange(0, 1)))}
}
