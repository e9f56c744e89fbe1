package bench

import (
	"context"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/etredal/cross-layer-transcoder/clt"
)

// activePerLayer is k of the batchtopk rows.
const activePerLayer = 8

// trainSuite times steps of training jumprelu and batchtopk transcoders on
// activations that are in memory, clipping and Adam included; with Scaling also
// over features and tokens. Features that are off cost little on a processor, but
// GFLOP are those of the dense step, so that the share of the matrix product can
// be more than 100 %.
func trainSuite(ctx context.Context, r *runner) error {
	type size struct{ features, batch int }
	sizes := []size{{r.cfg.Features, r.cfg.Batch}}
	if r.cfg.Scaling {
		for _, f := range []int{256, 512, 1024, 2048, 4096} {
			if f != r.cfg.Features {
				sizes = append(sizes, size{f, r.cfg.Batch})
			}
		}
		for _, b := range []int{128, 256, 512, 1024, 2048} {
			if b != r.cfg.Batch {
				sizes = append(sizes, size{r.cfg.Features, b})
			}
		}
	}
	for _, s := range sizes {
		for _, activation := range []string{clt.ActJumpReLU, clt.ActBatchTopK} {
			if r.cfg.Activation != "" && r.cfg.Activation != activation {
				continue
			}
			cfg := clt.DefaultConfig(r.shape.Layers, r.shape.DModel)
			cfg.Features, cfg.Activation = s.features, activation
			if clt.TakesK(activation) {
				cfg.K = min(activePerLayer, s.features)
			}
			if err := trainRow(ctx, r, cfg, s.batch); err != nil {
				return err
			}
		}
	}
	return nil
}

func trainRow(ctx context.Context, r *runner, cfg clt.Config, tokens int) error {
	tc := clt.DefaultTrainConfig()
	tc.Batch, tc.Steps, tc.ReportEvery, tc.Path, tc.Compute = tokens, r.cfg.Reps+1, 1, r.cfg.Path, r.cfg.Compute
	tc.Warmup = min(tc.Warmup, tc.Steps)
	tc.StatTokens = min(tc.StatTokens, tc.Batch)
	batch := randomBatch(cfg, tc.Batch)
	var data iter.Seq2[clt.Batch, error] = func(yield func(clt.Batch, error) bool) {
		for yield(batch, nil) {
		}
	}
	return r.measure(ctx, func(row *Row) error {
		row.What = cfg.Activation
		row.Sizes = []Size{{"batch", tc.Batch}, {"layers", cfg.Layers}, {"d_model", cfg.DModel}, {"features", cfg.Features}}
		row.GFLOP, row.Tokens = stepGFLOP(cfg, tc.Batch), tc.Batch
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
func stepGFLOP(c clt.Config, tokens int) float64 { return float64(tokens) * c.StepFLOP() / 1e9 }
