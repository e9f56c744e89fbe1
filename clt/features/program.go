package features

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// encodeGraph runs the model on tokens [window, pos] and returns the activations of
// every layer's features, [window, pos, features] float32. Inputs: the tokens, then by
// layer the encoder's weights, biases and, where there are some, thresholds.
func encodeGraph(cfg gpt2.Config, t clt.Config) func(*model.Scope, []*Node) []*Node {
	return func(scope *model.Scope, in []*Node) []*Node {
		tokens, in := in[0], in[1:]
		enc := make([]clt.EncoderNodes, t.Layers)
		for l := range enc {
			enc[l] = clt.EncoderNodes{W: in[0], B: in[1]}
			if in = in[2:]; t.HasThreshold() {
				enc[l].Threshold, in = in[0], in[1:]
			}
		}
		out := make([]*Node, t.Layers)
		gpt2.Forward(scope, cfg, tokens, func(name gpt2.HookName, x *Node) *Node {
			if l, site, ok := name.Split(); ok && site == t.Read {
				_, out[l] = t.EncodeNode(ConvertDType(x, dtypes.Float32), enc[l])
			}
			return x
		})
		for l := range out { // the Go backend wants outputs to be the last nodes
			out[l] = Identity(out[l])
		}
		return out
	}
}

// withoutContext is a hook under which a block sees the token embedding alone: no
// position, no attention.
func withoutContext(*Node, []*Node) gpt2.Hook {
	return func(name gpt2.HookName, x *Node) *Node {
		if _, site, ok := name.Split(); name == gpt2.HookPosEmbed || ok && site == gpt2.AttnOut {
			return ZerosLike(x)
		}
		return x
	}
}

// scoresGraph is rows [n, d_model] against a table [vocabulary, d_model]: [n, vocabulary].
func scoresGraph(rows, table *Node) *Node {
	return DotGeneral(rows, []int{1}, nil, table, []int{1}, nil)
}

// logitsGraph is scoresGraph relative to the mean over the vocabulary.
func logitsGraph(rows, table *Node) *Node {
	x := scoresGraph(rows, table)
	return Sub(x, ReduceAndKeep(x, ReduceMean, -1))
}
