package bench

import (
	"context"
	"fmt"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/clt/replacement"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// wantActive is how many features per token, over all layers, the random
// transcoder of the suite has active, roughly.
const wantActive = 40

// attributionSuite times a whole graph: clean run, sweeps over all active features
// and top logits, row identity.
func attributionSuite(ctx context.Context, r *runner) error {
	m, err := gpt2.Untrained(r.b, r.shape, 1)
	if err != nil {
		return err
	}
	joined, err := randomReplacement(m, r.cfg.Features)
	if err != nil {
		return err
	}
	defer joined.Close()
	for _, n := range r.cfg.Tokens {
		ids := someTokens(n, r.shape.DVocab)
		cfg := replacement.DefaultAttributeConfig()
		cfg.Batch = min(r.cfg.Batch, cfg.Batch)
		err := r.measure(ctx, func(row *Row) (err error) {
			var g *attribution.Graph
			row.Times, err = timed(ctx, r.cfg.Reps, func() error {
				local, err := joined.Localize(ids)
				if err != nil {
					return err
				}
				g, err = local.Attribute(ctx, cfg, nil)
				return err
			})
			if err != nil {
				return err
			}
			targets := g.Count(attribution.Feature) + g.Count(attribution.Logit)
			row.Sizes = []Size{{"tokens", n}, {"layers", r.shape.Layers}, {"d_model", r.shape.DModel}, {"features", r.cfg.Features},
				{"batch", cfg.Batch}, {"active", g.Settings.Active}, {"targets", targets}, {"nodes", len(g.Nodes)}}
			row.GFLOP = forwardGFLOP(r.shape, n) + sweepGFLOP(r.shape, g)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// sweepGFLOP counts the work that a graph needs: each target's vector is carried
// back through the attention of its layer and those below, at its position and
// those before: output and value matrices, and the frozen pattern. The products
// with the sources, which depend on what is active, are left out.
func sweepGFLOP(c gpt2.Config, g *attribution.Graph) float64 {
	d, sum := float64(c.DModel), 0.0
	for _, n := range g.Nodes {
		layers, positions := float64(n.Layer+1), float64(n.Pos+1)
		switch n.Kind {
		case attribution.Logit:
			layers = float64(c.Layers)
		case attribution.Feature:
		default:
			continue
		}
		sum += layers * positions * (4*d*d + 2*positions*d)
	}
	return sum / 1e9
}

// randomReplacement joins the model with a random transcoder whose thresholds let
// through about wantActive features per token.
func randomReplacement(m *gpt2.Model, features int) (*replacement.Model, error) {
	cfg := clt.DefaultConfig(m.Config.Layers, m.Config.DModel)
	cfg.Features = features
	t, err := clt.New(cfg, 0, 1)
	if err != nil {
		return nil, err
	}
	t.Activation = clt.ActTopK
	t.Threshold = nil
	t.K = min(features, max(1, wantActive/m.Config.Layers))
	if err := t.Validate(); err != nil {
		return nil, fmt.Errorf("bench: random transcoder: %w", err)
	}
	return replacement.New(m, t, attribution.Artifact{Name: "random"})
}
