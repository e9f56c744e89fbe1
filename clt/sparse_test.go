package clt

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// machineRun trains some steps on one path and returns the reports and the weights.
func machineRun(t *testing.T, path string, cfg Config, tc TrainConfig, data *Activations) ([][]float32, *Transcoder) {
	t.Helper()
	tc.Path = path
	tr, err := newTrainer(goBackend(t), cfg, tc)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.free()
	sample := []Batch{data.slice(cfg.DModel, 0, 512)}
	if tr.stats, err = Measure(cfg, sample); err != nil {
		t.Fatal(err)
	}
	w, err := tr.initialWeights(sample)
	if err != nil {
		t.Fatal(err)
	}
	for f := range 3 { // dead from the start
		w.BEnc[1][f] = -30
	}
	if err := tr.setWeights(w); err != nil {
		t.Fatal(err)
	}
	var reports [][]float32
	step := 0
	for b, err := range data.Batches(tc.Batch, 1, 0) {
		if err != nil {
			t.Fatal(err)
		}
		v, err := tr.machine.step(float32(tc.LRAt(step)), float32(tc.LambdaAt(step+5)), float32(step+1), tr.parts(tr.stats.scale(b)))
		if err != nil {
			t.Fatal(err)
		}
		reports = append(reports, v)
		if step++; step == tc.Steps {
			break
		}
	}
	if w, err = tr.weights(); err != nil {
		t.Fatal(err)
	}
	return reports, w
}

func near(t *testing.T, what string, a, b []float32, tolerance float64) {
	t.Helper()
	if len(a) != len(b) {
		t.Fatalf("%s: %d and %d values", what, len(a), len(b))
	}
	for i := range a {
		if d := math.Abs(float64(a[i]) - float64(b[i])); !(d <= tolerance*(1+math.Abs(float64(a[i])))) {
			t.Errorf("%s[%d]: %g and %g", what, i, a[i], b[i])
			return
		}
	}
}

// The steps of the host are those of the compiled graph, for every activation,
// with and without decoders to other layers, with dead features, and with a batch
// in parts.
func TestSparseIsDense(t *testing.T) {
	data := synthetic(2, 12, 30, 3, 2000, 5)
	for _, activation := range []string{ActReLU, ActJumpReLU, "step", ActTopK, ActTokenTopK, ActBatchTopK} {
		for _, parts := range []int{1, 4} {
			t.Run(fmt.Sprintf("%s in %d", activation, parts), func(t *testing.T) {
				penalty := PenaltyTanh
				if activation == "step" {
					activation, penalty = ActJumpReLU, PenaltyStep
				}
				cfg, tc := smallRun(activation)
				tc.Penalty = penalty
				tc.DetachNorm = parts == 4
				cfg.PerLayer = parts == 4
				tc.Steps, tc.Accumulate, tc.DeadWindow, tc.LR, tc.ClipNorm = 6, parts, 2, 1e-3, 0.5
				if activation == ActBatchTopK {
					tc.Batch = 100 // the dense threshold may miss a thousandth
					tc.DeadPenalty *= float64(parts % 2)
				}
				dense, w1 := machineRun(t, PathDense, cfg, tc, data)
				host, w2 := machineRun(t, PathSparse, cfg, tc, data)
				for i := range dense {
					if activation == ActBatchTopK {
						dense[i][outThreshold] = host[i][outThreshold] // free between two pre-activations
					}
					near(t, fmt.Sprintf("report of step %d", i+1), dense[i], host[i], 2e-4)
				}
				if last := dense[len(dense)-1]; (activation == ActReLU || activation == ActJumpReLU) && !(last[outDead] > 0 && last[outSparsity] > 0) {
					t.Errorf("dead-feature loss %g, sparsity %g; both should be positive", last[outDead], last[outSparsity])
				}
				for i, x := range w1.weights() {
					if x.slot == &w1.Threshold && activation == ActBatchTopK {
						continue // free between two pre-activations
					}
					near(t, x.name, (*x.slot)[x.layer], (*w2.weights()[i].slot)[x.layer], 1e-3)
				}
			})
		}
	}
}

// A batch in parts is the batch: neither λ nor any other weight depends on it.
func TestAccumulation(t *testing.T) {
	data := synthetic(2, 12, 30, 3, 2000, 5)
	for _, path := range []string{PathDense, PathSparse} {
		for _, activation := range []string{ActReLU, ActJumpReLU, ActTokenTopK} {
			cfg, tc := smallRun(activation)
			tc.Steps, tc.LR = 4, 1e-3
			whole, w1 := machineRun(t, path, cfg, tc, data)
			tc.Accumulate = 8
			parts, w2 := machineRun(t, path, cfg, tc, data)
			for i := range whole {
				skip := outLayers + cfg.Layers // variances are those of the parts
				near(t, activation+" report", whole[i][:skip], parts[i][:skip], 1e-4)
				near(t, activation+" report", whole[i][skip+cfg.Layers:], parts[i][skip+cfg.Layers:], 1e-4)
			}
			for i, x := range w1.weights() {
				near(t, activation+" "+x.name, (*x.slot)[x.layer], (*w2.weights()[i].slot)[x.layer], 1e-4)
			}
		}
	}
}

// The host's threshold is the one of a sort, at the first batch and later ones.
func TestHostBatchThreshold(t *testing.T) {
	cfg, tc := smallRun(ActBatchTopK)
	s := newSparse(goBackend(t), cfg, tc)
	for range cfg.Layers {
		s.layers = append(s.layers, &sparseLayer{bEnc: &hostVar{v: make([]float32, cfg.Features)}, lists: make([]entryList, 1)})
	}
	s.tokens = 50
	s.vars[thresholdName] = &hostVar{v: []float32{0}}
	for _, running := range []float32{0, 0.5, 9} {
		s.vars[thresholdName].v[0] = running
		var all []float32
		for l, y := range s.layers {
			y.h = make([]float32, s.tokens*cfg.Features)
			for i, v := range normals(uint64(l), len(y.h)) {
				y.h[i] = float32(v)
			}
			all = append(all, y.h...)
		}
		slices.Sort(all)
		for _, want := range []int{1, 300, 1200} {
			got := s.batchThreshold(want)
			if got < all[len(all)-want-1] || got >= all[len(all)-want] {
				t.Errorf("running %g: threshold %g for %d, want it in [%g, %g)", running, got, want, all[len(all)-want-1], all[len(all)-want])
			}
		}
	}
}
