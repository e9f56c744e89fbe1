package naive

import "slices"

// CLT is a cross-layer transcoder, or a per-layer one. Slices are by layer; the
// decoder of a source layer is [F, targets, d], its k-th target the layer k above.
type CLT struct {
	Layers, DModel, Features, K int
	Activation                  string // relu, jumprelu, topk or batchtopk
	Read                        string // site that the encoders read
	PerLayer                    bool
	WEnc, BEnc, Threshold       [][]float64 // [F, d], [F], [F] or none
	WDec, BDec, WSkip           [][]float64 // [F, targets, d], [d], [d, d] or none; a skip adds x·W
}

// Targets is the number of layers that a layer's features write to.
func (c *CLT) Targets(layer int) int {
	if c.PerLayer {
		return 1
	}
	return c.Layers - layer
}

// Encoder is the vector of one feature.
func (c *CLT) Encoder(layer, index int) []float64 { return c.WEnc[layer][index*c.DModel:][:c.DModel] }

// Decoder is what a feature of activation 1 writes to a layer, nil if it writes
// nothing there.
func (c *CLT) Decoder(layer, index, target int) []float64 {
	k := target - layer
	if k < 0 || k >= c.Targets(layer) {
		return nil
	}
	return c.WDec[layer][(index*c.Targets(layer)+k)*c.DModel:][:c.DModel]
}

// Encode gives a layer's pre-activations and activations [T, F] from x [T, d].
func (c *CLT) Encode(layer int, x []float64) (pre, act []float64) {
	for t := range len(x) / c.DModel {
		row := make([]float64, c.Features)
		for f := range row {
			row[f] = c.BEnc[layer][f] + dot(x[t*c.DModel:][:c.DModel], c.Encoder(layer, f))
		}
		pre, act = append(pre, row...), append(act, c.activate(layer, row)...)
	}
	return pre, act
}

// activate applies the activation function to one token's pre-activations [F].
func (c *CLT) activate(layer int, pre []float64) []float64 {
	act := make([]float64, len(pre))
	for f, h := range pre {
		on := h > 0
		switch c.Activation {
		case "topk":
			sorted := slices.Sorted(slices.Values(pre))
			on = on && h >= sorted[len(sorted)-c.K]
		case "jumprelu", "batchtopk":
			on = h > c.Threshold[layer][f]
		}
		if on {
			act[f] = h
		}
	}
	return act
}

// Decode gives, by layer, the estimate [T, d] of the MLP output from activations
// by layer [T, F] and, for a skip, what the layers read [T, d]; nil reads leave
// the skip out.
func (c *CLT) Decode(act, reads [][]float64) [][]float64 {
	out := make([][]float64, c.Layers)
	for l := range out {
		out[l] = c.decode(l, act, reads)
	}
	return out
}

func (c *CLT) decode(layer int, act, reads [][]float64) []float64 {
	d := c.DModel
	y := make([]float64, len(act[0])/c.Features*d)
	for t := range len(y) / d {
		row := y[t*d : (t+1)*d]
		addTo(row, c.BDec[layer], 1)
		for s := 0; s <= layer; s++ {
			for f := range c.Features {
				if w := c.Decoder(s, f, layer); w != nil {
					addTo(row, w, act[s][t*c.Features+f])
				}
			}
		}
		if c.WSkip != nil && reads != nil {
			addTo(row, c.skip(layer, reads[layer][t*d:][:d]), 1)
		}
	}
	return y
}

// skip is x·W_skip.
func (c *CLT) skip(layer int, x []float64) []float64 {
	return linear(x, c.WSkip[layer], make([]float64, c.DModel))
}
