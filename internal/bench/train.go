package bench

import (
	"context"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/etredal/cross-layer-transcoder/clt"
)

// trainSuite times steps of training a JumpReLU transcoder on activations that
// are in memory.
func trainSuite(ctx context.Context, r *runner) error {
	cfg := clt.DefaultConfig(r.shape.Layers, r.shape.DModel)
	cfg.Features = r.cfg.Features
	tc := clt.DefaultTrainConfig()
	tc.Batch, tc.Steps, tc.ReportEvery = r.cfg.Batch, r.cfg.Reps+1, 1
	tc.Warmup = min(tc.Warmup, tc.Steps)
	tc.StatTokens = min(tc.StatTokens, tc.Batch)
	batch := randomBatch(cfg, tc.Batch)
	var data iter.Seq2[clt.Batch, error] = func(yield func(clt.Batch, error) bool) {
		for yield(batch, nil) {
		}
	}
	return r.measure(ctx, func(row *Row) error {
		row.Sizes = []Size{{"batch", tc.Batch}, {"layers", cfg.Layers}, {"d_model", cfg.DModel}, {"features", cfg.Features}}
		row.GFLOP = stepGFLOP(cfg, tc.Batch)
		var all []time.Duration
		last := time.Now()
		_, err := clt.Train(ctx, r.b, cfg, data, tc, func(p clt.Progress) {
			now := time.Now()
			if p.Step == 1 {
				row.Times.First = now.Sub(last) // with compilation and initial statistics
			} else {
				all = append(all, now.Sub(last))
			}
			last = now
		})
		row.Times = withStats(row.Times, all)
		return err
	})
}

// randomBatch is normal noise, read and written alike.
func randomBatch(c clt.Config, tokens int) clt.Batch {
	var b clt.Batch
	rng := rand.New(rand.NewPCG(1, 2))
	for range c.Layers {
		in, out := make([]float32, tokens*c.DModel), make([]float32, tokens*c.DModel)
		for i := range in {
			in[i], out[i] = float32(rng.NormFloat64()), float32(rng.NormFloat64())
		}
		b.In, b.Out = append(b.In, in), append(b.Out, out)
	}
	return b
}

// stepGFLOP counts the dense step: encoder forward and weight gradient, decoder
// forward and both its gradients.
func stepGFLOP(c clt.Config, tokens int) float64 {
	blocks := 0
	for l := range c.Layers {
		blocks += c.Targets(l)
	}
	perBlock := float64(tokens) * float64(c.DModel) * float64(c.Features)
	return (4*float64(c.Layers) + 6*float64(blocks)) * perBlock / 1e9
}
