package clt

import (
	"context"
	"fmt"

	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// Collect runs the model on batches of windows, from step first on, until there
// are at least so many tokens, and keeps what the encoders read and what the MLPs
// write. Position 0 is left out. report (which may be nil) gets tokens done.
func Collect(ctx context.Context, m *gpt2.Model, read gpt2.Site, windows gpt2.TokenSource, first, tokens int, report func(done int)) (*Activations, int, error) {
	a := &Activations{DModel: m.Config.DModel}
	step := first
	for a.In == nil || a.Len() < tokens {
		batch, err := windows.Batch(ctx, step)
		if err != nil {
			return nil, step, err
		}
		step++
		b, err := collectBatch(m, read, batch)
		if err != nil {
			return nil, step, err
		}
		if err := a.Append(b); err != nil {
			return nil, step, err
		}
		if report != nil {
			report(a.Len())
		}
	}
	return a, step, nil
}

func collectBatch(m *gpt2.Model, read gpt2.Site, batch [][]int32) (Batch, error) {
	if len(batch) == 0 || len(batch[0]) < 2 {
		return Batch{}, fmt.Errorf("clt: windows of less than two tokens have nothing but position 0; make them longer")
	}
	hooks, err := m.RunHooks(gpt2.Program{}, batch, "*"+gpt2.HookName(read), "*"+gpt2.HookName(gpt2.MLPOut))
	if err != nil {
		return Batch{}, err
	}
	var b Batch
	for l := range m.Config.Layers {
		b.In = append(b.In, withoutFirst(hooks[read.At(l)]))
		b.Out = append(b.Out, withoutFirst(hooks[gpt2.MLPOut.At(l)]))
	}
	return b, nil
}

// withoutFirst drops position 0 of [batch, pos, d_model].
func withoutFirst(a gpt2.Array) []float32 {
	batch, pos, d := a.Shape[0], a.Shape[1], a.Shape[2]
	v := a.Float32s()
	out := make([]float32, 0, batch*(pos-1)*d)
	for i := range batch {
		out = append(out, v[(i*pos+1)*d:(i+1)*pos*d]...)
	}
	return out
}
