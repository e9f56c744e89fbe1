package clt

import (
	"cmp"
	"slices"
)

// ActivateAllHost applies the activation function to the pre-activations of all
// layers, [layer][tokens, features], on the host. It is ActivateHost but for
// ActGlobalTopK, which looks at all layers together.
func ActivateAllHost[T float32 | float64](t *Transcoder, pre [][]T) [][]T {
	act := make([][]T, len(pre))
	if t.Activation != ActGlobalTopK {
		for l := range pre {
			act[l] = ActivateHost(t, l, pre[l])
		}
		return act
	}
	norms, _ := t.DecoderNorms() // Err of the transcoder tells
	type candidate struct {
		layer, index int
		rank         float64
	}
	for l := range pre {
		act[l] = make([]T, len(pre[l]))
	}
	for at := 0; at < len(pre[0]); at += t.Features {
		var list []candidate
		for l := range pre {
			for i, h := range pre[l][at : at+t.Features] {
				if h > 0 {
					list = append(list, candidate{l, i, float64(h) * float64(norms[l][i])})
				}
			}
		}
		slices.SortStableFunc(list, func(a, b candidate) int { return cmp.Compare(b.rank, a.rank) })
		for _, c := range list[:min(len(list), t.K*t.Layers)] {
			act[c.layer][at+c.index] = pre[c.layer][at+c.index]
		}
	}
	return act
}

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
				t.Activation == ActTopK && (h > 0 || t.Signed) && h >= least:
				out[i] = h
			}
		}
	}
	return act
}
