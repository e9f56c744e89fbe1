package clt

import (
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
)

// evalGraph takes the weights and the reads by layer [tokens, d_model], and
// returns by layer the outputs [tokens, d_model], then the tokens on which each
// feature fired [features], then the sums of the activations (scalars).
func (t *Transcoder) evalGraph(inputs []*Node) []*Node {
	enc, dec, reads := t.UnpackNodes(inputs)
	var fired, total []*Node
	act := t.encodeAll(enc, dec, reads)
	for _, a := range act {
		fired = append(fired, ReduceSum(ConvertDType(NotEqual(a, ZerosLike(a)), a.DType()), 0))
		total = append(total, ReduceAllSum(ReduceSum(a, 0)))
	}
	return slices.Concat(t.DecodeNode(act, reads, dec), fired, total)
}

// encodeAll returns the activations of all layers; only at once are they exact for
// globaltopk.
func (t *Transcoder) encodeAll(enc []EncoderNodes, dec []DecoderNodes, reads []*Node) []*Node {
	acts, ranks := make([]*Node, t.Layers), make([]*Node, t.Layers)
	for l, x := range reads {
		if t.Activation != ActGlobalTopK {
			_, acts[l] = t.EncodeNode(x, enc[l])
			continue
		}
		acts[l] = t.PreActivationNode(x, enc[l])
		ranks[l] = Mul(acts[l], ExpandLeftToRank(decoderNorm(dec[l].W), x.Rank()))
	}
	if t.Activation == ActGlobalTopK {
		cut := rowThreshold(Concatenate(ranks, 1), t.Layers*t.K)
		for l, rank := range ranks {
			acts[l] = keep(acts[l], GreaterThan(rank, cut))
		}
	}
	return acts
}

// preGraph takes what evalGraph takes and returns the pre-activations by layer
// [tokens, features].
func (t *Transcoder) preGraph(inputs []*Node) []*Node {
	enc, _, reads := t.UnpackNodes(inputs)
	var pre []*Node
	for l, x := range reads {
		pre = append(pre, t.PreActivationNode(x, enc[l]))
	}
	return pre
}
