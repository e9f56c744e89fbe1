package gpt2

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// Program describes what a forward pass does beyond computing: a hook built from
// the absolute positions [pos] of the tokens of this pass and from extra inputs.
// Key tells programs of one model apart: equal keys must mean equal hooks. The
// zero Program is the plain model.
type Program struct {
	Key    string
	Inputs []*tensors.Tensor
	Hook   func(positions *Node, inputs []*Node) Hook
}

func (p Program) hook(positions *Node, inputs []*Node) Hook {
	if p.Hook == nil {
		return nil
	}
	return p.Hook(positions, inputs)
}

// positionsOf are the positions of a pass that starts at 0.
func positionsOf(tokens *Node) *Node {
	return Iota(tokens.Graph(), shapes.Make(dtypes.Int32, tokens.Shape().Dimensions[1]), 0)
}

// hooksGraph is cacheGraph without the logits: the pass ends where the last named
// hook stands, as far as the backend drops what nobody asked for.
func hooksGraph(cfg Config, p Program, names []HookName) func(*model.Scope, []*Node) []*Node {
	all := cacheGraph(cfg, p, names)
	return func(scope *model.Scope, in []*Node) []*Node { return all(scope, in)[1:] }
}

// cacheGraph returns the [graph] function that runs the program on inputs
// tokens, extra... and returns the logits, then the named hooks in order.
func cacheGraph(cfg Config, p Program, names []HookName) func(*model.Scope, []*Node) []*Node {
	return func(scope *model.Scope, in []*Node) []*Node {
		seen := map[HookName]*Node{}
		read := func(n HookName) bool { return slices.Contains(names, n) }
		logits := forward(scope, cfg, in[0], Chain(p.hook(positionsOf(in[0]), in[1:]), Record(seen)), read)
		out := []*Node{logits}
		for _, n := range names {
			x, ok := seen[n]
			if !ok {
				panic(fmt.Errorf("gpt2: no hook is named %q", n))
			}
			out = append(out, Identity(x))
		}
		return out
	}
}
