package replacement

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// localGraph returns the [graph] function of the clean pass. Inputs: encoders,
// tokens [1, pos]. Outputs: logits, final scale, token and position embeddings,
// then for each layer pattern, ln1 scale, ln2 scale, MLP output, pre-activations,
// and with skip what it writes.
func localGraph(cfg gpt2.Config, c clt.Config) func(*model.Scope, []*Node) []*Node {
	return func(scope *model.Scope, in []*Node) []*Node {
		enc, rest := unpackEncoders(c, in)
		var n localNodes
		logits := gpt2.Forward(scope, cfg, rest[0], watchHook(c, enc, &n))
		out := []*Node{logits, n.scaleF, n.embed, n.pos}
		for l := range cfg.Layers {
			out = append(out, n.pattern[l], n.scale1[l], n.scale2[l], n.mlpOut[l], n.pre[l])
			if c.Skip {
				out = append(out, n.skip[l])
			}
		}
		return out
	}
}

// frozen is the frozen part of a local replacement model inside a graph.
type frozen struct {
	pattern []*Node // [1, head, query, key]
	scale1  []*Node // [1, pos, 1]
	scale2  []*Node // [1, pos, 1]
	scaleF  *Node   // [1, pos, 1]
}

// unpackFrozen reads the inputs that Local.frozenInputs makes.
func unpackFrozen(layers int, in []*Node) (frozen, []*Node) {
	f := frozen{scaleF: in[0]}
	in = in[1:]
	for range layers {
		f.pattern, f.scale1, f.scale2 = append(f.pattern, in[0]), append(f.scale1, in[1]), append(f.scale2, in[2])
		in = in[3:]
	}
	return f, in
}

// hook puts the frozen patterns and, if scales is set, divisors in place.
func (f frozen) hook(patterns, scales bool) gpt2.Hook {
	return func(name gpt2.HookName, x *Node) *Node {
		l, site, ok := name.Split()
		switch {
		case ok && patterns && site == gpt2.AttnPattern:
			return BroadcastToDims(f.pattern[l], x.Shape().Dimensions...)
		case ok && scales && site == gpt2.Ln1Scale:
			return BroadcastToDims(f.scale1[l], x.Shape().Dimensions...)
		case ok && scales && site == gpt2.Ln2Scale:
			return BroadcastToDims(f.scale2[l], x.Shape().Dimensions...)
		case scales && name == gpt2.HookLnFinalScale:
			return BroadcastToDims(f.scaleF, x.Shape().Dimensions...)
		}
		return x
	}
}

// affineGraph returns the [graph] function of the frozen model as the affine map
// that it is: from what stands at the embedding and what is written at the MLP
// outputs to the read points and the logits. Inputs: the frozen part, tokens [1,
// pos] (for their shape alone), x0 [batch, pos, d_model], writes by layer [batch,
// pos, d_model], with mids as many again that are added at hook_resid_mid, skip
// weights by layer if the transcoder has them. Outputs: logits, or without head what
// is unembedded, [batch, pos, d_model]; reads by layer, each [batch, pos, ...]. Biases
// of the model are on.
func affineGraph(cfg gpt2.Config, c clt.Config, mids, head bool) func(*model.Scope, []*Node) []*Node {
	return func(scope *model.Scope, in []*Node) []*Node {
		f, rest := unpackFrozen(cfg.Layers, in)
		tokens, x0, writes, rest := rest[0], rest[1], rest[2:2+cfg.Layers], rest[2+cfg.Layers:]
		mid, skips := make([]*Node, cfg.Layers), rest
		if mids {
			mid, skips = rest[:cfg.Layers], rest[cfg.Layers:]
		}
		dims := x0.Shape().Dimensions
		tokens = BroadcastToDims(tokens, dims[0], dims[1])
		reads := make([]*Node, cfg.Layers)
		var last *Node
		write := func(name gpt2.HookName, x *Node) *Node {
			l, site, ok := name.Split()
			if ok && site == gpt2.ResidMid && mid[l] != nil {
				x = Add(x, mid[l])
			}
			switch {
			case name == gpt2.HookEmbed:
				return x0
			case name == gpt2.HookPosEmbed:
				return ZerosLike(x)
			case name == gpt2.HookUnembedPre:
				last = x
			case ok && site == c.Read:
				reads[l] = x
			case ok && site == gpt2.MLPOut:
				y := writes[l]
				if c.Skip {
					y = Add(y, DotGeneral(reads[l], []int{2}, nil, skips[l], []int{0}, nil))
				}
				return y
			}
			return x
		}
		logits := gpt2.Forward(scope, cfg, tokens, gpt2.Chain(f.hook(true, true), write))
		out := []*Node{logits}
		if !head {
			out[0] = Identity(last) // the Go backend trips over an output with dead nodes behind it
		}
		return append(out, reads...)
	}
}
