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

// stepGraph returns the [graph] function of one step with a KV cache: either the
// prompt at positions 0, 1, …, or one further token. Inputs: tokens [1, pos],
// positions [pos], last [1] (which of the pos is read), cache [2·layer, key,
// head, d_head], extra... Outputs: logits [d_vocab] after token last, and the
// cache with the new keys and values in place.
func stepGraph(cfg Config, p Program) func(*model.Scope, []*Node) []*Node {
	return func(scope *model.Scope, in []*Node) []*Node {
		tokens, positions, last, cache := in[0], in[1], in[2], in[3]
		dims := cache.Shape().Dimensions
		updated := make([]*Node, 2*cfg.Layers)
		keep := func(name HookName, x *Node) *Node {
			l, site, ok := name.Split()
			if !ok || (site != AttnK && site != AttnV) {
				return x
			}
			i := 2 * l
			if site == AttnV {
				i++
			}
			old := Reshape(Slice(cache, AxisRange(i, i+1)), 1, dims[1], dims[2], dims[3])
			updated[i] = writeKeys(old, x, positions)
			return updated[i]
		}
		none := func(HookName) bool { return false }
		x, pass := forwardBlocks(scope, cfg, tokens, positions, Chain(p.hook(positions, in[4:]), keep),
			reading{none, tokens.Shape().Dimensions[1] > 1})
		x = Gather(Reshape(x, -1, cfg.DModel), InsertAxes(last, -1)) // [1, d_model]
		logits := pass.unembed(pass.finalNorm(InsertAxes(x, 0)))
		return []*Node{Reshape(logits, cfg.DVocab), Concatenate(updated, 0)}
	}
}

// writeKeys puts new keys or values x [1, pos, head, d_head] into the cache old
// [1, key, head, d_head]: a whole prompt at the front, a single token at its
// position. DynamicUpdateSlice would do both, but the Go backend has none.
func writeKeys(old, x, positions *Node) *Node {
	keys, n := old.Shape().Dimensions[1], x.Shape().Dimensions[1]
	switch {
	case n == keys:
		return x
	case n > 1:
		return Concatenate([]*Node{x, Slice(old, AxisRange(), AxisRange(n, keys))}, 1)
	}
	at := Equal(Iota(old.Graph(), shapes.Make(dtypes.Int32, keys), 0), BroadcastToDims(positions, keys))
	at = BroadcastToDims(Reshape(at, 1, keys, 1, 1), old.Shape().Dimensions...)
	return Where(at, BroadcastToDims(x, old.Shape().Dimensions...), old)
}
