package replacement

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// notFirst is 0 where the position is 0 and 1 elsewhere: [1, pos, 1].
func notFirst(positions *Node, dtype dtypes.DType) *Node {
	mask := ConvertDType(GreaterThan(positions, ZerosLike(positions)), dtype)
	return Reshape(mask, 1, mask.Shape().Dimensions[0], 1)
}

// replaceHook is the hook of the full replacement model; its inputs are the
// transcoder's weights.
func replaceHook(cfg clt.Config, dtype dtypes.DType) func(*Node, []*Node) gpt2.Hook {
	return func(positions *Node, inputs []*Node) gpt2.Hook {
		enc, dec, _ := cfg.UnpackNodes(inputs)
		decoder := cfg.NewDecoder(dec)
		replaced := notFirst(positions, dtype)
		return func(name gpt2.HookName, x *Node) *Node {
			l, site, ok := name.Split()
			switch {
			case ok && site == cfg.Read:
				_, act := cfg.EncodeNode(x, enc[l])
				decoder.Add(l, act, x)
			case ok && site == gpt2.MLPOut:
				return Add(x, Mul(replaced, Sub(decoder.Output(l), x)))
			}
			return x
		}
	}
}

// localNodes are the activations that make the local replacement model.
type localNodes struct {
	pattern, scale1, scale2, mlpOut, recon, pre, act, skip []*Node
	scaleF                                                 *Node
}

// watchHook records them during a clean pass. Features at position 0 are zero.
func watchHook(cfg clt.Config, positions *Node, enc []clt.EncoderNodes, dec []clt.DecoderNodes, n *localNodes) gpt2.Hook {
	decoder := cfg.NewDecoder(dec)
	return func(name gpt2.HookName, x *Node) *Node {
		l, site, ok := name.Split()
		if !ok {
			if name == gpt2.HookLnFinalScale {
				n.scaleF = x
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
			n.recon = append(n.recon, decoder.Output(l))
		}
		if site == cfg.Read {
			pre, act := cfg.EncodeNode(x, enc[l])
			keep := notFirst(positions, x.DType())
			act = Mul(act, keep)
			n.pre, n.act = append(n.pre, pre), append(n.act, act)
			decoder.Add(l, act, x)
			if cfg.Skip {
				n.skip = append(n.skip, skipNode(x, dec[l]))
			}
		}
		return x
	}
}

// skipNode is what the skip of a layer makes of what it reads.
func skipNode(read *Node, dec clt.DecoderNodes) *Node {
	return DotGeneral(read, []int{read.Rank() - 1}, nil, dec.Skip, []int{0}, nil)
}
