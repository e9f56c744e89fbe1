package bench

import . "github.com/gomlx/gomlx/core/graph"

// productGraph is [graph]: the largest entry of a·b. Taking a maximum keeps the
// result small to fetch and the product from being simplified away.
func productGraph(a, b *Node) *Node {
	return ReduceAllMax(Dot(a, b).Product())
}
