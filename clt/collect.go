package clt

import (
	"context"
	"fmt"
	"slices"

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
		b, err := collectBatch(ctx, m, read, batch)
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

func collectBatch(ctx context.Context, m *gpt2.Model, read gpt2.Site, batch [][]int32) (Batch, error) {
	if len(batch) == 0 || len(batch[0]) < 2 {
		return Batch{}, fmt.Errorf("clt: windows of less than two tokens have nothing but position 0; make them longer")
	}
	return collectParts(ctx, m, read, batch, m.Config.WindowsPerCall(len(batch), len(batch[0])))
}

// collectParts runs the model on so many windows at once.
func collectParts(ctx context.Context, m *gpt2.Model, read gpt2.Site, batch [][]int32, windows int) (Batch, error) {
	b := Batch{In: make([][]float32, m.Config.Layers), Out: make([][]float32, m.Config.Layers)}
	for part := range slices.Chunk(batch, windows) {
		if err := ctx.Err(); err != nil {
			return Batch{}, err
		}
		hooks, err := m.RunHooks(gpt2.Program{}, part, "*"+gpt2.HookName(read), "*"+gpt2.HookName(gpt2.MLPOut))
		if err != nil {
			return Batch{}, err
		}
		for l := range m.Config.Layers {
			b.In[l] = withoutFirst(b.In[l], hooks[read.At(l)])
			b.Out[l] = withoutFirst(b.Out[l], hooks[gpt2.MLPOut.At(l)])
		}
	}
	return b, nil
}

// withoutFirst appends [batch, pos, d_model] to dst without position 0.
func withoutFirst(dst []float32, a gpt2.Array) []float32 {
	batch, pos, d := a.Shape[0], a.Shape[1], a.Shape[2]
	v := a.Float32s()
	dst = slices.Grow(dst, batch*(pos-1)*d)
	for i := range batch {
		dst = append(dst, v[(i*pos+1)*d:(i+1)*pos*d]...)
	}
	return dst
}
