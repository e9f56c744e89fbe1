package clt

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// EncoderNodes are the encoder weights of one layer inside a graph.
type EncoderNodes struct {
	W         *Node // [features, d_model]
	B         *Node // [features]
	Threshold *Node // [features]; nil for relu and topk

	// Bandwidth is the width of the straight-through window in which a jumprelu
	// threshold has a gradient; 0 for none.
	Bandwidth float64

	Product dtypes.DType // type in which products are computed; none for that of the weights
}

// EncodeNode computes one layer's features from the activations that it reads,
// [..., d_model]: the pre-activations h = W·x + b and the activations, both
// [..., features].
func (c Config) EncodeNode(read *Node, w EncoderNodes) (pre, act *Node) {
	pre = c.PreActivationNode(read, w)
	if c.Activation == ActJumpReLU && w.Bandwidth > 0 {
		return pre, jumpReLU(pre, w.Threshold, w.Bandwidth)
	}
	return pre, c.Activate(pre, w.Threshold)
}

// PreActivationNode computes one layer's h = W·x + b, [..., features].
func (c Config) PreActivationNode(read *Node, w EncoderNodes) *Node {
	w.W.AssertDims(c.Features, c.DModel)
	w.B.AssertDims(c.Features)
	h := product(read, read.Rank()-1, w.W, 1, w.Product) // [..., features]
	return Add(h, ExpandLeftToRank(w.B, h.Rank()))
}

// product contracts an axis of a with one of b, after turning both into another
// type if one is given; the result has the type of a.
func product(a *Node, axisA int, b *Node, axisB int, in dtypes.DType) *Node {
	if in == dtypes.InvalidDType || in == a.DType() {
		return DotGeneral(a, []int{axisA}, nil, b, []int{axisB}, nil)
	}
	out := DotGeneral(ConvertDType(a, in), []int{axisA}, nil, ConvertDType(b, in), []int{axisB}, nil)
	return ConvertDType(out, a.DType())
}
