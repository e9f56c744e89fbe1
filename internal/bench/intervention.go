package bench

import (
	"context"
	"fmt"

	"github.com/etredal/cross-layer-transcoder/clt/replacement"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// interventionSuite times one constrained intervention on a prompt whose clean run
// is kept.
func interventionSuite(ctx context.Context, r *runner) error {
	m, err := gpt2.Untrained(r.b, r.shape, 1)
	if err != nil {
		return err
	}
	for _, n := range r.cfg.Tokens {
		ids := someTokens(n, r.shape.DVocab)
		joined, err := randomReplacement(m, r.cfg.Features, ids)
		if err != nil {
			return err
		}
		defer joined.Close()
		local, err := joined.Localize(ids)
		if err != nil {
			return err
		}
		if len(local.Active) == 0 {
			return fmt.Errorf("bench: no feature is active on %d tokens; give more features", n)
		}
		a := local.Active[len(local.Active)/2]
		edit := replacement.Edit{Feature: a.Feature, Pos: a.Pos, Scale: true, Factor: -1}
		err = r.measure(ctx, func(row *Row) (err error) {
			row.Sizes = []Size{{"tokens", n}, {"layers", r.shape.Layers}, {"d_model", r.shape.DModel}, {"features", r.cfg.Features}}
			row.GFLOP = forwardGFLOP(r.shape, n)
			row.Times, err = timed(ctx, r.cfg.Reps, func() error {
				_, err := local.Intervene(ctx, joined.DefaultInterveneConfig(), edit)
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
