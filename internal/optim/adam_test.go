package optim

import (
	"math"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/etredal/cross-layer-transcoder/internal/testbackend"
)

// The loss is c·w² summed, on two variables; the step is compared with AdamW in
// plain float64.
func TestUpdateIsAdamW(t *testing.T) {
	a := Adam{Beta1: 0.9, Beta2: 0.95, Epsilon: 1e-8, ClipNorm: 1, WeightDecay: 0.1, Decays: func(path string) bool { return path == "/w" }}
	const lr, steps = 0.01, 5
	want := map[string][]float64{"w": {1, -2, 3}, "b": {0.5}}
	moments := map[string][]float64{}
	for name, v := range want {
		moments[name+".m"], moments[name+".v"] = make([]float64, len(v)), make([]float64, len(v))
	}
	for step := 1; step <= steps; step++ {
		norm := 0.0
		for _, v := range want {
			for _, x := range v {
				norm += 4 * x * x
			}
		}
		scale := math.Min(1, 1/math.Sqrt(norm))
		for name, v := range want {
			m, s := moments[name+".m"], moments[name+".v"]
			for i, x := range v {
				g := 2 * x * scale
				m[i], s[i] = 0.9*m[i]+0.1*g, 0.95*s[i]+0.05*g*g
				mHat, sHat := m[i]/(1-math.Pow(0.9, float64(step))), s[i]/(1-math.Pow(0.95, float64(step)))
				if name == "w" {
					x -= lr * 0.1 * x
				}
				v[i] = x - lr*mHat/(math.Sqrt(sHat)+1e-8)
			}
		}
	}
	for _, parts := range []int{1, 2} {
		got := descend(t, a, lr, steps, parts)
		for name, v := range want {
			for i, x := range v {
				if math.Abs(got[name][i]-x) > 1e-6 {
					t.Errorf("%d parts: %s[%d] is %.9g after %d steps, want %.9g", parts, name, i, got[name][i], steps, x)
				}
			}
		}
	}
}

// descend runs the steps, at once or with gradients collected in parts.
func descend(t *testing.T, a Adam, lr float32, steps, parts int) map[string][]float64 {
	t.Helper()
	store := model.NewStore()
	var vars []*model.Variable
	for _, v := range []struct {
		name   string
		values []float32
	}{{"w", []float32{1, -2, 3}}, {"b", []float32{0.5}}} {
		created, err := store.CreateVariable(v.name, tensors.FromFlatDataAndDimensions(v.values, len(v.values)))
		if err != nil {
			t.Fatal(err)
		}
		vars = append(vars, created)
	}
	if err := Prepare(store, vars); err != nil {
		t.Fatal(err)
	}
	if err := PrepareSums(store, vars); err != nil {
		t.Fatal(err)
	}
	loss := func(g *Graph) *Node {
		var sum *Node
		for _, v := range vars {
			s := ReduceAllSum(Square(v.NodeValue(g)))
			if sum == nil {
				sum = s
			} else {
				sum = Add(sum, s)
			}
		}
		return sum
	}
	b := testbackend.Open(t, "go")
	program := func(fn func(scope *model.Scope, lr, step *Node) *Node) *model.Exec {
		e, err := model.NewExec(b, store, fn)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	whole := program(func(_ *model.Scope, lr, step *Node) *Node { return a.Update(store, vars, loss(lr.Graph()), lr, step) })
	part := program(func(_ *model.Scope, lr, step *Node) *Node {
		l := loss(lr.Graph())
		Collect(store, vars, l, parts)
		return l
	})
	last := program(func(_ *model.Scope, lr, step *Node) *Node {
		return a.Apply(store, vars, Flush(store, vars, lr.Graph()), lr, step)
	})
	for step := range steps {
		run := []*model.Exec{whole}
		if parts > 1 {
			run = []*model.Exec{part, part, last}
		}
		for _, e := range run {
			if _, err := e.Call(lr, float32(step+1)); err != nil {
				t.Fatal(err)
			}
		}
	}
	out := map[string][]float64{}
	for _, v := range vars {
		value, err := v.Value()
		if err != nil {
			t.Fatal(err)
		}
		flat, err := tensors.CopyFlatData[float32](value)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range flat {
			out[v.Path()[1:]] = append(out[v.Path()[1:]], float64(x))
		}
	}
	return out
}
