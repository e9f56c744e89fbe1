package replacement

import (
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// constantsHook leaves of the frozen model nothing but its constants: no
// embeddings, every MLP output the decoder's bias and what the skip makes of these.
// Inputs: frozen part, decoder biases by layer [d_model], skips by layer.
func constantsHook(c clt.Config) func(*Node, []*Node) gpt2.Hook {
	return func(_ *Node, in []*Node) gpt2.Hook {
		f, rest := unpackFrozen(c.Layers, in)
		bias, skips := rest[:c.Layers], rest[c.Layers:]
		var read *Node
		return gpt2.Chain(f.hook(true, true), func(name gpt2.HookName, x *Node) *Node {
			l, site, ok := name.Split()
			switch {
			case name == gpt2.HookEmbed, name == gpt2.HookPosEmbed:
				return ZerosLike(x)
			case ok && site == c.Read:
				read = x
			case ok && site == gpt2.MLPOut:
				y := BroadcastToDims(ExpandLeftToRank(bias[l], 3), x.Shape().Dimensions...)
				if c.Skip {
					y = Add(y, skipNode(read, skips[l]))
				}
				return y
			}
			return x
		})
	}
}
