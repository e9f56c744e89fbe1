package replacement

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// replaceHook is the hook of the full replacement model; its inputs are the
// transcoder's weights.
func replaceHook(cfg clt.Config, dtype dtypes.DType) func(*Node, []*Node) gpt2.Hook {
	return replaceSome(cfg, dtype, func(int) bool { return true })
}

// replaceSome replaces the MLP outputs of some layers and leaves the others.
func replaceSome(cfg clt.Config, dtype dtypes.DType, which func(layer int) bool) func(*Node, []*Node) gpt2.Hook {
	return func(positions *Node, inputs []*Node) gpt2.Hook {
		enc, dec, _ := cfg.UnpackNodes(inputs)
		return cfg.ReplaceHook(clt.NotFirst(positions, dtype), enc, dec, which)
	}
}

// encoderNodes are one layer's inputs of the clean pass.
type encoderNodes struct{ w, b, skip *Node }

// unpackEncoders reads the inputs that Model.encoderTensors makes.
func unpackEncoders(c clt.Config, in []*Node) (list []encoderNodes, rest []*Node) {
	for range c.Layers {
		e := encoderNodes{w: in[0], b: in[1]}
		in = in[2:]
		if c.Skip {
			e.skip, in = in[0], in[1:]
		}
		list = append(list, e)
	}
	return list, in
}

// localNodes are the activations that make the local replacement model.
type localNodes struct {
	pattern, scale1, scale2, mlpOut, pre, skip []*Node
	scaleF, embed, pos                         *Node
}

// watchHook records them during a clean pass.
func watchHook(c clt.Config, enc []encoderNodes, n *localNodes) gpt2.Hook {
	return func(name gpt2.HookName, x *Node) *Node {
		l, site, ok := name.Split()
		if !ok {
			switch name {
			case gpt2.HookLnFinalScale:
				n.scaleF = x
			case gpt2.HookEmbed:
				n.embed = x
			case gpt2.HookPosEmbed:
				n.pos = x
			}
			return x
		}
		switch site {
		case gpt2.AttnPattern:
			n.pattern = append(n.pattern, x)
		case gpt2.Ln1Scale:
			n.scale1 = append(n.scale1, x)
		case gpt2.Ln2Scale:
			n.scale2 = append(n.scale2, x)
		case gpt2.MLPOut:
			n.mlpOut = append(n.mlpOut, x)
		}
		if site == c.Read {
			h := DotGeneral(x, []int{x.Rank() - 1}, nil, enc[l].w, []int{1}, nil)
			n.pre = append(n.pre, Add(h, ExpandLeftToRank(enc[l].b, h.Rank())))
			if c.Skip {
				n.skip = append(n.skip, skipNode(x, enc[l].skip))
			}
		}
		return x
	}
}

// skipNode is what the skip of a layer makes of what it reads.
func skipNode(read, skip *Node) *Node {
	return DotGeneral(read, []int{read.Rank() - 1}, nil, skip, []int{0}, nil)
}
