package clt

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// tinyShape is a language model that fits smallRun.
var tinyShape = gpt2.Config{Layers: 2, Heads: 2, DModel: 12, DMLP: 24, DVocab: 17, Context: 16, LayerNormEps: 1e-5, TieEmbeddings: true, BOS: -1}

// tinyModel predicts with some confidence.
func tinyModel(t *testing.T, shape gpt2.Config, double bool) *gpt2.Model {
	t.Helper()
	params := gpt2.InitParams(shape, 5)
	for i, v := range params["wte.weight"].F32 {
		params["wte.weight"].F32[i] = 30 * v
	}
	m, err := gpt2.New(goBackend(t), shape, params, gpt2.LoadOptions{Double: double})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// tinyWindows are batches of size windows of the same stream, whatever the size.
func tinyWindows(size, length int) gpt2.TokenSource {
	return func(step int) ([][]int32, error) {
		list := make([][]int32, size)
		for i := range list {
			at := step*size + i
			for p := range length {
				list[i] = append(list[i], int32((at*at*3+at*5+p*p*(at%4+1)+p)%tinyShape.DVocab))
			}
		}
		return list, nil
	}
}

// klRun is a small run on a language model's activations, with KL steps at its end.
func klRun(t *testing.T, activation string) (Config, TrainConfig, *Activations) {
	t.Helper()
	m := tinyModel(t, tinyShape, false)
	cfg, tc := smallRun(activation)
	data, _, err := Collect(t.Context(), m, cfg.Read, tinyWindows(8, 9), 0, 1000, nil)
	if err != nil {
		t.Fatal(err)
	}
	tc.KLSteps, tc.KLWeight, tc.KLBatch, tc.KLLR = 6, 20, 4, 1e-3
	tc.Model, tc.Windows = m, tinyWindows(8, 9)
	return cfg, tc, data
}

// The gradient of the divergence against central differences in float64, for every
// weight but thresholds, whose gradient is a pseudo-gradient.
func TestDivergenceGradient(t *testing.T) {
	for name, cfg := range configs() {
		if cfg.Layers = 2; testing.Short() && !slices.Contains([]string{"batchtopk", "clt skip"}, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			shape := tinyShape
			shape.DModel, shape.DMLP, shape.DVocab = cfg.DModel, 8, 11
			m := tinyModel(t, shape, true)
			c := newLossCase(cfg, 1, 60)
			k := &klPart{lm: shape, stats: &Stats{ScaleIn: []float64{1.3, 0.7}, ScaleOut: []float64{0.6, 2}}}
			exec, err := model.NewExec(goBackend(t), m.Store, func(scope *model.Scope, in []*graph.Node) []*graph.Node {
				enc, dec, rest := cfg.UnpackNodes(in)
				base := gpt2.Forward(scope, shape, rest[0], nil)
				kl := cfg.divergence(c.tc, k, scope, rest[0], base, enc, dec)
				return append([]*graph.Node{kl}, graph.Gradient(kl, in[:len(c.weights)]...)...)
			})
			if err != nil {
				t.Fatal(err)
			}
			tokens := [][]int32{{1, 5, 2, 7, 3}, {4, 4, 9, 0, 6}}
			run := func() []*tensors.Tensor {
				var args []any
				for i, w := range c.weights {
					args = append(args, tensors.FromFlatDataAndDimensions(w, c.shapes[i]...))
				}
				out, err := exec.Call(append(args, tokens)...)
				if err != nil {
					t.Fatal(err)
				}
				return out
			}
			out := run()
			if kl := float64s(out[0])[0]; !(kl > 1e-4) {
				t.Fatalf("the divergence is %g", kl)
			}
			moved := 0
			for i, g := range out[1:] {
				if strings.HasPrefix(c.names[i], "thr") {
					continue
				}
				grad := float64s(g)
				for _, j := range []int{0, len(grad) / 3, len(grad) / 2, len(grad) - 1} {
					const h = 1e-6
					at := c.weights[i][j]
					c.weights[i][j] = at + h
					up := float64s(run()[0])[0]
					c.weights[i][j] = at - h
					down := float64s(run()[0])[0]
					c.weights[i][j] = at
					want := (up - down) / (2 * h)
					if math.Abs(want-grad[j]) > 1e-6*max(1, math.Abs(want)) {
						t.Errorf("%s[%d]: gradient %g, differences say %g", c.names[i], j, grad[j], want)
					}
					if math.Abs(want) > 1e-4 {
						moved++
					}
				}
			}
			if moved < 5 {
				t.Errorf("only %d derivatives are away from 0", moved)
			}
		})
	}
}

// KL steps bring the divergence down, on both paths, and more so than the same steps
// with next to no weight; they leave the language model as it is.
func TestKLSteps(t *testing.T) {
	for _, activation := range []string{ActJumpReLU, ActBatchTopK, ActTopK} {
		t.Run(activation, func(t *testing.T) {
			cfg, tc, data := klRun(t, activation)
			before, err := tc.Model.Params()
			if err != nil {
				t.Fatal(err)
			}
			tc.KLSteps, tc.KLLR, tc.KLBatch = 40, 1e-2, 8
			tc.Windows = func(int) ([][]int32, error) { return tinyWindows(8, 9)(0) } // always the same
			last := map[float64]float64{}
			for _, weight := range []float64{1e-9, 1000} {
				tc.KLWeight = weight
				r, reports, err := trainSmall(t, t.Context(), cfg, tc, data.Batches(tc.Batch, 1, 0))
				if err != nil {
					t.Fatal(err)
				}
				if r.Steps != 52 || len(reports) != 52 || reports[51].Steps != 52 || r.Transcoder.Info.Tokens != 12*128+40*64 {
					t.Errorf("%d steps, %d reports, %d tokens", r.Steps, len(reports), r.Transcoder.Info.Tokens)
				}
				if reports[11].KL != 0 || !(reports[12].KL > 0) {
					t.Errorf("divergence %g before the KL steps, %g at the first", reports[11].KL, reports[12].KL)
				}
				if rate := reports[12].LR; rate != tc.KLLR {
					t.Errorf("learning rate %g at the first KL step, want %g", rate, tc.KLLR)
				}
				last[weight] = r.Last.KL
				if weight > 1 && !(r.Last.KL < reports[12].KL/2) {
					t.Errorf("divergence %g at the first KL step, %g at the last", reports[12].KL, r.Last.KL)
				}
			}
			if !(last[1000] < last[1e-9]) {
				t.Errorf("divergence with weight %g, without %g", last[1000], last[1e-9])
			}
			after, err := tc.Model.Params()
			if err != nil || !reflect.DeepEqual(after, before) {
				t.Errorf("the language model has changed, or is gone: %v", err)
			}
		})
	}
}

// One step on twice the sequences, each twice, is the step on each once.
func TestKLBatchSize(t *testing.T) {
	cfg, tc, data := klRun(t, ActJumpReLU)
	tc.KLSteps = 1
	_, once, err := trainSmall(t, t.Context(), cfg, tc, data.Batches(tc.Batch, 1, 0))
	if err != nil {
		t.Fatal(err)
	}
	four, _ := tinyWindows(4, 9)(0)
	tc.KLBatch, tc.Windows = 8, func(int) ([][]int32, error) { return slices.Concat(four, four), nil }
	_, twice, err := trainSmall(t, t.Context(), cfg, tc, data.Batches(tc.Batch, 1, 0))
	if err != nil {
		t.Fatal(err)
	}
	a, b := once[len(once)-1], twice[len(twice)-1]
	for _, x := range [][2]float64{{a.KL, b.KL}, {a.Loss, b.Loss}, {a.GradientNorm, b.GradientNorm}} {
		if math.Abs(x[0]-x[1]) > 1e-4*math.Abs(x[0]) {
			t.Errorf("%g on 4 sequences, %g on each of them twice", x[0], x[1])
		}
	}
}

// KL steps in parts are those on the whole batch, but for rounding, wherever no feature
// is chosen among those of other tokens.
func TestKLAccumulate(t *testing.T) {
	for _, activation := range []string{ActJumpReLU, ActTopK, ActReLU} {
		for _, path := range []string{PathDense, PathSparse} {
			var first Progress
			var weights []float32
			for _, parts := range []int{1, 2, 4} {
				cfg, tc, data := klRun(t, activation)
				tc.Steps, tc.KLSteps, tc.Accumulate, tc.Path = 1, 2, parts, path
				r, reports, err := trainSmall(t, t.Context(), cfg, tc, data.Batches(tc.Batch, 1, 0))
				if err != nil {
					t.Fatal(err)
				}
				p := reports[len(reports)-1]
				if parts == 1 {
					first, weights = p, r.Transcoder.WDec[0]
					continue
				}
				for _, x := range [][2]float64{{p.KL, first.KL}, {p.Loss, first.Loss}, {p.Reconstruction, first.Reconstruction}, {p.GradientNorm, first.GradientNorm}, {p.L0, first.L0}} {
					if math.Abs(x[0]-x[1]) > 1e-4*math.Abs(x[1]) {
						t.Errorf("%s, %s: %g in %d parts, %g in one", activation, path, x[0], parts, x[1])
					}
				}
				far := 0
				for i, w := range r.Transcoder.WDec[0] {
					if math.Abs(float64(w-weights[i])) > 1e-3*(math.Abs(float64(weights[i]))+1e-2) {
						far++
					}
				}
				if far > 0 {
					t.Errorf("%s, %s, %d parts: %d weights differ", activation, path, parts, far)
				}
			}
		}
	}
	cfg, tc, data := klRun(t, ActJumpReLU)
	tc.Accumulate, tc.KLBatch = 2, 3
	if _, _, err := trainSmall(t, t.Context(), cfg, tc, data.Batches(tc.Batch, 1, 0)); err == nil || !strings.Contains(err.Error(), "accumulate is 2, must divide kl_batch (3) too") {
		t.Errorf("error %v", err)
	}
}

// A run that stops among the KL steps and is resumed is the uninterrupted run bit for
// bit, also from text in batches of another size.
func TestKLResumeExact(t *testing.T) {
	for _, x := range []struct {
		path  string
		parts int
	}{{PathDense, 1}, {PathSparse, 1}, {PathSparse, 2}, {PathDense, 4}} {
		path := x.path
		cfg, tc, data := klRun(t, ActBatchTopK)
		tc.Path, tc.Accumulate = path, x.parts
		whole, want, err := trainSmall(t, t.Context(), cfg, tc, data.Batches(tc.Batch, 1, 0))
		if err != nil {
			t.Fatal(err)
		}
		tc.CheckpointDir, tc.CheckpointEvery, tc.KeepCheckpoints = filepath.Join(t.TempDir(), "ck"), 5, 2
		var got []Progress
		for _, stop := range []int{12, 15, 99} { // the last step before, and the third
			ctx, cancel := context.WithCancel(t.Context())
			_, err := Train(ctx, goBackend(t), cfg, data.Batches(tc.Batch, 1, 0), tc, func(p Progress) {
				p.TokensPerSec, p.DataWait, p.Elapsed = 0, 0, 0
				if got = append(got, p); p.Step == stop {
					cancel()
				}
			})
			cancel()
			if stop < 99 && !errors.Is(err, context.Canceled) || stop == 99 && err != nil {
				t.Fatal(err)
			}
			tc.Windows = tinyWindows(3, 9)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: reports differ:\n%+v\n%+v", path, got[len(got)-1], want[len(want)-1])
		}
		tc.Windows = nil
		tc.KLSteps, tc.KLWeight, tc.KLBatch, tc.KLLR = 0, 0, 0, 0
		if _, _, err := trainSmall(t, t.Context(), cfg, tc, data.Batches(tc.Batch, 1, 0)); err == nil {
			t.Errorf("%s: a run without KL steps went on from a checkpoint with some", path)
		}
		tc.CheckpointDir = ""
		plain, _, err := trainSmall(t, t.Context(), cfg, tc, data.Batches(tc.Batch, 1, 0))
		if err != nil || slices.Equal(plain.Transcoder.WDec[0], whole.Transcoder.WDec[0]) {
			t.Errorf("%s: KL steps changed nothing (%v)", path, err)
		}
	}
}

// Without KL steps the settings and reports are written as they always were.
func TestNoKL(t *testing.T) {
	was := DefaultTrainConfig()
	was.ScaleOut, was.ReportEvery, was.Steps = "", 7, 3
	if got, want := DefaultTrainConfig().Changed(was), fmt.Sprintf("steps %d (was 3)", DefaultTrainConfig().Steps); got != want {
		t.Errorf("changed: %s, want %s", got, want)
	}
	if s := DefaultTrainConfig().deciding(); strings.Contains(s, "kl_") {
		t.Errorf("settings %s", s)
	}
}

func TestKLRefusals(t *testing.T) {
	cfg, good, data := klRun(t, ActJumpReLU)
	other := tinyShape
	other.DModel = 8
	for want, change := range map[string]func(*Config, *TrainConfig){
		"kl_steps is -1":                 func(_ *Config, c *TrainConfig) { c.KLSteps = -1 },
		"kl_weight is 20, but there are": func(_ *Config, c *TrainConfig) { c.KLSteps = 0 },
		"kl_weight is NaN":               func(_ *Config, c *TrainConfig) { c.KLWeight = math.NaN() },
		"kl_batch is 0":                  func(_ *Config, c *TrainConfig) { c.KLBatch = 0 },
		"kl_lr is -1":                    func(_ *Config, c *TrainConfig) { c.KLLR = -1 },
		"there is no language model":     func(_ *Config, c *TrainConfig) { c.Model = nil },
		"or no text":                     func(_ *Config, c *TrainConfig) { c.Windows = nil },
		"2 layers of width 8":            func(_ *Config, c *TrainConfig) { c.Model = tinyModel(t, other, false) },
		"less than two tokens":           func(_ *Config, c *TrainConfig) { c.Windows = tinyWindows(8, 1) },
		"no threshold while it trains":   func(x *Config, _ *TrainConfig) { x.Activation, x.K = ActTokenTopK, 4 },
		"token": func(_ *Config, c *TrainConfig) {
			c.Windows = func(int) ([][]int32, error) { return [][]int32{{1, 99}}, nil }
		},
	} {
		c, tc := cfg, good
		change(&c, &tc)
		if _, err := Train(t.Context(), goBackend(t), c, data.Batches(tc.Batch, 1, 0), tc, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

// A divergence that is not finite stops the run by name, with the weights of the step
// before.
func TestKLNotFinite(t *testing.T) {
	cfg, tc, data := klRun(t, ActJumpReLU)
	params, err := tc.Model.Params()
	if err != nil {
		t.Fatal(err)
	}
	for i := range params["ln_f.weight"].F32 {
		params["ln_f.weight"].F32[i] = math.MaxFloat32
	}
	if tc.Model, err = gpt2.New(goBackend(t), tinyShape, params, gpt2.LoadOptions{}); err != nil {
		t.Fatal(err)
	}
	r, _, err := trainSmall(t, t.Context(), cfg, tc, data.Batches(tc.Batch, 1, 0))
	if err == nil || !strings.Contains(err.Error(), "step 13 is not finite: KL divergence is NaN") || !strings.Contains(err.Error(), "(now 0.001)") {
		t.Fatalf("error %v", err)
	}
	tc.KLSteps, tc.KLWeight, tc.KLBatch, tc.KLLR = 0, 0, 0, 0
	clean, _, err := trainSmall(t, t.Context(), cfg, tc, data.Batches(tc.Batch, 1, 0))
	if err != nil || r.Steps != 12 || !slices.Equal(clean.Transcoder.WDec[0], r.Transcoder.WDec[0]) {
		t.Errorf("%d steps, and the weights are not those of the last good step (%v)", r.Steps, err)
	}
}
