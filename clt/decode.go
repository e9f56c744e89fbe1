package clt

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// DecoderNodes are the weights of one layer's decoders inside a graph. W belongs
// to the layer as a source; the bias and the skip to the layer as a target.
type DecoderNodes struct {
	W    *Node // [features, targets, d_model]
	B    *Node // [d_model]
	Skip *Node // [d_model, d_model]; nil without skip

	Product dtypes.DType // see EncoderNodes
}

// Decoder adds up what the features of all layers write while a graph is built,
// layer by layer, so that it works inside a forward pass.
type Decoder struct {
	cfg   Config
	w     []DecoderNodes
	sums  []*Node // target layer -> [..., d_model], nil while nothing writes to it
	reads []*Node // layer -> what its skip reads
}

// NewDecoder starts a decoder; w has one entry per layer.
func (c Config) NewDecoder(w []DecoderNodes) *Decoder {
	if len(w) != c.Layers {
		panic(fmt.Errorf("clt: decoder weights of %d layers, config has %d", len(w), c.Layers))
	}
	return &Decoder{cfg: c, w: w, sums: make([]*Node, c.Layers), reads: make([]*Node, c.Layers)}
}

// Add takes one layer's activations [..., features] and what the layer read
// [..., d_model] (used by the skip alone; nil without). One GEMM computes what
// the features write to all their targets.
func (d *Decoder) Add(layer int, act, read *Node) {
	out := d.cfg.write(layer, act, d.w[layer].W, d.w[layer].Product)
	d.reads[layer] = read
	last := out.Rank() - 2
	for k := range d.cfg.Targets(layer) {
		part := Squeeze(SliceAxis(out, last, AxisElem(k)), last)
		if d.sums[layer+k] == nil {
			d.sums[layer+k] = part
		} else {
			d.sums[layer+k] = Add(d.sums[layer+k], part)
		}
	}
}

// WriteNode is what one layer's features write: activations [..., features]
// times decoders [features, targets, d_model] give [..., targets, d_model].
func (c Config) WriteNode(layer int, act, w *Node) *Node {
	return c.write(layer, act, w, dtypes.InvalidDType)
}

func (c Config) write(layer int, act, w *Node, in dtypes.DType) *Node {
	targets := c.Targets(layer)
	w.AssertDims(c.Features, targets, c.DModel)
	flat := Reshape(w, c.Features, targets*c.DModel)
	out := product(act, act.Rank()-1, flat, 0, in)
	dims := append(append([]int{}, act.Shape().Dimensions[:act.Rank()-1]...), targets, c.DModel)
	return Reshape(out, dims...)
}

// Output is the transcoder's estimate of the MLP output of a layer, [..., d_model]:
//
//	y[t] = Σ_{s≤t} a[s]·W_dec[s→t] + b_dec[t] (+ x[t]·W_skip[t])
//
// of the layers that were added so far.
func (d *Decoder) Output(layer int) *Node {
	y := d.sums[layer]
	if y == nil {
		panic(fmt.Errorf("clt: decode layer %d: no features were added that write to it", layer))
	}
	y = Add(y, ExpandLeftToRank(d.w[layer].B, y.Rank()))
	if d.cfg.Skip {
		read := d.reads[layer]
		if read == nil {
			panic(fmt.Errorf("clt: decode layer %d: a transcoder with skip needs what the layer read", layer))
		}
		y = Add(y, DotGeneral(read, []int{read.Rank() - 1}, nil, d.w[layer].Skip, []int{0}, nil))
	}
	return y
}

// DecodeNode decodes all layers at once: activations by layer [..., features] and
// reads by layer (nil without skip) give outputs by layer [..., d_model].
func (c Config) DecodeNode(acts, reads []*Node, w []DecoderNodes) []*Node {
	d := c.NewDecoder(w)
	for l, a := range acts {
		var read *Node
		if c.Skip {
			read = reads[l]
		}
		d.Add(l, a, read)
	}
	outs := make([]*Node, c.Layers)
	for l := range outs {
		outs[l] = d.Output(l)
	}
	return outs
}
