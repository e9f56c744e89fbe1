package clt

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"

	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// Collect runs the model on batches of windows, from step first on, until there
// are at least so many tokens, and keeps what the encoders read and what the MLPs
// write. Position 0 is left out. report (which may be nil) gets tokens done.
func Collect(ctx context.Context, m *gpt2.Model, read gpt2.Site, windows gpt2.TokenSource, first, tokens int, report func(done int)) (*Activations, int, error) {
	a := &Activations{DModel: m.Config.DModel}
	step := first
	for a.In == nil || a.Len() < tokens {
		if err := ctx.Err(); err != nil {
			return nil, step, err
		}
		batch, err := windows(step)
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

// blockBytes bounds the memory of a shuffled block.
const blockBytes = 512 << 20

// Stream yields shuffled batches of size tokens without end, computing the
// model's activations as it goes: block after block is collected and its tokens
// are drawn in an order that depends on the seed and the block. It starts after
// the first skip batches. The same model, windows and seed give the same batches.
// report (which may be nil) gets the tokens of the block that is being collected.
func Stream(ctx context.Context, m *gpt2.Model, read gpt2.Site, windows gpt2.TokenSource, size int, seed uint64, skip int, report func(done, total int)) iter.Seq2[Batch, error] {
	perToken := 2 * m.Config.Layers * m.Config.DModel * 4
	batches := max(1, min(64, blockBytes/max(1, perToken*size)))
	return func(yield func(Batch, error) bool) {
		perWindow, err := tokensPerStep(windows)
		if err != nil {
			yield(Batch{}, err)
			return
		}
		steps := (batches*size + perWindow - 1) / perWindow // steps of windows per block
		for block := skip / batches; ; block++ {
			a, _, err := Collect(ctx, m, read, windows, block*steps, batches*size, func(done int) {
				if report != nil {
					report(min(done, batches*size), batches*size)
				}
			})
			if err != nil {
				yield(Batch{}, err)
				return
			}
			order := rand.New(rand.NewPCG(seed, uint64(block))).Perm(a.Len())
			first := 0
			if block == skip/batches {
				first = skip % batches
			}
			for i := first; i < batches; i++ {
				if !yield(a.gather(order[i*size:(i+1)*size]), nil) {
					return
				}
			}
		}
	}
}

// tokensPerStep is how many tokens one step of windows gives, position 0 left out.
func tokensPerStep(windows gpt2.TokenSource) (int, error) {
	batch, err := windows(0)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, w := range batch {
		n += len(w) - 1
	}
	if n < 1 {
		return 0, fmt.Errorf("clt: the windows have no tokens beyond position 0; make them longer")
	}
	return n, nil
}
