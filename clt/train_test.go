package clt

import (
	"context"
	"errors"
	"iter"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"

	"github.com/etredal/cross-layer-transcoder/internal/testbackend"
	"github.com/etredal/cross-layer-transcoder/internal/testenv"
)

// smallRun is a configuration that trains in well under a second.
func smallRun(activation string) (Config, TrainConfig) {
	cfg := DefaultConfig(2, 12)
	cfg.Features, cfg.Activation, cfg.Model = 40, activation, "toy"
	if TakesK(activation) {
		cfg.K = 4
	}
	tc := DefaultTrainConfig()
	tc.Batch, tc.Steps, tc.Warmup, tc.StatTokens, tc.InitActive, tc.ReportEvery, tc.DeadWindow = 128, 12, 3, 500, 6, 1, 4
	tc.DeadPenalty = 0.01
	return cfg, tc
}

func TestSchedules(t *testing.T) {
	tc := DefaultTrainConfig() // 100 steps of warm-up, last 20 % to 5 %
	tc.Steps, tc.LR = 1000, 3e-3
	for _, c := range []struct {
		step       int
		lr, lambda float64
	}{{0, 3e-5, 0}, {49, 1.5e-3, 0.4 * 0.049}, {99, 3e-3, 0.4 * 0.099}, {250, 3e-3, 0.1}, {500, 3e-3, 0.2}, {800, 3e-3, 0.32},
		{900, 3e-3 * 0.525, 0.36}, {1000, 3e-3 * 0.05, 0.4}} {
		if got := tc.LRAt(c.step); math.Abs(got-c.lr) > 1e-12 {
			t.Errorf("learning rate at step %d is %g, want %g", c.step, got, c.lr)
		}
		if got := tc.LambdaAt(c.step); math.Abs(got-c.lambda) > 1e-12 {
			t.Errorf("λ at step %d is %g, want %g", c.step, got, c.lambda)
		}
	}
	for step := range tc.Steps {
		if !(tc.LRAt(step) > 0) {
			t.Fatalf("learning rate at step %d is %g", step, tc.LRAt(step))
		}
	}
	tc.LambdaRamp, tc.Decay, tc.Warmup = 0, 0, 0
	if tc.LambdaAt(0) != tc.Lambda || tc.LRAt(0) != tc.LR || tc.LRAt(1000) != tc.LR {
		t.Errorf("without ramps: λ %g, lr %g, %g", tc.LambdaAt(0), tc.LRAt(0), tc.LRAt(1000))
	}
}

// Scaling, encoding, decoding and scaling back equals the folded weights on raw
// activations, for every kind of transcoder; unfold is the inverse of fold.
func TestFold(t *testing.T) {
	const n = 6
	for name, cfg := range configs() {
		x := randomTranscoder(t, cfg, 21)
		s := &Stats{ScaleIn: []float64{2, 0.3, 1.7}, ScaleOut: []float64{0.4, 5, 0.9}}
		var raw, scaledReads [][]float64
		for l := range cfg.Layers {
			r := normals(uint64(l), n*cfg.DModel)
			raw = append(raw, r)
			v := slices.Clone(r)
			for i := range v {
				v[i] *= s.ScaleIn[l]
			}
			scaledReads = append(scaledReads, v)
		}
		_, a1, y1 := run(t, x, n, scaledReads)
		folded := s.fold(x)
		_, a2, y2 := run(t, folded, n, raw)
		for l := range cfg.Layers {
			for i := range y1[l] {
				y1[l][i] /= s.ScaleOut[l]
			}
			if d := maxDiff(t, a1[l], a2[l]); d > 1e-5 {
				t.Errorf("%s: activations of layer %d differ by %g", name, l, d)
			}
			if d := maxDiff(t, y1[l], y2[l]); d > 1e-5 {
				t.Errorf("%s: outputs of layer %d differ by %g", name, l, d)
			}
		}
		back := s.unfold(folded)
		own := s.foldOwn(s.unfold(folded)) // a copy that is folded in place
		for l := range cfg.Layers {
			for i, v := range folded.WDec[l] {
				if math.Abs(float64(own.WDec[l][i]-v)) > 1e-5*math.Abs(float64(v)) {
					t.Fatalf("%s: W_dec_%d is %g folded in place, should be %g", name, l, own.WDec[l][i], v)
				}
			}
		}
		for i, w := range x.weights() {
			v := (*back.weights()[i].slot)[w.layer]
			for j, want := range (*w.slot)[w.layer] {
				if math.Abs(float64(v[j]-want)) > 1e-5 {
					t.Fatalf("%s: %s is %g after fold and unfold, was %g", name, w.name, v[j], want)
				}
			}
		}
	}
}

func TestMeasure(t *testing.T) {
	a := synthetic(2, 16, 30, 3, 1000, 5)
	cfg := Config{Layers: 2, DModel: 16, Features: 8, Activation: ActReLU, Read: "mlp.hook_in"}
	s, err := Measure(cfg, []Batch{a.slice(16, 0, 300), a.slice(16, 300, 1000)})
	if err != nil {
		t.Fatal(err)
	}
	b := s.scale(a.Batch)
	for l := range 2 {
		for _, v := range [][]float32{b.In[l], b.Out[l]} {
			if got := sumNorms(v, 16) / 1000; math.Abs(got-4) > 1e-4 {
				t.Errorf("layer %d: mean norm after scaling is %g, want sqrt(16)", l, got)
			}
		}
	}
	a.Out[1] = make([]float32, len(a.Out[1]))
	if _, err := Measure(cfg, []Batch{a.Batch}); err == nil || !strings.Contains(err.Error(), "layer 1") {
		t.Errorf("output of zeros: error %v", err)
	}
}

// Scaled by the variance, the reconstruction term is the NMSE of the layers times
// d_model, however large the constant part of an output is.
func TestScaleByVariance(t *testing.T) {
	cfg, tc := smallRun(ActJumpReLU)
	tc.ScaleOut, tc.Steps, tc.Batch, tc.StatTokens, tc.ReportEvery = ScaleVariance, 1, 64, 64, 1
	a := synthetic(cfg.Layers, cfg.DModel, 30, 3, tc.Batch, 5)
	for i := range a.Out[0] {
		a.Out[0][i] += 7
	}
	for _, path := range []string{PathDense, PathSparse} {
		tc.Path = path
		r, err := Train(t.Context(), goBackend(t), cfg, a.InOrder(tc.Batch), tc, nil)
		if err != nil {
			t.Fatal(err)
		}
		want := 0.0
		for _, v := range r.Last.NMSELayer {
			want += v * float64(cfg.DModel)
		}
		if got := r.Last.Reconstruction; math.Abs(got-want) > 1e-3*want {
			t.Errorf("%s: reconstruction %g, d_model times the sum of the NMSE is %g", path, got, want)
		}
		if err := r.Transcoder.Validate(); err != nil {
			t.Error(err)
		}
	}
	clear(a.Out[1])
	for i := range a.Out[1] {
		a.Out[1][i] = 3
	}
	if _, err := Train(t.Context(), goBackend(t), cfg, a.InOrder(tc.Batch), tc, nil); err == nil || !strings.Contains(err.Error(), "layer 1") {
		t.Errorf("constant output: error %v", err)
	}
	tc.ScaleOut = "std"
	if err := tc.Validate(); err == nil || !strings.Contains(err.Error(), "std") {
		t.Errorf("scale_out std: error %v", err)
	}
}

// Initial biases make every feature fire at the wanted rate on the sample.
func TestInitialBiases(t *testing.T) {
	cfg, tc := smallRun(ActJumpReLU)
	b := goBackend(t)
	a := synthetic(2, 12, 30, 3, 512, 5)
	sample := []Batch{a.slice(12, 0, 256), a.slice(12, 256, 512)}
	tr, err := newTrainer(b, cfg, tc)
	if err != nil {
		t.Fatal(err)
	}
	if tr.stats, err = Measure(cfg, sample); err != nil {
		t.Fatal(err)
	}
	w, err := tr.initialWeights(sample)
	if err != nil {
		t.Fatal(err)
	}
	m, err := EvalActivations(context.Background(), b, tr.stats.fold(w), a.InOrder(512))
	if err != nil {
		t.Fatal(err)
	}
	want := math.Round(512 * tc.InitActive / float64(cfg.Features))
	for l := range m.Frequency {
		for f, got := range m.Frequency[l] {
			if math.Abs(float64(got)-want) > 1 {
				t.Fatalf("feature %d of layer %d fires %d times, want %g", f, l, got, want)
			}
		}
	}
}

// trainSmall trains and returns the result and all reports.
func trainSmall(t *testing.T, ctx context.Context, cfg Config, tc TrainConfig, data iter.Seq2[Batch, error]) (*Result, []Progress, error) {
	t.Helper()
	var reports []Progress
	r, err := Train(ctx, goBackend(t), cfg, data, tc, func(p Progress) {
		p.TokensPerSec, p.DataWait, p.Elapsed = 0, 0, 0
		reports = append(reports, p)
	})
	return r, reports, err
}

// A run that is interrupted and resumed is the uninterrupted run bit for bit:
// weights, thresholds and every reported number, for every kind of transcoder.
func TestResumeExact(t *testing.T) {
	data := synthetic(2, 12, 30, 3, 2000, 5)
	for _, activation := range []string{ActJumpReLU, ActBatchTopK, ActReLU, ActTopK} {
		t.Run(activation, func(t *testing.T) {
			cfg, tc := smallRun(activation)
			cfg.Skip = activation == ActReLU
			whole, want, err := trainSmall(t, context.Background(), cfg, tc, data.Batches(tc.Batch, 1, 0))
			if err != nil {
				t.Fatal(err)
			}
			tc.CheckpointDir, tc.CheckpointEvery, tc.KeepCheckpoints = filepath.Join(t.TempDir(), "ck"), 5, 2
			ctx, cancel := context.WithCancel(context.Background())
			var got []Progress
			part, err := Train(ctx, goBackend(t), cfg, data.Batches(tc.Batch, 1, 0), tc, func(p Progress) {
				p.TokensPerSec, p.DataWait, p.Elapsed = 0, 0, 0
				got = append(got, p)
				if p.Step == 7 {
					cancel()
				}
			})
			if !errors.Is(err, context.Canceled) || part == nil || part.Steps != 7 || part.Transcoder.Validate() != nil {
				t.Fatalf("interrupted: %v, %+v", err, part)
			}
			if n, err := CheckpointStep(tc.CheckpointDir); n != 7 || err != nil {
				t.Fatalf("checkpoint at step %d, %v", n, err)
			}
			stale := filepath.Join(tc.CheckpointDir, ".step-00000008.1.tmp") // killed while saving
			if err := os.MkdirAll(stale, 0o755); err != nil {
				t.Fatal(err)
			}
			tc.DataFrom = 3 // the caller moved the data on by three batches
			r, rest, err := trainSmall(t, context.Background(), cfg, tc, data.Batches(tc.Batch, 1, 3))
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, rest...)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("reports differ:\n%+v\n%+v", got[len(got)-1], want[len(want)-1])
			}
			for i, w := range whole.Transcoder.weights() {
				if !slices.Equal((*w.slot)[w.layer], (*r.Transcoder.weights()[i].slot)[w.layer]) {
					t.Errorf("%s differs", w.name)
				}
			}
			steps, err := checkpoints(tc.CheckpointDir)
			if err != nil || !slices.Equal(steps, []int{10, 12}) {
				t.Errorf("checkpoints kept: %v, %v", steps, err)
			}
			if _, err := os.Stat(stale); !os.IsNotExist(err) {
				t.Errorf("the stale folder is still there: %v", err)
			}
			again, reports, err := trainSmall(t, context.Background(), cfg, tc, nothing)
			if err != nil || len(reports) != 0 || again.Steps != tc.Steps || !slices.Equal(again.Transcoder.WEnc[1], r.Transcoder.WEnc[1]) {
				t.Errorf("a finished run trained again: %d reports, %v", len(reports), err)
			}
		})
	}
}

func nothing(func(Batch, error) bool) {}

func TestResumeRefusesOtherSettings(t *testing.T) {
	data := synthetic(2, 12, 30, 3, 500, 5)
	cfg, tc := smallRun(ActJumpReLU)
	tc.Steps, tc.CheckpointDir = 2, filepath.Join(t.TempDir(), "ck")
	if _, _, err := trainSmall(t, context.Background(), cfg, tc, data.Batches(tc.Batch, 1, 0)); err != nil {
		t.Fatal(err)
	}
	other := tc
	other.LR = 1
	_, _, err := trainSmall(t, context.Background(), cfg, other, data.Batches(tc.Batch, 1, 0))
	if err == nil || !strings.Contains(err.Error(), "another checkpoint folder") {
		t.Errorf("other learning rate: %v", err)
	}
	wide := cfg
	wide.Features = 41
	_, _, err = trainSmall(t, context.Background(), wide, tc, data.Batches(tc.Batch, 1, 0))
	if err == nil || !strings.Contains(err.Error(), "Features:41") {
		t.Errorf("other config: %v", err)
	}
	file := filepath.Join(tc.CheckpointDir, checkpointName(2), variablesFile)
	if err := os.Truncate(file, 900); err != nil {
		t.Fatal(err)
	}
	if _, _, err = trainSmall(t, context.Background(), cfg, tc, data.Batches(tc.Batch, 1, 0)); err == nil || !strings.Contains(err.Error(), variablesFile) {
		t.Errorf("truncated checkpoint: %v", err)
	}
}

// A batch that makes the loss infinite or NaN stops the run with the weights of
// the step before.
func TestNotFinite(t *testing.T) {
	data := synthetic(2, 12, 30, 3, 2000, 5)
	cfg, tc := smallRun(ActJumpReLU)
	steps := 0
	poisoned := func(yield func(Batch, error) bool) {
		for b, err := range data.Batches(tc.Batch, 1, 0) {
			if steps++; steps == 8 {
				b.Out[1][5] = float32(math.NaN())
			}
			if !yield(b, err) {
				return
			}
		}
	}
	r, reports, err := trainSmall(t, context.Background(), cfg, tc, poisoned)
	if err == nil || !strings.Contains(err.Error(), "step 8 is not finite: reconstruction is NaN") {
		t.Fatalf("error %v", err)
	}
	tc7 := tc
	if r.Steps != 7 || len(reports) != 7 || r.Transcoder.Validate() != nil {
		t.Errorf("%d steps, %d reports, %v", r.Steps, len(reports), r.Transcoder.Validate())
	}
	steps = 100 // no poison
	ctx, cancel := context.WithCancel(context.Background())
	clean, err := Train(ctx, goBackend(t), cfg, poisoned, tc7, func(p Progress) {
		if p.Step == 7 {
			cancel()
		}
	})
	if clean == nil || !slices.Equal(clean.Transcoder.WDec[0], r.Transcoder.WDec[0]) {
		t.Errorf("the poisoned step changed the weights (%v)", err)
	}
}

// On data with known sparse causes a small run must reconstruct, stay sparse and
// use its cross-layer decoders: the per-layer transcoder cannot.
func TestTrainingRegression(t *testing.T) {
	train, test := synthetic(2, 16, 24, 2, 8000, 1), synthetic(2, 16, 24, 2, 2000, 2)
	fit := func(activation string, perLayer bool) Metrics {
		cfg := DefaultConfig(2, 16)
		cfg.Features, cfg.Activation, cfg.PerLayer = 48, activation, perLayer
		if activation == ActBatchTopK {
			cfg.K = 3
		}
		tc := DefaultTrainConfig()
		tc.Batch, tc.Steps, tc.Warmup, tc.StatTokens, tc.InitActive, tc.LR = 256, 300, 30, 2048, 8, 6e-3
		b := goBackend(t)
		r, err := Train(context.Background(), b, cfg, train.Batches(tc.Batch, 1, 0), tc, nil)
		if err != nil {
			t.Fatal(err)
		}
		m, err := EvalActivations(context.Background(), b, r.Transcoder, test.InOrder(1000))
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(m.NMSE-r.Last.NMSE) > 0.15*m.NMSE || math.Abs(m.L0-r.Last.L0) > 0.1*m.L0 {
			t.Errorf("%s: evaluation (NMSE %.4f, L0 %.2f) and training (%.4f, %.2f) disagree", activation, m.NMSE, m.L0, r.Last.NMSE, r.Last.L0)
		}
		return m
	}
	for _, activation := range []string{ActJumpReLU, ActBatchTopK} {
		m := fit(activation, false)
		t.Logf("%s: NMSE %.4f, L0 %.2f per layer, dead %.0f %%", activation, m.NMSE, m.L0/2, 100*m.Dead)
		if m.NMSE > 0.05 || m.L0/2 > 3.4 || m.L0/2 < 2 || m.Dead > 0.4 {
			t.Errorf("%s: NMSE %.4f (at most 0.05), L0 %.2f per layer (2 to 3.4), dead %.2f (at most 0.4)", activation, m.NMSE, m.L0/2, m.Dead)
		}
	}
	if m := fit(ActJumpReLU, true); m.NMSELayer[1] < 0.1 || m.NMSELayer[0] > 0.06 {
		t.Errorf("per-layer transcoder: NMSE by layer %.4f; layer 1 has causes that it cannot read", m.NMSELayer)
	}
}

// One step of training gives the same numbers on XLA as on the Go backend.
func TestStepOnXLA(t *testing.T) {
	testenv.Slow(t) // XLA compiles each step for seconds
	xla, reference := testbackend.Open(t, "xla:cpu"), goBackend(t)
	data := synthetic(2, 12, 30, 3, 2000, 5)
	for _, activation := range []string{ActJumpReLU, ActBatchTopK, ActTopK} {
		cfg, tc := smallRun(activation)
		tc.AuxK = 3
		var last [2]Progress
		for i, b := range []compute.Backend{reference, xla} {
			if _, err := Train(context.Background(), b, cfg, data.Batches(tc.Batch, 1, 0), tc, func(p Progress) { last[i] = p }); err != nil {
				t.Fatalf("%s: %v", activation, err)
			}
		}
		if math.Abs(last[0].Loss-last[1].Loss) > 1e-3*last[0].Loss || math.Abs(last[0].L0-last[1].L0) > 0.02*last[0].L0 {
			t.Errorf("%s after %d steps: loss %g and %g, L0 %g and %g", activation, tc.Steps, last[0].Loss, last[1].Loss, last[0].L0, last[1].L0)
		}
	}
}
