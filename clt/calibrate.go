package clt

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// calibrationTokens bounds the tokens that initial biases are measured on.
const calibrationTokens = 2048

// calibrateBiases sets encoder biases so that every feature fires on the given
// fraction of the sample's tokens: b = theta - q, q the quantile 1-rate of W·x
// (Anthropic, January 2025 update; 0 for theta where there is none).
func (t *trainer) calibrateBiases(w *Transcoder, sample []Batch, rate float64) error {
	exec, err := graph.NewExec(t.backend, func(x, w *graph.Node) *graph.Node {
		return graph.DotGeneral(w, []int{1}, nil, x, []int{1}, nil) // [features, tokens]
	})
	if err != nil {
		return fmt.Errorf("clt: calibrate biases: %w", err)
	}
	defer exec.Finalize()
	exec.SetMaxCache(-1)
	for l := range t.cfg.Layers {
		var x []float32
		for _, b := range sample {
			x = append(x, scaledFloat32(b.In[l], float32(t.stats.ScaleIn[l]))...)
		}
		n := min(len(x)/t.cfg.DModel, calibrationTokens)
		read, err := newTensor(dtypes.Float32, x[:n*t.cfg.DModel], []int{n, t.cfg.DModel})
		if err != nil {
			return err
		}
		enc, err := newTensor(dtypes.Float32, w.WEnc[l], []int{t.cfg.Features, t.cfg.DModel})
		if err != nil {
			return err
		}
		out, err := exec.Call(read, enc)
		if err != nil {
			return fmt.Errorf("clt: calibrate biases: %w", err)
		}
		h, err := tensors.CopyFlatData[float32](out[0])
		if err != nil {
			return fmt.Errorf("clt: calibrate biases: %w", err)
		}
		for f := range t.cfg.Features {
			theta := float32(0)
			if t.cfg.Activation == ActJumpReLU {
				theta = w.Threshold[l][f]
			}
			w.BEnc[l][f] = theta - quantileCut(h[f*n:(f+1)*n], rate)
		}
	}
	return nil
}

// quantileCut sorts v and returns a value that round(rate·len) of its entries
// exceed, at least one.
func quantileCut(v []float32, rate float64) float32 {
	slices.Sort(v)
	k := min(max(int(rate*float64(len(v))+0.5), 1), len(v)-1)
	if len(v) < 2 {
		return v[0] - 1
	}
	return (v[len(v)-k] + v[len(v)-k-1]) / 2
}
