package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/clt/replacement"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// wantActive is how many features per token, over all layers, the random
// transcoder of the suite has active, roughly.
const wantActive = 40

// attributionTokens are the lengths that the suite shows the growth of cost with.
var attributionTokens = []int{8, 16, 32, 64, 128}

// attributionSuite times a whole graph: clean run, sweeps over all active features
// and top logits, row identity. Unless lengths are asked for, it also shows how the
// cost grows with features and with the number of targets.
func attributionSuite(ctx context.Context, r *runner) error {
	dir, err := os.MkdirTemp("", "clt-bench-")
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	defer os.RemoveAll(dir)
	r.dir = dir
	if _, err := r.randomTranscoder(r.cfg.Features); err != nil { // before the model, so that both are never in memory at once
		return err
	}
	m, err := gpt2.Untrained(r.b, r.shape, 1)
	if err != nil {
		return err
	}
	debug.FreeOSMemory() // what the weights were drawn in; those of a file are mapped
	lengths := r.cfg.Tokens
	if r.cfg.Growth {
		lengths = attributionTokens
	}
	for _, n := range lengths {
		if n <= r.shape.Context {
			if err := r.graphs(ctx, m, n, r.cfg.Features, nil); err != nil {
				return err
			}
		}
	}
	if !r.cfg.Growth {
		return nil
	}
	n := min(16, r.shape.Context)
	if err := r.graphs(ctx, m, n, 4*r.cfg.Features, nil); err != nil {
		return err
	}
	return r.graphs(ctx, m, n, r.cfg.Features, []int{100, 200, 400})
}

// graphs times the graphs of one prompt: of all active features, or under caps.
func (r *runner) graphs(ctx context.Context, m *gpt2.Model, n, features int, caps []int) error {
	ids := someTokens(n, r.shape.DVocab)
	dir, err := r.randomTranscoder(features)
	if err != nil {
		return err
	}
	t, err := clt.LoadLazy(dir)
	if err != nil {
		return err
	}
	defer t.Close()
	joined, err := join(m, t, ids)
	if err != nil {
		return err
	}
	defer joined.Close()
	if caps == nil {
		caps = []int{0}
	}
	for _, most := range caps {
		cfg := replacement.DefaultAttributeConfig()
		cfg.Batch, cfg.MaxFeatures = min(r.cfg.Batch, cfg.Batch), most
		err := r.measure(ctx, func(row *Row) (err error) {
			var g *attribution.Graph
			var clean, sweep time.Duration
			row.Times, err = timed(ctx, r.cfg.Reps, func() error {
				begin := time.Now()
				local, err := joined.Localize(ids)
				if err != nil {
					return err
				}
				middle := time.Now()
				g, err = local.Attribute(ctx, cfg, nil)
				if a, b := middle.Sub(begin), time.Since(middle); clean == 0 || a+b < clean+sweep {
					clean, sweep = a, b
				}
				return err
			})
			if err != nil {
				return err
			}
			targets := g.Count(attribution.Feature) + g.Count(attribution.Logit)
			row.Sizes = []Size{{"tokens", n}, {"layers", r.shape.Layers}, {"d_model", r.shape.DModel}, {"features", features},
				{"batch", cfg.Batch}, {"max_features", most}, {"active", g.Settings.Active}, {"targets", targets}, {"nodes", len(g.Nodes)}}
			row.Phases = []Phase{{"clean_s", clean}, {"sweep_s", sweep}}
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

// randomTranscoder writes a transcoder of so many features into a folder, unless it is
// there. Its decoders are read from there row by row, as the command leaves those of
// large transcoders on the disk.
func (r *runner) randomTranscoder(features int) (string, error) {
	dir := filepath.Join(r.dir, strconv.Itoa(features))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	t, err := newTranscoder(r.shape, features)
	if err != nil {
		return "", err
	}
	err = t.Save(dir)
	debug.FreeOSMemory()
	return dir, err
}

func newTranscoder(shape gpt2.Config, features int) (*clt.Transcoder, error) {
	cfg := clt.DefaultConfig(shape.Layers, shape.DModel)
	cfg.Features = features
	t, err := clt.New(cfg, 0, 1)
	if err != nil {
		return nil, err
	}
	t.Activation = clt.ActJumpReLU
	if err := t.Validate(); err != nil {
		return nil, fmt.Errorf("bench: random transcoder: %w", err)
	}
	return t, nil
}

// randomReplacement joins the model with a random transcoder in memory.
func randomReplacement(m *gpt2.Model, features int, ids []int32) (*replacement.Model, error) {
	t, err := newTranscoder(m.Config, features)
	if err != nil {
		return nil, err
	}
	return join(m, t, ids)
}

// join joins the model with a transcoder and sets its thresholds so that they let
// through wantActive features per token of the prompt, over all layers.
func join(m *gpt2.Model, t *clt.Transcoder, ids []int32) (*replacement.Model, error) {
	features := t.Features
	joined, err := replacement.New(m, t, attribution.Artifact{Name: "random"})
	if err != nil {
		return nil, err
	}
	local, err := joined.Localize(ids)
	if err != nil {
		return nil, err
	}
	for l, pre := range local.Preactivations() {
		values := slices.Sorted(slices.Values(pre.Float32s()[min(features, pre.Len()-1):])) // position 0 has no features
		most := max(1, wantActive*(len(ids)-1)*(l+1)/m.Config.Layers-wantActive*(len(ids)-1)*l/m.Config.Layers)
		for f := range t.Threshold[l] {
			t.Threshold[l][f] = max(0, values[max(0, len(values)-1-most)])
		}
	}
	return joined, nil
}
