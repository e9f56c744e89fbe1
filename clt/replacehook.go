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
	decoder := c.NewDecoder(dec)
	return func(name gpt2.HookName, x *Node) *Node {
		l, site, ok := name.Split()
		switch {
		case ok && site == c.Read:
			_, act := c.EncodeNode(x, enc[l])
			decoder.Add(l, act, x)
		case ok && site == gpt2.MLPOut && which(l):
			return Add(x, Mul(replaced, Sub(decoder.Output(l), x)))
		}
		return x
	}
}
