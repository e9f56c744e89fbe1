package bench

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/clt/features"
	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/gpt2/pocket"
	"github.com/etredal/cross-layer-transcoder/gpt2/pocket/world"
)

const (
	featureWindow = 64
	featureGFLOP  = 500 // of a walk
	featureL0     = 16  // active features per token and layer
)

// featuresSuite times the pass that explains features beside the model and the encoder
// alone, in turns; Ratio is the part of that speed that is left, WorkRatio the same
// by processor time, which a busy machine does not change. The pocket shape is
// the shipped model with its transcoder on sentences of its world, others are random.
func featuresSuite(ctx context.Context, r *runner) error {
	m, t, err := featuresModel(r)
	if err != nil {
		return err
	}
	shape, n := m.Config, t.Features
	window := min(featureWindow, shape.Context)
	rows := features.Rows(shape.Layers, n, window)
	cfg, headless := features.DefaultConfig(), shape
	headless.DVocab = 0
	perStep := float64(rows) * (forwardGFLOP(headless, window) + 2e-9*float64(window*shape.Layers*shape.DModel*n))
	steps := max(2, min(100, int(featureGFLOP/perStep)))
	corpus, err := featuresCorpus(m, rows, window, steps)
	if err != nil {
		return err
	}
	source := func(step int) ([][]int32, error) {
		if step == steps {
			return nil, nil
		}
		return corpus[step], nil
	}
	var all, work [2][]time.Duration
	var first [2]time.Duration
	tokens := 0
	for rep := range r.cfg.Reps + 1 {
		for k, count := range []bool{false, true} {
			begin, used := time.Now(), processorTime()
			n, err := features.Walk(ctx, m, t, source, cfg, count)
			if err != nil {
				return err
			}
			tokens = n
			if spent := time.Since(begin); rep == 0 {
				first[k] = spent
			} else {
				all[k], work[k] = append(all[k], spent), append(work[k], processorTime()-used)
			}
		}
	}
	for k := range all {
		if err := r.measure(ctx, func(row *Row) error {
			row.Sizes = []Size{{"counted", k}, {"windows", rows}, {"tokens", window}, {"layers", shape.Layers}, {"d_model", shape.DModel}, {"features", n}}
			row.Times, row.Tokens = withStats(Times{First: first[k]}, slices.Clone(all[k])), tokens
			row.GFLOP = float64(steps) * perStep
			if k == 1 {
				if used := slices.Min(work[1]).Seconds(); used > 0 {
					row.WorkRatio = slices.Min(work[0]).Seconds() / used
				}
				row.Ratio = slices.Min(all[0]).Seconds() / slices.Min(all[1]).Seconds()
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// featuresModel is the model and the transcoder that are timed.
func featuresModel(r *runner) (*gpt2.Model, *clt.Transcoder, error) {
	if r.cfg.Shape != pocket.Name {
		m, err := gpt2.Untrained(r.b, r.shape, 1)
		if err != nil {
			return nil, nil, err
		}
		t, err := sparseCLT(r.shape, r.cfg.Features)
		return m, t, err
	}
	m, err := pocket.Open(r.b, gpt2.LoadOptions{})
	if err != nil {
		return nil, nil, err
	}
	fsys, _ := pocket.CLT(pocket.Name)
	t, err := clt.LoadFS(fsys, pocket.Name)
	return m, t, err
}

// featuresCorpus is the windows of each step, made beforehand.
func featuresCorpus(m *gpt2.Model, rows, window, steps int) ([][][]int32, error) {
	var source gpt2.TokenSource
	if m.Tokenizer != nil {
		source = pocket.Windows(world.New(pocket.WorldSeed), m.Tokenizer, rows, window, 11)
	} else {
		source = func(step int) ([][]int32, error) {
			rng := rand.New(rand.NewPCG(7, uint64(step)))
			list := make([][]int32, rows)
			for i := range list {
				for range window {
					list[i] = append(list[i], int32(rng.IntN(m.Config.DVocab)))
				}
			}
			return list, nil
		}
	}
	corpus := make([][][]int32, steps)
	for step := range corpus {
		var err error
		if corpus[step], err = source(step); err != nil {
			return nil, err
		}
	}
	return corpus, nil
}

// sparseCLT has random encoders and thresholds at which the given number of features
// is active: what it reads is normalised, so pre-activations are about normal.
func sparseCLT(shape gpt2.Config, n int) (*clt.Transcoder, error) {
	cfg := clt.DefaultConfig(shape.Layers, shape.DModel)
	cfg.Features, cfg.PerLayer = n, true // decoders are not part of the pass
	theta := 0.0
	for theta < 8 && 0.5*math.Erfc(theta/math.Sqrt2) > float64(featureL0)/float64(n) {
		theta += 0.01
	}
	t, err := clt.New(cfg, float32(max(theta, 0.01)), 1)
	if err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for _, w := range t.WEnc {
		for i := range w {
			w[i] = float32(rng.NormFloat64() / math.Sqrt(float64(shape.DModel)))
		}
	}
	return t, nil
}
