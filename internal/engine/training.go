package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// begun refuses to start anew where an interrupted run could go on, unless told so:
// what was learnt would be lost.
func begun(dir, checkpoint string, resume, fresh bool) error {
	switch {
	case resume && fresh:
		return fmt.Errorf("both resume and fresh are set; go on with the interrupted run, or drop it")
	case checkpoint == "" || resume || fresh:
		return nil
	}
	return fmt.Errorf("%s holds an interrupted run (%s); go on with it (-resume), drop it (-fresh), or give another folder", dir, checkpoint)
}

// resumable says that an interrupted run can go on.
func resumable(err error, checkpoint string) error {
	if errors.Is(err, context.Canceled) {
		if _, serr := os.Stat(checkpoint); serr == nil {
			return fmt.Errorf("interrupted, the state is in %s; run the same again with -resume: %w", filepath.Base(checkpoint), context.Canceled)
		}
	}
	return err
}

func setInt(dst *int, v int) {
	if v != 0 {
		*dst = v
	}
}

func (s *Service) lockedBackend(name string) (opened, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.backend(name)
}

// Train trains a transcoder on a model's activations and evaluates it on text
// that it did not see. The folder gets the weights, metrics.jsonl and, while it
// runs, checkpoints.
func (s *Service) Train(ctx context.Context, req wire.TrainRequest, report func(wire.Progress)) (out wire.TrainResponse, err error) {
	if req.Out == "" {
		return out, fmt.Errorf("engine: train: no output folder; give one")
	}
	m, _, err := s.model(req.Setup)
	if err != nil {
		return out, err
	}
	cfg, tc, err := trainConfigs(m, req)
	if err != nil {
		return out, err
	}
	done, err := firstStep(req, tc)
	if err != nil {
		return out, err
	}
	windows, err := openText(ctx, m, req.World, req.Texts, dataSeed(req, tc), report)
	if err != nil {
		return out, err
	}
	if req.Resume && done == 0 {
		out, ok, err := finished(m, cfg, tc, windows, req.Out)
		if ok {
			s.log("%s is finished; there is nothing to do", req.Out)
		}
		if ok || err != nil {
			return out, err
		}
	}
	tc.DataFrom = done
	data, err := s.openTrainData(m, cfg, tc, windows, req, done)
	if err != nil {
		return out, err
	}
	if !req.Resume { // only now that all else is right
		if err := dropCheckpoints(tc.CheckpointDir); err != nil {
			return out, fmt.Errorf("engine: train: %w; is the folder writable?", err)
		}
	}
	if err := data.sameData(tc.CheckpointDir, done); err != nil {
		return out, err
	}
	log, err := openMetrics(req.Out, done)
	if err != nil {
		return out, err
	}
	defer log.Close()
	if err := s.estimate(m, cfg, tc, windows.window); err != nil {
		return out, err
	}
	tc.Model, tc.Windows = m, windows.train
	result, err := clt.Train(ctx, m.Backend, cfg, data.batches(ctx, report), tc, func(p clt.Progress) {
		flow := data.flowSince(p)
		log.write(struct {
			clt.Progress
			dataFlow
		}{p, flow})
		values := map[string]float64{"nmse": p.NMSE, "l0": p.L0 / float64(cfg.Layers), "loss": p.Loss, "lambda": p.Lambda, "lr": p.LR,
			"dead": meanOf(p.DeadFraction), "tokens_per_s": p.TokensPerSec}
		if p.KL != 0 {
			values["kl"] = p.KL
		}
		tell(report, wire.Progress{Phase: "train", Done: p.Step, Total: p.Steps, Message: flow.message(p), Values: values})
	})
	if err != nil {
		return out, resumable(err, tc.CheckpointDir)
	}
	return s.finishTraining(ctx, m, result, windows, req, report)
}

// firstStep is how many steps were done before: those of the newest checkpoint, none
// for a run that starts anew.
func firstStep(req wire.TrainRequest, tc clt.TrainConfig) (int, error) {
	done, err := clt.CheckpointStep(tc.CheckpointDir)
	if err != nil && req.Resume {
		return 0, err
	}
	what := ""
	if done > 0 {
		what = fmt.Sprintf("the checkpoint of step %d", done)
	}
	if err := begun(req.Out, what, req.Resume, req.Fresh); err != nil {
		return 0, fmt.Errorf("engine: train: %w", err)
	}
	if !req.Resume {
		done = 0
	}
	return done, nil
}

// dropCheckpoints removes them all at once: what is killed in between leaves no half
// of them under their name.
func dropCheckpoints(dir string) error {
	aside := filepath.Join(filepath.Dir(dir), ".old-"+filepath.Base(dir))
	if err := os.RemoveAll(aside); err != nil {
		return err
	}
	if err := os.Rename(dir, aside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		if _, serr := os.Lstat(dir); serr == nil {
			return err
		}
	}
	return os.RemoveAll(aside)
}

// finished tells whether a folder holds what the run would make, and gives its
// evaluation.
func finished(m *gpt2.Model, cfg clt.Config, tc clt.TrainConfig, windows textWindows, dir string) (out wire.TrainResponse, ok bool, err error) {
	if _, err := os.Stat(filepath.Join(dir, "clt.json")); err != nil {
		return out, false, nil // nothing was finished here
	}
	t, err := clt.Load(dir)
	if err != nil {
		return out, false, err
	}
	other := func(what string) (wire.TrainResponse, bool, error) {
		return out, false, fmt.Errorf("engine: train: resume: %s has no checkpoint, and holds a finished transcoder of %s; name another folder, or train anew with -fresh", dir, what)
	}
	was := t.Info.Train
	if was == nil || t.Config != cfg {
		return other(fmt.Sprintf("config %+v, this run wants %+v", t.Config, cfg))
	}
	if tc.Path == clt.PathAuto {
		tc.Path = was.Path
	}
	if changed := tc.Changed(*was); changed != "" {
		return other("other settings: now " + changed)
	}
	if note := trainedOn(windows, tc); t.Info.Note != note || t.Info.TokenizerSHA256 != m.Tokenizer.SHA256() {
		return other(fmt.Sprintf("other data (%q, now %q)", t.Info.Note, note))
	}
	data, err := os.ReadFile(filepath.Join(dir, evaluationFile))
	if err == nil {
		err = json.Unmarshal(data, &out.Metrics)
	}
	if err != nil {
		return out, false, fmt.Errorf("engine: train: resume: %s is finished, but its evaluation cannot be read: %w; use clt eval", dir, err)
	}
	out.Out, out.Steps = dir, t.Info.Steps
	return out, true, nil
}

// evaluationFile, in the folder of a transcoder, is its evaluation after training.
const evaluationFile = "evaluation.json"

// trainedOn is the note of a transcoder on its data.
func trainedOn(windows textWindows, tc clt.TrainConfig) string {
	note := "trained on " + windows.name
	if tc.ShuffledTargets {
		note += " with the targets of other tokens, as a control"
	}
	return note
}

func meanOf(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	return mean(v)
}

// trainConfigs are the defaults, under the request's JSON, under its fields.
func trainConfigs(m *gpt2.Model, req wire.TrainRequest) (clt.Config, clt.TrainConfig, error) {
	cfg := clt.DefaultConfig(m.Config.Layers, m.Config.DModel)
	cfg.Model = m.Name
	if req.Activation != "" {
		cfg.Activation = req.Activation
	}
	tc := cfg.DefaultTrainConfig()
	if len(req.Config) > 0 {
		if err := json.Unmarshal(req.Config, &tc); err != nil {
			return cfg, tc, err
		}
	}
	setInt(&cfg.Features, req.Features)
	cfg.PerLayer, cfg.Skip = req.PerLayer, req.Skip
	if req.Read != "" {
		cfg.Read = gpt2.Site(req.Read)
	}
	if cfg.K = req.K; cfg.K == 0 && clt.TakesK(cfg.Activation) {
		cfg.K = 4
	}
	setInt(&tc.Batch, req.Batch)
	setInt(&tc.Steps, req.Steps)
	for _, f := range []struct {
		dst *float64
		v   float64
	}{{&tc.Lambda, req.Lambda}, {&tc.TanhScale, req.C}, {&tc.LR, req.LR}} {
		if f.v != 0 {
			*f.dst = f.v
		}
	}
	if req.Seed != 0 {
		tc.Seed = req.Seed
	}
	tc.Warmup = min(tc.Warmup, max(1, tc.Steps/10))
	tc.CheckpointDir, tc.TargetDir = filepath.Join(req.Out, "checkpoints"), filepath.Join(req.Out, "at-l0")
	if err := cfg.Validate(); err != nil {
		return cfg, tc, err
	}
	return cfg, tc, tc.Validate()
}

// finishTraining evaluates the transcoder and saves it.
func (s *Service) finishTraining(ctx context.Context, m *gpt2.Model, result *clt.Result, windows textWindows, req wire.TrainRequest, report func(wire.Progress)) (out wire.TrainResponse, err error) {
	t := result.Transcoder
	if t.Activation == clt.ActBatchTopK || t.Activation == clt.ActTokenTopK { // what was tracked in training is near; this is exact
		c, _, err := calibrated(ctx, m, t, windows.train, calibrationTokens, nil, report)
		if err != nil {
			return out, err
		}
		t.Threshold = c.Threshold
	}
	metrics, err := evaluate(ctx, m, t, windows.held, evalTokens, report)
	if err != nil {
		return out, err
	}
	t.Info.Note, t.Info.TokenizerSHA256 = trainedOn(windows, *t.Info.Train), m.Tokenizer.SHA256() // openText has asked for one
	if err := t.Save(req.Out); err != nil {
		return out, err
	}
	data, err := json.MarshalIndent(metrics, "", "  ")
	if err != nil {
		return out, err
	}
	if err := writeFile(filepath.Join(req.Out, evaluationFile), append(data, '\n')); err != nil {
		return out, err
	}
	if err := writeFile(filepath.Join(req.Out, "card.md"), []byte(card(filepath.Base(req.Out), t, *metrics))); err != nil {
		return out, err
	}
	_ = dropCheckpoints(filepath.Join(req.Out, "checkpoints"))
	return wire.TrainResponse{Out: req.Out, Steps: result.Steps, Metrics: metrics}, nil
}
