package attribution

import (
	"fmt"
	"math"
)

// MaxBytes is the budget of a graph's weights unless another one is given: 2 GiB.
const MaxBytes = 2 << 30

// MaxNodes is the largest graph that is read from a file: its weights in float32
// take MaxBytes.
const MaxNodes = 23170

// MatrixBytes is the memory of the dense weights of so many nodes: nodes² × 4 bytes,
// or × 8 in float64.
func MatrixBytes(nodes int, double bool) int64 {
	size := int64(4)
	if double {
		size = 8
	}
	if nodes > math.MaxInt32 {
		return math.MaxInt64
	}
	return int64(nodes) * int64(nodes) * size
}

// CheckSize refuses a graph whose weights would take more than the budget, in bytes
// (0 for MaxBytes), before they are allocated.
func CheckSize(nodes int, double bool, budget int64) error {
	if budget == 0 {
		budget = MaxBytes
	}
	if need := MatrixBytes(nodes, double); need > budget {
		return fmt.Errorf("attribution: a graph of %d nodes takes %s of edges, the budget is %s; have fewer features, or prune it first", nodes, mib(need), mib(budget))
	}
	return nil
}

// mib is a number of bytes for people.
func mib(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
