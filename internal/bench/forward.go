package bench

import (
	"context"

	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// gpt2Suite times one forward pass with logits at each prompt length.
func gpt2Suite(ctx context.Context, r *runner) error {
	m, err := gpt2.Untrained(r.b, r.shape, 1)
	if err != nil {
		return err
	}
	for _, n := range r.cfg.Tokens {
		ids := someTokens(n, r.shape.DVocab)
		err := r.measure(ctx, func(row *Row) (err error) {
			row.Sizes = []Size{{"tokens", n}, {"layers", r.shape.Layers}, {"d_model", r.shape.DModel}, {"d_vocab", r.shape.DVocab}}
			row.Tokens, row.GFLOP = n, forwardGFLOP(r.shape, n)
			row.Times, err = timed(ctx, r.cfg.Reps, func() error {
				_, err := m.RunWithCache(ids)
				return err
			})
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// someTokens is a prompt of that length.
func someTokens(n, vocab int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32((i*7919 + 13) % vocab)
	}
	return ids
}

// forwardGFLOP counts one pass: the four matrices of attention and MLP, scores
// and mixing of attention, and the head.
func forwardGFLOP(c gpt2.Config, tokens int) float64 {
	n, d := float64(tokens), float64(c.DModel)
	return (2*n*c.BlockProducts() + float64(c.Layers)*4*n*n*d + 2*n*d*float64(c.DVocab)) / 1e9
}
