package clt

import (
	. "github.com/gomlx/gomlx/core/graph"
)

// encodersGraph takes, by layer, encoder weights, biases and, where there are some,
// thresholds, then the reads by layer [tokens, d_model], and returns the activations
// by layer [tokens, features].
func (t *Transcoder) encodersGraph(inputs []*Node) []*Node {
	var enc []EncoderNodes
	for range t.Layers {
		e := EncoderNodes{W: inputs[0], B: inputs[1]}
		if inputs = inputs[2:]; t.HasThreshold() {
			e.Threshold, inputs = inputs[0], inputs[1:]
		}
		enc = append(enc, e)
	}
	out := make([]*Node, t.Layers)
	for l, x := range inputs {
		_, out[l] = t.EncodeNode(x, enc[l])
	}
	return out
}
