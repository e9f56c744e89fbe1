package gpt2

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/etredal/cross-layer-transcoder/internal/optim"
)

// TrainProgress is one report of a training run.
type TrainProgress struct {
	Step       int      `json:"step"` // steps done
	Steps      int      `json:"steps"`
	Loss       float64  `json:"loss"`               // mean of the batch, nats per token
	Validation *float64 `json:"val_loss,omitempty"` // mean of the held-out windows, nats per token; nil where it was not measured
	LR         float64  `json:"lr"`
	GradNorm   float64  `json:"grad_norm"`      // before clipping
	TokensPerS float64  `json:"tokens_per_sec"` // of this step
}

// TokenSource gives the batch of a step: Batch windows of Window tokens. It must
// depend on the step alone, so that a resumed run sees the same data.
type TokenSource func(step int) ([][]int32, error)

// Batch is the batch of a step, or the error of a context that has ended.
func (s TokenSource) Batch(ctx context.Context, step int) ([][]int32, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s(step)
}

// TrainData is what a model learns from.
type TrainData struct {
	Windows TokenSource
	Held    [][]int32 // windows of one length for validation; none: no validation
	Digest  string    // of the text; a checkpoint of another text is refused
}

// Train trains a model from its current weights. With a checkpoint path it saves
// its state there every SaveEvery steps and when ctx ends, and continues from
// what the file holds; the continued run equals the uninterrupted one bit for
// bit on one backend.
func Train(ctx context.Context, m *Model, data TrainData, cfg TrainConfig, checkpoint string, report func(TrainProgress)) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	if m.BF16 {
		return fmt.Errorf("gpt2: train: the model is open in bfloat16, in which small steps are lost; open it in float32")
	}
	if cfg.Window > m.Config.Context {
		return fmt.Errorf("gpt2: train: window %d is longer than the context %d", cfg.Window, m.Config.Context)
	}
	t, err := newTrainer(m, data, cfg)
	if err != nil {
		return err
	}
	defer t.close()
	first, err := t.resume(checkpoint)
	if err != nil {
		return err
	}
	for step := first; step < cfg.Steps; step++ {
		if ctx.Err() != nil {
			return errors.Join(ctx.Err(), t.checkpoint(checkpoint, step))
		}
		p, err := t.step(step)
		if err != nil {
			return err
		}
		if math.IsNaN(p.Loss) || math.IsInf(p.Loss, 0) {
			return fmt.Errorf("gpt2: train: the loss is %g at step %d; lower the learning rate (%g); the last checkpoint is kept", p.Loss, step, cfg.LR)
		}
		if len(data.Held) > 0 && (p.Step == cfg.Steps || cfg.EvalEvery > 0 && p.Step%cfg.EvalEvery == 0) {
			loss, err := m.Loss(ctx, data.Held, cfg.Batch/cfg.parts())
			if err == nil {
				p.Validation = &loss
			} else if ctx.Err() == nil {
				return err
			}
		}
		if report != nil {
			report(p)
		}
		if cfg.SaveEvery > 0 && p.Step%cfg.SaveEvery == 0 && p.Step < cfg.Steps {
			if err := t.checkpoint(checkpoint, p.Step); err != nil {
				return err
			}
		}
	}
	return t.checkpoint(checkpoint, cfg.Steps)
}

// trainer is one training run.
type trainer struct {
	m    *Model
	data TrainData
	cfg  TrainConfig
	vars []*model.Variable

	whole         *model.Exec // a step in one program
	collect, sums *model.Exec // or its parts, then the update
}

func newTrainer(m *Model, data TrainData, cfg TrainConfig) (*trainer, error) {
	vars, err := m.variables()
	if err != nil {
		return nil, err
	}
	if err := optim.Prepare(m.Store, vars); err != nil {
		return nil, err
	}
	t := &trainer{m: m, data: data, cfg: cfg, vars: vars}
	adam := optim.Adam{Beta1: cfg.Beta1, Beta2: cfg.Beta2, Epsilon: cfg.Epsilon, ClipNorm: cfg.ClipNorm,
		WeightDecay: cfg.WeightDecay, Decays: Decays}
	if cfg.parts() == 1 {
		t.whole, err = model.NewExec(m.Backend, m.Store, trainGraph(m.Config, adam, vars))
	} else if err = optim.PrepareSums(m.Store, vars); err == nil {
		t.collect, err = model.NewExec(m.Backend, m.Store, collectGraph(m.Config, vars, cfg.parts()))
		if err == nil {
			t.sums, err = model.NewExec(m.Backend, m.Store, applyGraph(adam, vars))
		}
	}
	if err != nil {
		t.close()
		return nil, fmt.Errorf("gpt2: train: %w", err)
	}
	return t, nil
}

func (t *trainer) close() {
	for _, e := range []*model.Exec{t.whole, t.collect, t.sums} {
		if e != nil {
			e.Finalize()
		}
	}
}

// step does one step, counted from 0.
func (t *trainer) step(step int) (TrainProgress, error) {
	begin := time.Now()
	batch, err := t.data.Windows(step)
	if err != nil {
		return TrainProgress{}, err
	}
	lr := t.cfg.LRAt(step)
	rate, number := tensors.FromScalar(float32(lr)), tensors.FromScalar(float32(step+1))
	var loss, norm float64
	if t.whole != nil {
		tokens, err := t.m.flatten(batch)
		if err != nil {
			return TrainProgress{}, err
		}
		out, err := scalars(t.whole, tokens, rate, number)
		if err != nil {
			return TrainProgress{}, err
		}
		loss, norm = out[0], out[1]
	} else {
		size := len(batch) / t.cfg.parts()
		for i := range t.cfg.parts() {
			tokens, err := t.m.flatten(batch[i*size : (i+1)*size])
			if err != nil {
				return TrainProgress{}, err
			}
			out, err := scalars(t.collect, tokens)
			if err != nil {
				return TrainProgress{}, err
			}
			loss += out[0] / float64(t.cfg.parts())
		}
		out, err := scalars(t.sums, rate, number)
		if err != nil {
			return TrainProgress{}, err
		}
		norm = out[0]
	}
	speed := float64(t.cfg.Batch*t.cfg.Window) / time.Since(begin).Seconds()
	return TrainProgress{Step: step + 1, Steps: t.cfg.Steps, Loss: loss, LR: lr, GradNorm: norm, TokensPerS: speed}, nil
}

// scalars runs a program and reads its outputs, one number each.
func scalars(exec *model.Exec, args ...any) ([]float64, error) {
	out, err := exec.Call(args...)
	if err != nil {
		return nil, fmt.Errorf("gpt2: train: %w", err)
	}
	list := make([]float64, len(out))
	for i, o := range out {
		a, err := FromTensor(o)
		if err != nil {
			return nil, err
		}
		list[i] = a.At(0)
		_ = o.FinalizeAll()
	}
	return list, nil
}

// Loss is the mean next-token loss of windows of one length, in nats per token,
// in batches of the given size.
func (m *Model) Loss(ctx context.Context, windows [][]int32, batch int) (float64, error) {
	if len(windows) == 0 || batch < 1 {
		return 0, fmt.Errorf("gpt2: loss of %d windows in batches of %d; give at least one of each", len(windows), batch)
	}
	batch = min(batch, len(windows))
	exec, err := Compiled(m, "loss", lossGraph(m.Config))
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for lo := 0; lo < len(windows); lo += batch {
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		part := make([][]int32, batch) // the last is filled up: one shape, one program
		for i := range part {
			part[i] = windows[min(lo+i, len(windows)-1)]
		}
		tokens, err := m.flatten(part)
		if err != nil {
			return 0, err
		}
		out, err := exec.Call(tokens)
		if err != nil {
			return 0, fmt.Errorf("gpt2: loss: %w", err)
		}
		a, err := FromTensor(out[0]) // [batch]
		if err != nil {
			return 0, err
		}
		for i := range min(batch, len(windows)-lo) {
			sum += a.At(i)
		}
		if err := out[0].FinalizeAll(); err != nil {
			return 0, fmt.Errorf("gpt2: loss: %w", err)
		}
	}
	return sum / float64(len(windows)), nil
}

// variables lists the weights in a fixed order.
func (m *Model) variables() ([]*model.Variable, error) {
	var vars []*model.Variable
	for _, name := range sortedNames(WeightShapes(m.Config)) {
		v := m.Store.GetVariable("/" + name)
		if v == nil {
			return nil, fmt.Errorf("gpt2: weight %s is missing", name)
		}
		vars = append(vars, v)
	}
	return vars, nil
}

// Untrained makes a model with the initial weights of a seed, those of InitParams.
// They go to the device one tensor at a time.
func Untrained(backend compute.Backend, cfg Config, seed uint64) (*Model, error) {
	m, err := empty(backend, cfg, LoadOptions{})
	if err != nil {
		return nil, err
	}
	shapes := WeightShapes(cfg)
	for _, name := range sortedNames(shapes) {
		if err := m.addWeight(name, initParam(cfg, name, shapes[name], seed)); err != nil {
			return nil, err
		}
	}
	return m, nil
}
