package bench

import (
	"context"

	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// What is generated, as the peers are timed.
const (
	generatePrompt = 16
	generateNew    = 50
)

// generateSuite times greedy generation with a KV cache. Each token reads all weights,
// so that memory and not arithmetic is the limit.
func generateSuite(ctx context.Context, r *runner) error {
	m, err := gpt2.Untrained(r.b, r.shape, 1)
	if err != nil {
		return err
	}
	prompt := min(generatePrompt, r.shape.Context/2)
	cfg := gpt2.DefaultGenerateConfig()
	cfg.N = min(generateNew, r.shape.Context-prompt)
	ids := someTokens(prompt, r.shape.DVocab)
	return r.measure(ctx, func(row *Row) (err error) {
		row.Sizes = []Size{{"prompt", prompt}, {"new", cfg.N}, {"layers", r.shape.Layers}, {"d_model", r.shape.DModel}}
		row.Tokens = cfg.N
		row.GFLOP = forwardGFLOP(r.shape, prompt)
		for i := range cfg.N - 1 { // one token that looks at those before it
			row.GFLOP += stepGFLOPAt(r.shape, prompt+i+1)
		}
		weights := newWeightReader(m)
		row.ReadGB = float64(cfg.N) * weights.bytes / 1e9
		before, err := weights.speed(ctx)
		if err != nil {
			return err
		}
		row.Times, err = timed(ctx, r.cfg.Reps, func() error {
			_, err := m.Generate(ctx, gpt2.Program{}, ids, cfg, nil)
			return err
		})
		if err != nil {
			return err
		}
		after, err := weights.speed(ctx)
		row.Memory = max(before, after)
		return err
	})
}

// stepGFLOPAt counts one token with so many in the cache, itself included.
func stepGFLOPAt(c gpt2.Config, tokens int) float64 {
	d := float64(c.DModel)
	return (2*c.BlockProducts() + float64(c.Layers)*4*float64(tokens)*d + 2*d*float64(c.DVocab)) / 1e9
}

// hooksSuite times one forward pass that keeps every activation.
func hooksSuite(ctx context.Context, r *runner) error {
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
				_, err := m.RunWithCache(ids, "*")
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
