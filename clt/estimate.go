package clt

import (
	"fmt"
	"time"
)

// Estimate is what a training run will take, from its settings alone.
type Estimate struct {
	Parameters    int     // weights that are trained
	WeightBytes   int     // weights, gradients and both moments in float32, and what updating needs on top
	BatchBytes    int     // pre-activations, activations, their gradients, reads and outputs of one part of a batch
	DataBytes     int     // the block of activations that is used, and the next one
	StepFLOP      float64 // matrix products of a step, dense
	ModelFLOP     float64 // of the language model for the tokens of a step
	TrafficBytes  float64 // that Adam moves in a step
	Steps, Tokens int
}

// StepFLOP counts a dense step's matrix products for one token: encoder forward
// and weight gradient, decoder forward and both its gradients; the model's own
// activations need no gradient. It is 396,288·features for 12 layers of width 768.
func (c Config) StepFLOP() float64 {
	blocks := 0
	for l := range c.Layers {
		blocks += c.Targets(l)
	}
	return float64(4*c.Layers+6*blocks) * float64(c.DModel) * float64(c.Features)
}

// EstimateTraining computes what a run takes. modelFLOP is that of the language
// model for one token; shared says that the backend is the host's processor, where
// the sparse path updates weights in place. Elsewhere a step writes new weights and
// moments beside the old ones.
func EstimateTraining(c Config, tc TrainConfig, modelFLOP float64, shared bool) Estimate {
	const word = 4
	e := Estimate{Parameters: c.NumParameters(), Steps: tc.Steps, Tokens: tc.Steps * tc.Batch}
	copies := 4 // w, g, m, v
	if !shared || tc.Path == PathDense {
		copies += 3 // new w, m, v
	}
	if tc.Accumulate > 1 && copies > 4 {
		copies++
	}
	e.WeightBytes = copies * word * e.Parameters
	width := word
	if tc.Compute == ComputeBFloat16 {
		width = 2
		e.WeightBytes += 2 * e.Parameters
	}
	part := tc.Batch / max(1, tc.Accumulate)
	e.BatchBytes = part * (3*c.Layers*c.Features*width + 4*c.Layers*c.DModel*word)
	e.DataBytes = 2 * min(mostBatches*tc.Batch*2*c.Layers*c.DModel*word, blockBytes)
	e.StepFLOP = c.StepFLOP() * float64(tc.Batch)
	e.ModelFLOP = modelFLOP * float64(tc.Batch)
	e.TrafficBytes = 7 * word * float64(e.Parameters)
	return e
}

// Bytes is all of it.
func (e Estimate) Bytes() int { return e.WeightBytes + e.BatchBytes + e.DataBytes }

// Time is that of a device which multiplies matrices at so many FLOP/s and moves
// so many bytes/s, at full use of both.
func (e Estimate) Time(flops, bytes float64) time.Duration {
	step := (e.StepFLOP+e.ModelFLOP)/flops + e.TrafficBytes/bytes
	return time.Duration(float64(e.Steps) * step * float64(time.Second))
}

// String is one line for people.
func (e Estimate) String() string {
	return fmt.Sprintf("%.3g M parameters; memory about %s: weights, gradients and moments %s, a batch %s, shuffled activations %s; %.3g GFLOP a step and %.3g for the model; %d steps, %.3g M tokens",
		float64(e.Parameters)/1e6, bytesText(e.Bytes()), bytesText(e.WeightBytes), bytesText(e.BatchBytes), bytesText(e.DataBytes),
		e.StepFLOP/1e9, e.ModelFLOP/1e9, e.Steps, float64(e.Tokens)/1e6)
}

func bytesText(n int) string {
	if n < 1e9 {
		return fmt.Sprintf("%.0f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}
