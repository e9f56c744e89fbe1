// Package optim is the optimiser of both trainers: Adam and AdamW with clipping
// by the global norm, on variables of a GoMLX store, so that a checkpoint of the
// store holds the moments too. Files here build graphs and panic with error values.
package optim

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// Adam holds the constants of the update (Kingma and Ba 2014): moments m, v with
// decay Beta1, Beta2; step lr · m̂ / (sqrt(v̂) + Epsilon). With a WeightDecay it is
// AdamW (Loshchilov and Hutter 2019): the weights themselves shrink by
// lr · WeightDecay, which the moments do not see.
type Adam struct {
	Beta1, Beta2, Epsilon float64
	ClipNorm              float64 // gradients are scaled to this global norm at most; 0 for none
	WeightDecay           float64
	Decays                func(path string) bool // which variables decay; nil for all
}

// MomentScope is the store's scope that holds the moments.
const MomentScope = "/adam"

// Update changes the variables by one step on the loss and returns the global
// norm of the gradients before clipping. The learning rate is a scalar node of
// the loss's type; step is a scalar, 1 at the first step.
func (a Adam) Update(store *model.Store, vars []*model.Variable, loss, lr, step *Node) (norm *Node) {
	return a.Apply(store, vars, Gradients(vars, loss), lr, step)
}

// Gradients are those of a scalar loss by the variables.
func Gradients(vars []*model.Variable, loss *Node) []*Node {
	values := make([]*Node, len(vars))
	for i, v := range vars {
		values[i] = v.NodeValue(loss.Graph())
	}
	return Gradient(loss, values...)
}

// Apply is Update with gradients that are there already.
func (a Adam) Apply(store *model.Store, vars []*model.Variable, grads []*Node, lr, step *Node) (norm *Node) {
	g, dtype := lr.Graph(), lr.DType()
	var square *Node
	for _, d := range grads {
		s := ReduceAllSum(Mul(d, d))
		if square == nil {
			square = s
		} else {
			square = Add(square, s)
		}
	}
	norm = Sqrt(AddScalar(square, 1e-30))
	factor := OnesLike(norm)
	if a.ClipNorm > 0 {
		factor = MinScalar(Div(Scalar(g, norm.DType(), a.ClipNorm), norm), 1)
	}
	step = ConvertDType(step, dtype)
	correct1 := OneMinus(Pow(Scalar(g, dtype, a.Beta1), step))
	correct2 := OneMinus(Pow(Scalar(g, dtype, a.Beta2), step))
	rate := Div(Mul(lr, Sqrt(correct2)), correct1)
	epsilon := MulScalar(Sqrt(correct2), a.Epsilon)
	for i, v := range vars {
		d := Mul(grads[i], factor)
		m, s := a.moment(store, v, "m"), a.moment(store, v, "v")
		newM := Add(MulScalar(m.NodeValue(g), a.Beta1), MulScalar(d, 1-a.Beta1))
		newS := Add(MulScalar(s.NodeValue(g), a.Beta2), MulScalar(Mul(d, d), 1-a.Beta2))
		m.SetNodeValue(newM)
		s.SetNodeValue(newS)
		value := v.NodeValue(g)
		if a.WeightDecay > 0 && (a.Decays == nil || a.Decays(v.Path())) {
			value = Mul(value, OneMinus(MulScalar(lr, a.WeightDecay)))
		}
		v.SetNodeValue(Sub(value, Div(Mul(newM, rate), Add(Sqrt(newS), epsilon))))
	}
	return norm
}

func (a Adam) moment(store *model.Store, v *model.Variable, which string) *model.Variable {
	m := store.GetVariable(MomentPath(v, which))
	if m == nil {
		panic(fmt.Errorf("optim: %s has no moments; call Prepare first", v.Path()))
	}
	return m
}

// MomentPath is where the moment "m" or "v" of a variable lives.
func MomentPath(v *model.Variable, which string) string {
	return MomentScope + v.Path() + "." + which
}

// MomentName is the same for a variable that is known by its name, without a
// leading slash.
func MomentName(name, which string) string {
	return MomentScope[1:] + "/" + name + "." + which
}

// Prepare creates zero moments for the variables that have none.
func Prepare(store *model.Store, vars []*model.Variable) error {
	return prepareZeros(store, vars, func(v *model.Variable) []string {
		return []string{MomentPath(v, "m"), MomentPath(v, "v")}
	})
}

// prepareZeros creates variables of zeros, shaped like each of vars, at the paths
// that are not there yet.
func prepareZeros(store *model.Store, vars []*model.Variable, paths func(*model.Variable) []string) error {
	for _, v := range vars {
		for _, path := range paths(v) {
			if store.GetVariable(path) != nil {
				continue
			}
			created, err := store.CreateVariable(path, zeros(v.Shape()))
			if err != nil {
				return fmt.Errorf("optim: %w", err)
			}
			created.SetTrainable(false)
		}
	}
	return nil
}
