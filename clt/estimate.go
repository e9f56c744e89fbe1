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

	KLSteps   int
	KLBytes   int     // logits of both models and their gradients, and what the way back keeps
	KLFLOP    float64 // matrix products of a KL step: twice those of a step, and thrice the model with its logits
	KLTraffic float64 // that Adam moves in one
}

// WithKL adds the KL steps of a run, each on so many tokens. They run the language
// model (modelFLOP a token for the blocks, vocab logits) as it is and replaced, and
// back through the latter; the loss and the replacement each take a dense step's
// products.
func (e Estimate) WithKL(c Config, tc TrainConfig, tokens int, modelFLOP float64, vocab int) Estimate {
	if tc.KLSteps == 0 {
		return e
	}
	const word = 4
	n := float64(tokens)
	head := 2 * float64(c.DModel) * float64(vocab)
	e.KLSteps = tc.KLSteps
	e.KLFLOP = 2*c.StepFLOP()*n + 3*(modelFLOP+head)*n
	e.KLTraffic = 7 * word * float64(e.Parameters)
	e.KLBytes = tokens / max(1, tc.Accumulate) * word * (5*vocab + 6*c.Layers*c.Features + 16*c.Layers*c.DModel)
	if dense := 7 * word * e.Parameters; e.WeightBytes < dense { // they have no sparse path
		e.WeightBytes = dense
	}
	e.Tokens += tc.KLSteps * tokens
	return e
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

// Bytes is all of it, at its largest.
func (e Estimate) Bytes() int {
	return e.WeightBytes + max(e.BatchBytes, e.KLBytes) + e.DataBytes
}

// Time is that of a device which multiplies matrices at so many FLOP/s and moves
// so many bytes/s, at full use of both.
func (e Estimate) Time(flops, bytes float64) time.Duration {
	step := (e.StepFLOP+e.ModelFLOP)/flops + e.TrafficBytes/bytes
	kl := e.KLFLOP/flops + e.KLTraffic/bytes
	return time.Duration((float64(e.Steps)*step + float64(e.KLSteps)*kl) * float64(time.Second))
}

// String is one line for people.
func (e Estimate) String() string {
	text := fmt.Sprintf("%.3g M parameters; memory about %s: weights, gradients and moments %s, a batch %s, shuffled activations %s; %.3g GFLOP a step and %.3g for the model; %d steps, %.3g M tokens",
		float64(e.Parameters)/1e6, bytesText(e.Bytes()), bytesText(e.WeightBytes), bytesText(e.BatchBytes), bytesText(e.DataBytes),
		e.StepFLOP/1e9, e.ModelFLOP/1e9, e.Steps, float64(e.Tokens)/1e6)
	if e.KLSteps > 0 {
		text += fmt.Sprintf("; then %d KL steps of %.3g GFLOP each, logits and the way back %s", e.KLSteps, e.KLFLOP/1e9, bytesText(e.KLBytes))
	}
	return text
}

// Work is the floating point operations of all steps.
func (e Estimate) Work() float64 {
	return float64(e.Steps)*(e.StepFLOP+e.ModelFLOP) + float64(e.KLSteps)*e.KLFLOP
}

func bytesText(n int) string {
	if n < 1e9 {
		return fmt.Sprintf("%.0f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}
