package replacement

import (
	"context"
	"fmt"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// Comparison holds the full replacement model against the original, per token.
// Position 0 is never replaced and its prediction is not counted.
type Comparison struct {
	CE         float64 `json:"ce"`          // cross-entropy of the model, nats per token
	CEReplaced float64 `json:"ce_replaced"` // of the full replacement model
	CEZero     float64 `json:"ce_zero"`     // with all MLP outputs zero
	CEMean     float64 `json:"ce_mean"`     // with all MLP outputs at their mean
	KL         float64 `json:"kl"`          // KL(original || replaced), nats per token
	Top1       float64 `json:"top1"`        // positions where both have the same likeliest token, 0-1
	Cosine     float64 `json:"cosine"`      // of the logits, each centred over the vocabulary, mean over tokens
	MSE        float64 `json:"mse"`         // of the logits, mean over vocabulary and tokens
	Tokens     int     `json:"tokens"`

	CENeurons *float64 `json:"ce_neurons,omitempty"` // with the neurons below Baselines.Neurons at zero

	KLLayer []float64 `json:"kl_layer,omitempty"` // [layer] KL with that layer's MLP output alone replaced
}

// Baselines are what a replacement model is held against, beside no MLP outputs.
type Baselines struct {
	MeanOut [][]float32 // [layer][d_model] mean MLP outputs; nil is zero
	Neurons []float64   // [layer] of NeuronThresholds; nil leaves this baseline out
}

// Compare runs the model, its replacement and the baselines on batches of windows
// of one shape.
// byLayer adds KLLayer, which takes a forward pass more for each layer.
func (m *Model) Compare(ctx context.Context, windows gpt2.TokenSource, first, steps int, base Baselines, byLayer bool, report func(done, total int)) (*Comparison, error) {
	neurons := base.Neurons != nil
	exec, err := gpt2.Compiled(m.LM, fmt.Sprintf("compare|%v|%v|%s", byLayer, neurons, m.key), compareGraph(m.LM.Config, m.CLT.Config, neurons, byLayer))
	if err != nil {
		return nil, err
	}
	passes := 4 // the model, its replacement, no MLP outputs, their means
	if neurons {
		passes++
	}
	if byLayer {
		passes += m.LM.Config.Layers
	}
	args, err := m.compareInputs(base)
	if err != nil {
		return nil, err
	}
	var sums []float64
	tokens := 0
	for step := first; step < first+steps; step++ {
		batch, err := windows.Batch(ctx, step)
		if err != nil {
			return nil, err
		}
		if len(batch) == 0 || len(batch[0]) < 3 {
			return nil, fmt.Errorf("replacement: compare: windows need at least 3 tokens; make them longer")
		}
		if err := m.checkWindows(batch); err != nil {
			return nil, err
		}
		for part := range slices.Chunk(batch, m.LM.Config.WindowsPerCall(len(batch), passes*len(batch[0]))) {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			ids := tensors.FromFlatDataAndDimensions(slices.Concat(part...), len(part), len(part[0]))
			out, err := exec.Call(append([]any{ids}, args...)...)
			if err != nil {
				return nil, fmt.Errorf("replacement: compare: %w", err)
			}
			v, err := gpt2.TakeTensor(out[0])
			if err != nil {
				return nil, err
			}
			if sums == nil {
				sums = make([]float64, v.Len())
			}
			for i := range sums {
				sums[i] += v.At(i)
			}
		}
		tokens += len(batch) * (len(batch[0]) - 2)
		if report != nil {
			report(step-first+1, steps)
		}
	}
	if tokens == 0 {
		return nil, fmt.Errorf("replacement: compare: there are no windows; give some")
	}
	for i := range sums {
		sums[i] /= float64(tokens)
	}
	c := &Comparison{CE: sums[0], CEReplaced: sums[1], CEZero: sums[2], CEMean: sums[3],
		KL: sums[4], Top1: sums[5], Cosine: sums[6], MSE: sums[7], Tokens: tokens}
	if sums = sums[8:]; neurons {
		c.CENeurons, sums = &sums[0], sums[1:]
	}
	c.KLLayer = sums
	return c, nil
}

func (m *Model) checkWindows(batch [][]int32) error {
	for _, w := range batch {
		if err := m.LM.CheckTokens(w); err != nil {
			return err
		}
		if len(w) != len(batch[0]) {
			return fmt.Errorf("replacement: compare: windows of %d and %d tokens in one batch; give one length", len(batch[0]), len(w))
		}
	}
	return nil
}

// compareInputs are the inputs of compareGraph after the tokens.
func (m *Model) compareInputs(base Baselines) (args []any, err error) {
	for l := range m.CLT.Layers {
		mean := gpt2.NewArray([]int{m.CLT.DModel}, false)
		if base.MeanOut != nil {
			copy(mean.F32, base.MeanOut[l])
		}
		args = append(args, mean.Tensor(m.LM.Double))
	}
	if base.Neurons != nil {
		args = append(args, gpt2.Array{Shape: []int{len(base.Neurons)}, F64: base.Neurons}.Tensor(m.LM.Double))
	}
	weights, err := m.weights()
	if err != nil {
		return nil, err
	}
	for _, t := range weights {
		args = append(args, t)
	}
	return args, nil
}
