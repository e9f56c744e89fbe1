package clt

import "slices"

// ActivateHost applies the activation function to one layer's pre-activations
// [tokens, features] on the host; it is Activate for few tokens.
func ActivateHost[T float32 | float64](t *Transcoder, layer int, pre []T) []T {
	act := make([]T, len(pre))
	for lo := 0; lo < len(pre); lo += t.Features {
		row, out := pre[lo:lo+t.Features], act[lo:lo+t.Features]
		var least T
		if t.Activation == ActTopK {
			sorted := slices.Clone(row)
			slices.Sort(sorted)
			least = sorted[len(sorted)-t.K]
		}
		for i, h := range row {
			switch {
			case t.HasThreshold() && h > T(t.Threshold[layer][i]),
				t.Activation == ActReLU && h > 0,
				t.Activation == ActTopK && h > 0 && h >= least:
				out[i] = h
			}
		}
	}
	return act
}
