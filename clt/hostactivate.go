package clt

import "slices"

// ActivateHost applies the activation function to one layer's pre-activations
// [tokens, features] on the host; it is Activate for few tokens.
func (t *Transcoder) ActivateHost(layer int, pre []float32) []float32 {
	act := make([]float32, len(pre))
	for lo := 0; lo < len(pre); lo += t.Features {
		row, out := pre[lo:lo+t.Features], act[lo:lo+t.Features]
		least := float32(0)
		if t.Activation == ActTopK {
			sorted := slices.Clone(row)
			slices.Sort(sorted)
			least = sorted[len(sorted)-t.K]
		}
		for i, h := range row {
			switch {
			case t.HasThreshold() && h > t.Threshold[layer][i],
				t.Activation == ActReLU && h > 0,
				t.Activation == ActTopK && h > 0 && h >= least:
				out[i] = h
			}
		}
	}
	return act
}
