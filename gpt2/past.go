package gpt2

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// past is a KV cache in a pass over one further token: keys and values of each
// layer [head, key, d_head], heads in front so that attention reads them as they lie.
// Keys stand at the index that is their position; those not yet written are zero.
type past struct{ keys, values []*Node }

// add writes the key and the value x [1, 1, head, d_head] of the new token into
// those of layer l and returns the whole [head, key, d_head].
func (c *past) add(l int, k, v, positions *Node) (keys, values *Node) {
	c.keys[l] = writeAt(c.keys[l], headsFirst(k), positions)
	c.values[l] = writeAt(c.values[l], headsFirst(v), positions)
	return c.keys[l], c.values[l]
}

// all lists the cache's tensors as programs take and return them.
func (c *past) all() []*Node { return append(append([]*Node{}, c.keys...), c.values...) }

// headsFirst is x [1, pos, head, d_head] as [head, pos, d_head].
func headsFirst(x *Node) *Node {
	dims := x.Shape().Dimensions
	if dims[1] == 1 {
		return Reshape(x, dims[2], 1, dims[3])
	}
	return TransposeAllAxes(Reshape(x, dims[1:]...), 1, 0, 2)
}

// headsLast is x [head, pos, d_head] as [1, pos, head, d_head].
func headsLast(x *Node) *Node {
	dims := x.Shape().Dimensions
	if dims[1] == 1 {
		return Reshape(x, 1, 1, dims[0], dims[2])
	}
	return InsertAxes(TransposeAllAxes(x, 1, 0, 2), 0)
}

// writeAt puts x [head, 1, d_head] into old [head, key, d_head] at a position [1]
// where old is zero.
func writeAt(old, x, position *Node) *Node {
	g, heads := old.Graph(), old.Shape().Dimensions[0]
	if compilesShapes(g.Backend()) {
		zero := ScalarZero(g, dtypes.Int32)
		return DynamicUpdateSlice(old, x, []*Node{zero, Reshape(position), zero})
	}
	// The Go backend has no such operation, but adds in place.
	at := shapes.Make(dtypes.Int32, heads, 1)
	index := Concatenate([]*Node{Iota(g, at, 0), BroadcastToDims(Reshape(position, 1, 1), heads, 1)}, 1) // [head, 2]
	return ScatterSum(old, index, Reshape(x, heads, -1), true, true)
}

// promptGraph returns the [graph] function that reads a prompt and starts a KV cache
// with room for so many keys. Inputs: tokens [1, pos], last [1] (which of the pos is
// read), extra... Outputs: head(the last block's output after token last), then the
// cache.
func promptGraph(cfg Config, p Program, room int, head headFn) func(*model.Scope, []*Node) []*Node {
	return func(scope *model.Scope, in []*Node) []*Node {
		tokens, last := in[0], in[1]
		positions := positionsOf(tokens)
		seen := map[HookName]*Node{}
		x, pass := forwardBlocks(scope, cfg, tokens, positions, Chain(p.hook(positions, in[2:]), Record(seen)),
			reading{read: func(HookName) bool { return false }, fromStart: true})
		x = Gather(Reshape(x, -1, cfg.DModel), InsertAxes(last, -1)) // [1, d_model]
		cache := &past{make([]*Node, cfg.Layers), make([]*Node, cfg.Layers)}
		for l := range cfg.Layers {
			cache.keys[l] = grown(headsFirst(seen[AttnK.At(l)]), room)
			cache.values[l] = grown(headsFirst(seen[AttnV.At(l)]), room)
		}
		return append([]*Node{head(pass, x)}, cache.all()...)
	}
}

// grown is x [head, pos, d_head] with zeros behind, [head, room, d_head].
func grown(x *Node, room int) *Node {
	dims := x.Shape().Dimensions
	if dims[1] == room {
		return x
	}
	return Concatenate([]*Node{x, Zeros(x.Graph(), shapes.Make(x.DType(), dims[0], room-dims[1], dims[2]))}, 1)
}

// stepGraph returns the [graph] function that reads one further token on a KV cache.
// Inputs: token [1, 1], position [1], the cache, extra... Outputs: head(the last
// block's output), then the cache with the token's keys and values in place.
func stepGraph(cfg Config, p Program, head headFn) func(*model.Scope, []*Node) []*Node {
	return func(scope *model.Scope, in []*Node) []*Node {
		token, position, n := in[0], in[1], cfg.Layers
		cache := &past{append([]*Node{}, in[2:2+n]...), append([]*Node{}, in[2+n:2+2*n]...)}
		x, pass := forwardBlocks(scope, cfg, token, position, p.hook(position, in[2+2*n:]),
			reading{read: func(HookName) bool { return false }, past: cache})
		return append([]*Node{head(pass, Reshape(x, 1, cfg.DModel))}, cache.all()...)
	}
}

// headFn is what a pass of generation ends in, given x [1, d_model].
type headFn func(p *pass, x *Node) *Node

// logitsHead are the logits [d_vocab].
func logitsHead(p *pass, x *Node) *Node {
	return Reshape(p.unembed(p.finalNorm(InsertAxes(x, 0))), p.cfg.DVocab)
}

// normHead is what is multiplied by the output head: unembed.hook_pre [d_model].
func normHead(p *pass, x *Node) *Node {
	return Reshape(p.finalNorm(InsertAxes(x, 0)), p.cfg.DModel)
}
