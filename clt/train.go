package clt

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"strings"
	"time"

	"github.com/gomlx/compute"
)

// Result is what a training run leaves.
type Result struct {
	Transcoder *Transcoder // raw space, ready for use
	Steps      int         // steps done, resumed ones included
	Last       Progress    // of the last step of this run
}

// Train trains a transcoder on batches of exactly tc.Batch tokens, and calls
// report (which may be nil) every tc.ReportEvery steps and after the last.
//
// The steps on batches may be followed by KL steps, on sequences of their own.
//
// The first batches, tc.StatTokens tokens, give scales and initial biases, and
// are then trained on. With a checkpoint folder the state is saved every
// tc.CheckpointEvery steps and at the end; when the folder holds a checkpoint of
// the same settings the run goes on from there, after dropping from data the
// batches that were used. On one backend the result is bit for bit that of an
// uninterrupted run. Nothing in training is random after the initial weights.
//
// When ctx ends, data runs out or a loss is not finite, Train saves the last good
// state and returns it with the error.
func Train(ctx context.Context, b compute.Backend, cfg Config, data iter.Seq2[Batch, error], tc TrainConfig, report func(Progress)) (*Result, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := tc.Validate(); err != nil {
		return nil, err
	}
	if cfg.Signed {
		return nil, fmt.Errorf("clt: train: signed features are read from others' files, not trained; set signed to false")
	}
	next, stop := iter.Pull2(data)
	defer stop()
	src := &source{next: next, cfg: cfg, size: tc.Batch}
	t, err := prepare(b, cfg, tc, src)
	if err != nil {
		return nil, err
	}
	defer t.free()
	return t.run(ctx, src, report)
}

// prepare resumes from the newest checkpoint, or starts from new weights.
func prepare(b compute.Backend, cfg Config, tc TrainConfig, src *source) (*trainer, error) {
	tokens, err := checkKL(b, cfg, tc)
	if err != nil {
		return nil, err
	}
	t, err := newTrainer(b, cfg, tc)
	if err != nil {
		return nil, err
	}
	t.klTokens = tokens
	if tc.CheckpointDir != "" {
		found, err := t.restore()
		if err != nil {
			return nil, err
		}
		if found && t.done < t.normal() {
			return t, src.skip(t.done - tc.DataFrom)
		}
		if found {
			return t, nil
		}
	}
	sample, err := src.sample(tc.StatTokens)
	if err != nil {
		return nil, err
	}
	if t.stats, err = Measure(cfg, sample); err != nil {
		return nil, err
	}
	if tc.ScaleOut == ScaleVariance {
		if err := t.stats.scaleByVariance(cfg, sample); err != nil {
			return nil, err
		}
	}
	w, err := t.initialWeights(sample)
	if err != nil {
		return nil, err
	}
	return t, t.setWeights(w)
}

// initialWeights returns tc.Init, or random weights with decoder biases at the
// mean output and encoder biases at a firing rate, in scaled space.
func (t *trainer) initialWeights(sample []Batch) (*Transcoder, error) {
	if t.tc.Init != nil {
		if t.tc.Init.Config != t.cfg {
			return nil, fmt.Errorf("clt: initial weights are of config %+v, training wants %+v", t.tc.Init.Config, t.cfg)
		}
		return t.stats.unfold(t.tc.Init), t.tc.Init.Validate()
	}
	w, err := New(t.cfg, float32(t.tc.Theta0), t.tc.Seed)
	if err != nil {
		return nil, err
	}
	for l := range w.BDec {
		w.BDec[l] = scaled(t.stats.MeanOut[l], t.stats.ScaleOut[l])
	}
	if t.tc.InitActive > 0 {
		rate := min(0.3, t.tc.InitActive/float64(t.cfg.Features))
		err = t.calibrateBiases(w, sample, rate)
	}
	return w, err
}

// run does the remaining steps.
func (t *trainer) run(ctx context.Context, src *source, report func(Progress)) (*Result, error) {
	begin, last, lastTokens := time.Now(), time.Now(), t.tokens()
	var p Progress
	if err := t.saveAtTarget(); err != nil { // the run that reached it could not
		return t.interrupted(p, err)
	}
	for t.done < t.last() {
		err := ctx.Err()
		if err == nil {
			p, err = t.next(src)
		}
		if err != nil {
			return t.interrupted(p, err)
		}
		if err := t.saveAtTarget(); err != nil {
			return t.interrupted(p, err)
		}
		if t.done%t.tc.ReportEvery == 0 || t.done == t.last() {
			now := time.Now()
			wall := max(now.Sub(last).Seconds(), 1e-9)
			p.TokensPerSec = float64(t.tokens()-lastTokens) / wall
			p.DataWait = src.waited.Seconds() / wall
			p.Elapsed = now.Sub(begin)
			last, lastTokens, src.waited = now, t.tokens(), 0
			if report != nil {
				report(p)
			}
		}
		if t.tc.CheckpointDir != "" && (t.done%t.tc.CheckpointEvery == 0 || t.done == t.last()) {
			if err := t.save(); err != nil {
				return t.interrupted(p, err)
			}
		}
	}
	return t.result(p)
}

// interrupted keeps what was done, in a checkpoint and in the result.
func (t *trainer) interrupted(p Progress, cause error) (*Result, error) {
	err := fmt.Errorf("clt: training stopped after step %d of %d: %w", t.done, t.tc.Steps+t.tc.KLSteps, cause)
	var unsaved *unsavedError
	switch {
	case errors.As(cause, &unsaved): // it would fail again
		err = fmt.Errorf("%w; %s", err, t.kept())
	case t.tc.CheckpointDir != "" && t.done > 0:
		if e := t.save(); e != nil {
			err = fmt.Errorf("%w; and no checkpoint could be saved: %w; %s", err, e, t.kept())
		}
	}
	r, e := t.result(p)
	if e != nil {
		return nil, fmt.Errorf("%w; and the weights cannot be had: %w", err, e)
	}
	return r, err
}

// saveAtTarget saves the transcoder of the step that reached the target.
func (t *trainer) saveAtTarget() error {
	if t.tc.AtTarget != TargetSave || t.done == 0 || t.control.Reached != t.done {
		return nil
	}
	r, err := t.result(Progress{})
	if err != nil {
		return err
	}
	return r.Transcoder.Save(t.tc.TargetDir)
}

func (t *trainer) result(p Progress) (*Result, error) {
	w, err := t.weights()
	if err != nil {
		return nil, err
	}
	raw := t.stats.foldOwn(w)
	tc := t.tc
	tc.Init, tc.Model, tc.Windows = nil, nil, nil
	tc.CheckpointEvery, tc.KeepCheckpoints = 0, 0 // of the run, not of what it made
	raw.Info = Info{Train: &tc, Stats: t.stats, Steps: t.done, Tokens: t.tokens()}
	return &Result{Transcoder: raw, Steps: t.done, Last: p}, raw.Validate()
}

// next does the next step.
func (t *trainer) next(src *source) (Progress, error) {
	if t.done >= t.normal() {
		return t.step(t.klStep)
	}
	b, err := src.batch()
	if err != nil {
		return Progress{}, err
	}
	if t.tc.ShuffledTargets {
		b = b.otherTargets(t.cfg.DModel)
	}
	return t.train(b)
}

func (t *trainer) train(b Batch) (Progress, error) {
	return t.step(func(lr, lambda, number float32) ([]float32, float64, error) {
		v, err := t.machine.step(lr, lambda, number, t.parts(t.stats.scale(b)))
		return v, 0, err
	})
}

// step does one step, given what computes it. One that is not finite leaves the
// weights as they were.
func (t *trainer) step(compute func(lr, lambda, number float32) (v []float32, kl float64, err error)) (Progress, error) {
	lr, lambda := t.lr(), t.lambda()
	v, kl, err := compute(float32(lr), float32(lambda), float32(t.done+1))
	if err != nil {
		return Progress{}, fmt.Errorf("step %d: %w", t.done+1, err)
	}
	p := readStep(v, t.cfg.Layers)
	p.Step, p.Steps, p.LR, p.Lambda, p.KL = t.done+1, t.tc.Steps+t.tc.KLSteps, lr, lambda, kl
	if v[outFinite] == 0 {
		return p, fmt.Errorf("step %d is not finite: %s; its update was dropped; lower the learning rate (now %g) or check the data", p.Step, p.notFinite(), lr)
	}
	t.done++
	t.watch(p)
	return p, nil
}

// notFinite names the terms that are not finite.
func (p Progress) notFinite() string {
	var bad []string
	for _, x := range []struct {
		name  string
		value float64
	}{{"reconstruction", p.Reconstruction}, {"sparsity", p.Sparsity}, {"dead-feature loss", p.Dead}, {"aux loss", p.Aux}, {"KL divergence", p.KL}, {"gradient norm", p.GradientNorm}} {
		if math.IsNaN(x.value) || math.IsInf(x.value, 0) {
			bad = append(bad, fmt.Sprintf("%s is %g", x.name, x.value))
		}
	}
	return strings.Join(bad, ", ")
}
