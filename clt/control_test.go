package clt

import (
	"context"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// targetRun is a run whose L0 comes down from 6 to about 2.
func targetRun(at string, target float64) (Config, TrainConfig) {
	cfg, tc := smallRun(ActJumpReLU)
	tc.Steps, tc.Warmup, tc.LR, tc.Lambda, tc.TargetL0, tc.AtTarget = 150, 10, 6e-3, 3, target, at
	return cfg, tc
}

func TestTargets(t *testing.T) {
	data := synthetic(2, 12, 30, 3, 4000, 5)
	run := func(at string, target float64, dir string) (*Result, []Progress) {
		cfg, tc := targetRun(at, target)
		tc.TargetDir = dir
		r, reports, err := trainSmall(t, context.Background(), cfg, tc, data.Batches(tc.Batch, 1, 0))
		if err != nil {
			t.Fatal(err)
		}
		return r, reports
	}
	stopped, _ := run(TargetStop, 8, "")
	if stopped.Steps >= 150 || stopped.Steps < 10 {
		t.Fatalf("stopped after %d steps; L0 %g", stopped.Steps, stopped.Last.L0)
	}
	frozen, reports := run(TargetFreeze, 8, "")
	if want := stopped.Steps + 30; frozen.Steps != want {
		t.Errorf("frozen run has %d steps, want %d", frozen.Steps, want)
	}
	at, end := reports[stopped.Steps], reports[len(reports)-1]
	if at.Lambda != end.Lambda || !(end.LR < 0.2*at.LR) {
		t.Errorf("λ %g became %g, learning rate %g became %g", at.Lambda, end.Lambda, at.LR, end.LR)
	}
	dir := filepath.Join(t.TempDir(), "at")
	if whole, _ := run(TargetSave, 8, dir); whole.Steps != 150 {
		t.Errorf("a run that saves at its target has %d steps", whole.Steps)
	}
	saved, err := Load(dir)
	if err != nil || !slices.Equal(saved.WEnc[1], stopped.Transcoder.WEnc[1]) {
		t.Errorf("the transcoder at the target is not that of the stopped run (%v)", err)
	}
	for _, target := range []float64{3, 5} {
		cfg, tc := targetRun(TargetSteer, target)
		tc.Steps = 600
		r, _, err := trainSmall(t, context.Background(), cfg, tc, data.Batches(tc.Batch, 1, 0))
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Last.L0 / 2; math.Abs(got-target) > 0.15*target {
			t.Errorf("steered to %g, got %g with λ %g", target, got, r.Last.Lambda)
		}
	}
}

// The controller's state is part of a checkpoint.
func TestResumeSteered(t *testing.T) {
	data := synthetic(2, 12, 30, 3, 4000, 5)
	cfg, tc := targetRun(TargetSteer, 4)
	tc.Steps = 40
	whole, _, err := trainSmall(t, context.Background(), cfg, tc, data.Batches(tc.Batch, 1, 0))
	if err != nil {
		t.Fatal(err)
	}
	tc.CheckpointDir, tc.CheckpointEvery = filepath.Join(t.TempDir(), "ck"), 7
	ctx, cancel := context.WithCancel(context.Background())
	_, _ = Train(ctx, goBackend(t), cfg, data.Batches(tc.Batch, 1, 0), tc, func(p Progress) {
		if p.Step == 23 {
			cancel()
		}
	})
	r, _, err := trainSmall(t, context.Background(), cfg, tc, data.Batches(tc.Batch, 1, 0))
	if err != nil || !slices.Equal(r.Transcoder.WDec[0], whole.Transcoder.WDec[0]) {
		t.Errorf("resumed run differs (%v)", err)
	}
}

func TestTargetSettings(t *testing.T) {
	for _, c := range []struct {
		at     string
		target float64
		want   string
	}{{"", 3, "at_target is not set"}, {"halt", 3, `at_target is "halt"`}, {"stop", 0, "target_l0 is 0"}, {"save", 3, "no folder"}} {
		tc := DefaultTrainConfig()
		tc.AtTarget, tc.TargetL0 = c.at, c.target
		if err := tc.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q at %g: %v", c.at, c.target, err)
		}
	}
}
