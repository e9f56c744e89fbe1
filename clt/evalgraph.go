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
	var act, fired, total []*Node
	for l, x := range reads {
		_, a := t.EncodeNode(x, enc[l])
		act = append(act, a)
		fired = append(fired, ReduceSum(ConvertDType(NotEqual(a, ZerosLike(a)), a.DType()), 0))
		total = append(total, ReduceAllSum(ReduceSum(a, 0)))
	}
	return slices.Concat(t.DecodeNode(act, reads, dec), fired, total)
}

// preGraph takes what evalGraph takes and returns the pre-activations by layer
// [tokens, features].
func (t *Transcoder) preGraph(inputs []*Node) []*Node {
	enc, _, reads := t.UnpackNodes(inputs)
	var pre []*Node
	for l, x := range reads {
		pre = append(pre, t.preActivation(x, enc[l]))
	}
	return pre
}
