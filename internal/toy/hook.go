package toy

import (
	"github.com/gomlx/gomlx/core/graph"

	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// ZeroAt is a hook, as a program has it, that sets one activation to zero.
func ZeroAt(name gpt2.HookName) func(*graph.Node, []*graph.Node) gpt2.Hook {
	return func(*graph.Node, []*graph.Node) gpt2.Hook {
		return func(n gpt2.HookName, x *graph.Node) *graph.Node {
			if n == name {
				return graph.ZerosLike(x)
			}
			return x
		}
	}
}
