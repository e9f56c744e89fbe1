package clt

import (
	. "github.com/gomlx/gomlx/core/graph"
)

// EncoderNodes are the encoder weights of one layer inside a graph.
type EncoderNodes struct {
	W         *Node // [features, d_model]
	B         *Node // [features]
	Threshold *Node // [features]; nil for relu and topk
}

// EncodeNode computes one layer's features from the activations that it reads,
// [..., d_model]: the pre-activations h = W·x + b and the activations, both
// [..., features].
func (c Config) EncodeNode(read *Node, w EncoderNodes) (pre, act *Node) {
	pre = c.preActivation(read, w)
	return pre, c.Activate(pre, w.Threshold)
}

func (c Config) preActivation(read *Node, w EncoderNodes) *Node {
	w.W.AssertDims(c.Features, c.DModel)
	w.B.AssertDims(c.Features)
	h := DotGeneral(read, []int{read.Rank() - 1}, nil, w.W, []int{1}, nil) // [..., features]
	return Add(h, ExpandLeftToRank(w.B, h.Rank()))
}
