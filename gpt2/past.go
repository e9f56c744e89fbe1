package gpt2

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// past is the KV cache in a pass over one further token: what the keys and values of
// the tokens before it were, by layer [head, key, d_head], heads in front so that
// products read them as they lie. A key stands at the index that is its position. The
// pass changes nothing in it: attention takes the token's own key and value from the
// side, and whoever runs the program adds them before the next token.
type past struct {
	keys, values []*Node
	own          *Node // [head, 1, key], true at the token's own position
}

// newPast is a cache of 2·layer tensors, the keys first, for a token at a position [1].
func newPast(cache []*Node, position *Node) *past {
	n, dims := len(cache)/2, cache[0].Shape().Dimensions
	at := shapes.Make(dtypes.Int32, dims[0], 1, dims[1])
	own := Equal(Iota(position.Graph(), at, 2), BroadcastToDims(Reshape(position, 1, 1, 1), at.Dimensions...))
	return &past{cache[:n], cache[n:], own}
}

// products are q·k [1, head, 1, key] of layer l; q and k are those of the token.
func (c *past) products(l int, q, k *Node) *Node {
	q, k = headsFirst(q), headsFirst(k)
	before := Einsum("hqd,hkd->hqk", q, c.keys[l])
	self := BroadcastToDims(ReduceAndKeep(Mul(q, k), ReduceSum, -1), before.Shape().Dimensions...)
	return InsertAxes(Where(c.own, self, before), 0)
}

// mix is the mean of layer l's values and the token's own, v, under a pattern [1, head,
// 1, key]: [1, 1, head, d_head].
func (c *past) mix(l int, pattern, v *Node) *Node {
	pattern = Squeeze(pattern, 0)
	none := ZerosLike(pattern)
	self := ReduceAndKeep(Where(c.own, pattern, none), ReduceSum, -1) // [head, 1, 1]
	v = headsFirst(v)
	z := Einsum("hqk,hkd->hqd", Where(c.own, none, pattern), c.values[l])
	z = Add(z, Mul(BroadcastToDims(self, v.Shape().Dimensions...), v))
	return Reshape(z, 1, 1, z.Shape().Dimensions[0], z.Shape().Dimensions[2])
}

// headsFirst is x [1, pos, head, d_head] as [head, pos, d_head].
func headsFirst(x *Node) *Node {
	dims := x.Shape().Dimensions
	if dims[1] == 1 {
		return Reshape(x, dims[2], 1, dims[3])
	}
	return TransposeAllAxes(Reshape(x, dims[1:]...), 1, 0, 2)
}

// promptGraph returns the [graph] function that reads a prompt. Inputs: tokens [1,
// pos], last [1] (which of the pos is read), extra... Outputs: head(the last block's
// output at last) and the keys and values [2·layer, head, pos, d_head], keys first.
func promptGraph(cfg Config, p Program, head headFn) func(*model.Scope, []*Node) []*Node {
	return func(scope *model.Scope, in []*Node) []*Node {
		tokens, last := in[0], in[1]
		positions := positionsOf(tokens)
		seen := map[HookName]*Node{}
		x, pass := forwardBlocks(scope, cfg, tokens, positions, Chain(p.hook(positions, in[2:]), Record(seen)),
			reading{read: nothing, fromStart: true})
		x = Gather(Reshape(x, -1, cfg.DModel), InsertAxes(last, -1)) // [1, d_model]
		return []*Node{head(pass, x), keysAndValues(cfg, seen)}
	}
}

// stepGraph returns the [graph] function that reads one further token on a KV cache.
// Inputs: token [1, 1], position [1], cache (2·layer times [head, key, d_head], keys
// first), extra... Outputs: head(the last block's output), and the token's keys and
// values [2·layer, head, 1, d_head].
func stepGraph(cfg Config, p Program, head headFn) func(*model.Scope, []*Node) []*Node {
	return func(scope *model.Scope, in []*Node) []*Node {
		token, position, extra := in[0], in[1], in[2+2*cfg.Layers:]
		seen := map[HookName]*Node{}
		x, pass := forwardBlocks(scope, cfg, token, position, Chain(p.hook(position, extra), Record(seen)),
			reading{read: nothing, past: newPast(in[2:2+2*cfg.Layers], position)})
		return []*Node{head(pass, Reshape(x, 1, cfg.DModel)), keysAndValues(cfg, seen)}
	}
}

// appendGraph is [graph]: a cache with new keys and values in place. Inputs: those
// [2·layer, head, pos, d_head], the position of their first [1], cache.
func appendGraph(in []*Node) []*Node {
	fresh, position, cache := in[0], Reshape(in[1]), in[2:]
	zero := ScalarZero(fresh.Graph(), dtypes.Int32)
	for i, old := range cache {
		cache[i] = DynamicUpdateSlice(old, Squeeze(Slice(fresh, AxisElem(i)), 0), []*Node{zero, position, zero})
	}
	return cache
}

// keysAndValues are those of a pass [2·layer, head, pos, d_head], keys first.
func keysAndValues(cfg Config, seen map[HookName]*Node) *Node {
	var all []*Node
	for _, site := range []Site{AttnK, AttnV} {
		for l := range cfg.Layers {
			all = append(all, InsertAxes(headsFirst(seen[site.At(l)]), 0))
		}
	}
	return Concatenate(all, 0)
}

// nothing is what a pass of generation reads.
func nothing(HookName) bool { return false }

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
