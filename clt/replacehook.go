package clt

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// NotFirst is 0 where the position is 0 and 1 elsewhere: [1, pos, 1].
func NotFirst(positions *Node, dtype dtypes.DType) *Node {
	mask := ConvertDType(GreaterThan(positions, ZerosLike(positions)), dtype)
	return Reshape(mask, 1, mask.Shape().Dimensions[0], 1)
}

// ReplaceHook is the hook of the replacement model: while the language model runs,
// the MLP outputs of the layers that which names become the transcoder's where
// replaced, [1, pos, 1] of 0 and 1, is 1. Weights are by layer.
func (c Config) ReplaceHook(replaced *Node, enc []EncoderNodes, dec []DecoderNodes, which func(layer int) bool) gpt2.Hook {
	features := func(_ int, _, act *Node) *Node { return act }
	return c.RewriteHook(enc, dec, features, func(l int, x *Node, decoded func() *Node) *Node {
		if !which(l) {
			return x
		}
		return Add(x, Mul(replaced, Sub(decoded(), x)))
	})
}

// RewriteHook encodes features while the language model runs, and lets MLP outputs be
// made of what they decode to. features may change a layer's activations, given with
// its pre-activations; output makes a layer's MLP output of the model's own and of the
// transcoder's, which is computed only if it is asked for.
func (c Config) RewriteHook(enc []EncoderNodes, dec []DecoderNodes, features func(layer int, pre, act *Node) *Node,
	output func(layer int, own *Node, decoded func() *Node) *Node) gpt2.Hook {
	decoder := c.NewDecoder(dec)
	return func(name gpt2.HookName, x *Node) *Node {
		l, site, ok := name.Split()
		switch {
		case ok && site == c.Read:
			pre, act := c.EncodeNode(x, enc[l])
			decoder.Add(l, features(l, pre, act), x)
		case ok && site == gpt2.MLPOut:
			return output(l, x, func() *Node { return decoder.Output(l) })
		}
		return x
	}
}
