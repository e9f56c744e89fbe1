package optim

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// SumScope is the store's scope that holds gradients summed over the parts of a
// batch.
const SumScope = "/gradient_sum"

// PrepareSums creates zero sums for the variables that have none.
func PrepareSums(store *model.Store, vars []*model.Variable) error {
	return prepareZeros(store, vars, func(v *model.Variable) []string { return []string{SumScope + v.Path()} })
}

// Collect adds the gradients of one of parts equal parts of a batch to the sums,
// which are then those of the batch's mean loss.
func Collect(store *model.Store, vars []*model.Variable, loss *Node, parts int) {
	for i, d := range Gradients(vars, loss) {
		sum := store.GetVariable(SumScope + vars[i].Path())
		sum.SetNodeValue(Add(sum.NodeValue(loss.Graph()), DivScalar(d, float64(parts))))
	}
}

// Flush takes the sums as gradients and sets them back to zero.
func Flush(store *model.Store, vars []*model.Variable, g *Graph) []*Node {
	grads := make([]*Node, len(vars))
	for i, v := range vars {
		sum := store.GetVariable(SumScope + v.Path())
		grads[i] = sum.NodeValue(g)
		sum.SetNodeValue(ZerosLike(grads[i]))
	}
	return grads
}
