package clt

import "github.com/etredal/cross-layer-transcoder/gpt2"

// Written is what a feature of activation 1 has written to the residual stream before
// the MLP of a layer, Σ_{l=s}^{before-1} W_dec[s→l]: [d_model].
func (t *Transcoder) Written(f Feature, before int) []float64 {
	sum := make([]float64, t.DModel)
	for k := 0; k < t.Targets(f.Layer) && f.Layer+k < before; k++ {
		for i, w := range t.DecoderVector(f, k) {
			sum[i] += float64(w)
		}
	}
	return sum
}

// DecoderVector is what a feature of activation 1 writes to layer f.Layer+k: [d_model];
// it shares memory.
func (t *Transcoder) DecoderVector(f Feature, k int) []float32 {
	return t.Decoder(f.Layer, f.Index)[k*t.DModel:][:t.DModel]
}

// ReadVector is what a feature reads of hook_resid_mid, as far as no prompt changes
// it: [d_model]. Behind ln_2 that is the encoder times the gain, centred; the divisor
// depends on the prompt and is left out.
func (t *Transcoder) ReadVector(v *gpt2.Vectors, f Feature) []float64 {
	r := make([]float64, t.DModel)
	mean := 0.0
	for i, w := range t.WEnc[f.Layer][f.Index*t.DModel:][:t.DModel] {
		r[i] = float64(w)
		if t.Read == gpt2.MLPIn {
			r[i] *= v.Ln2Gain[f.Layer][i]
		}
		mean += r[i] / float64(t.DModel)
	}
	if t.Read == gpt2.ResidMid {
		return r
	}
	for i := range r {
		r[i] -= mean
	}
	return r
}
