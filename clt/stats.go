package clt

import (
	"fmt"
	"math"
)

// Stats are the scales of the space of training, by layer: activations times
// their scale have a mean norm of sqrt(d_model), so that all layers weigh alike;
// for outputs TrainConfig.ScaleOut can ask for another unit.
type Stats struct {
	ScaleIn  []float64   `json:"scale_in"`  // [layer] sqrt(d)/mean norm of what is read
	ScaleOut []float64   `json:"scale_out"` // [layer] sqrt(d)/mean norm of the MLP output, or sqrt(d/variance)
	MeanOut  [][]float32 `json:"-"`         // [layer][d_model] mean MLP output, raw
	Tokens   int         `json:"tokens"`    // tokens they were measured on
}

// Measure computes the scales from a sample.
func Measure(c Config, sample []Batch) (*Stats, error) {
	if len(sample) == 0 {
		return nil, fmt.Errorf("clt: measure scales: the sample is empty")
	}
	s := &Stats{ScaleIn: make([]float64, c.Layers), ScaleOut: make([]float64, c.Layers)}
	means := make([][]float64, c.Layers)
	for l := range means {
		means[l] = make([]float64, c.DModel)
	}
	for _, b := range sample {
		if err := b.check(c); err != nil {
			return nil, err
		}
		s.Tokens += b.Tokens(c.DModel)
		for l := range c.Layers {
			s.ScaleIn[l] += sumNorms(b.In[l], c.DModel)
			s.ScaleOut[l] += sumNorms(b.Out[l], c.DModel)
			for i, v := range b.Out[l] {
				means[l][i%c.DModel] += float64(v)
			}
		}
	}
	for l := range c.Layers {
		for _, x := range []struct {
			what string
			sum  *float64
		}{{"what the encoder reads", &s.ScaleIn[l]}, {"the MLP output", &s.ScaleOut[l]}} {
			mean := *x.sum / float64(s.Tokens)
			if !(mean > 0) || math.IsInf(mean, 0) {
				return nil, fmt.Errorf("clt: layer %d: the mean norm of %s is %g, must be positive and finite; check the activations", l, x.what, mean)
			}
			*x.sum = math.Sqrt(float64(c.DModel)) / mean
		}
		m := make([]float32, c.DModel)
		for i, v := range means[l] {
			m[i] = float32(v / float64(s.Tokens))
		}
		s.MeanOut = append(s.MeanOut, m)
	}
	return s, nil
}

// scaleByVariance sets the scales of the outputs so that their mean squared
// distance from their mean is d_model. An output with a large constant part has a
// small scale by its norm, and its error then counts for less than in the NMSE.
func (s *Stats) scaleByVariance(c Config, sample []Batch) error {
	for l, mean := range s.MeanOut {
		sum := 0.0
		for _, b := range sample {
			for i, v := range b.Out[l] {
				e := float64(v) - float64(mean[i%c.DModel])
				sum += e * e
			}
		}
		variance := sum / float64(s.Tokens)
		if !(variance > 0) || math.IsInf(variance, 0) {
			return fmt.Errorf("clt: layer %d: the variance of the MLP output is %g, must be positive and finite; check the activations, or set scale_out to %s", l, variance, ScaleNorm)
		}
		s.ScaleOut[l] = math.Sqrt(float64(c.DModel) / variance)
	}
	return nil
}

// sumNorms adds up the norms of the rows of [tokens, d].
func sumNorms(v []float32, d int) float64 {
	total := 0.0
	for i := 0; i < len(v); i += d {
		sum := 0.0
		for _, x := range v[i : i+d] {
			sum += float64(x) * float64(x)
		}
		total += math.Sqrt(sum)
	}
	return total
}

// fold turns weights of the scaled space into weights of raw space:
//
//	W_enc' = s_in·W_enc   W_dec'[s→t] = W_dec[s→t]/s_out[t]   b_dec' = b_dec/s_out   W_skip' = s_in·W_skip/s_out
//
// b_enc and thresholds stay. unfold is its inverse. foldOwn is fold in the memory
// of the weights, for large ones that nobody else needs.
func (s *Stats) fold(t *Transcoder) *Transcoder {
	return s.rescale(t, func(l int) float64 { return s.ScaleIn[l] }, func(l int) float64 { return 1 / s.ScaleOut[l] })
}

func (s *Stats) foldOwn(t *Transcoder) *Transcoder {
	for l := range t.Layers {
		scaleOwn(t.WEnc[l], s.ScaleIn[l])
		scaleOwn(t.BDec[l], 1/s.ScaleOut[l])
		if t.Skip {
			scaleOwn(t.WSkip[l], s.ScaleIn[l]/s.ScaleOut[l])
		}
		targets := t.Targets(l)
		for lo := 0; lo < len(t.WDec[l]); lo += t.DModel {
			scaleOwn(t.WDec[l][lo:lo+t.DModel], 1/s.ScaleOut[l+lo/t.DModel%targets])
		}
	}
	return t
}

func scaleOwn(v []float32, by float64) {
	for i, x := range v {
		v[i] = float32(float64(x) * by)
	}
}

func (s *Stats) unfold(t *Transcoder) *Transcoder {
	return s.rescale(t, func(l int) float64 { return 1 / s.ScaleIn[l] }, func(l int) float64 { return s.ScaleOut[l] })
}

func (s *Stats) rescale(t *Transcoder, in, out func(layer int) float64) *Transcoder {
	r := &Transcoder{Config: t.Config, BEnc: t.BEnc, Threshold: t.Threshold, Info: t.Info}
	for l := range t.Layers {
		r.WEnc = append(r.WEnc, scaled(t.WEnc[l], in(l)))
		r.BDec = append(r.BDec, scaled(t.BDec[l], out(l)))
		if t.Skip {
			r.WSkip = append(r.WSkip, scaled(t.WSkip[l], in(l)*out(l)))
		}
		w := make([]float32, len(t.WDec[l]))
		targets := t.Targets(l)
		for i, v := range t.WDec[l] {
			w[i] = float32(float64(v) * out(l+i/t.DModel%targets))
		}
		r.WDec = append(r.WDec, w)
	}
	return r
}

func scaled(v []float32, by float64) []float32 {
	out := make([]float32, len(v))
	for i, x := range v {
		out[i] = float32(float64(x) * by)
	}
	return out
}

// scale returns the batch in the space of training.
func (s *Stats) scale(b Batch) Batch {
	var r Batch
	for l := range b.In {
		r.In = append(r.In, scaledFloat32(b.In[l], float32(s.ScaleIn[l])))
		r.Out = append(r.Out, scaledFloat32(b.Out[l], float32(s.ScaleOut[l])))
	}
	return r
}

func scaledFloat32(v []float32, by float32) []float32 {
	out := make([]float32, len(v))
	for i, x := range v {
		out[i] = x * by
	}
	return out
}
