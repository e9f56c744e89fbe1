package clt

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"
)

// UnpackNodes sorts the weights of a transcoder that come into a graph as inputs
// in the order of Upload, and returns the inputs that follow them.
func (c Config) UnpackNodes(inputs []*graph.Node) (enc []EncoderNodes, dec []DecoderNodes, rest []*graph.Node) {
	next := func() *graph.Node {
		if len(inputs) == 0 {
			panic(fmt.Errorf("clt: a graph has too few inputs for the weights of a transcoder with %d layers", c.Layers))
		}
		n := inputs[0]
		inputs = inputs[1:]
		return n
	}
	for range c.Layers {
		e := EncoderNodes{W: next(), B: next()}
		if c.HasThreshold() {
			e.Threshold = next()
		}
		d := DecoderNodes{W: next(), B: next()}
		if c.Skip {
			d.Skip = next()
		}
		enc, dec = append(enc, e), append(dec, d)
	}
	return enc, dec, inputs
}
