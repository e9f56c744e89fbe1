package gpt2

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/etredal/cross-layer-transcoder/internal/optim"
	"github.com/etredal/cross-layer-transcoder/internal/safetensors"
)

// TrainConfig says how a language model is trained: Adam, linear warm-up, cosine
// decay, gradients clipped by their global norm.
type TrainConfig struct {
	Steps     int     `json:"steps"`
	Batch     int     `json:"batch"`  // windows per step
	Window    int     `json:"window"` // tokens per window, at most the context
	LR        float64 `json:"lr"`     // peak
	MinLR     float64 `json:"min_lr"` // at the end
	Warmup    int     `json:"warmup"` // steps
	Beta1     float64 `json:"beta1"`
	Beta2     float64 `json:"beta2"`
	Epsilon   float64 `json:"epsilon"`
	ClipNorm  float64 `json:"clip_norm"`
	Seed      uint64  `json:"seed"`
	SaveEvery int     `json:"save_every"` // steps between checkpoints
}

// DefaultTrainConfig is the recipe of the pocket model.
func DefaultTrainConfig() TrainConfig {
	return TrainConfig{Steps: 4000, Batch: 32, Window: 64, LR: 3e-3, MinLR: 1e-4, Warmup: 100,
		Beta1: 0.9, Beta2: 0.95, Epsilon: 1e-8, ClipNorm: 1, Seed: 1, SaveEvery: 500}
}

// Validate names the first field that cannot be.
func (c TrainConfig) Validate() error {
	switch {
	case c.Steps <= 0:
		return fmt.Errorf("gpt2: train: steps is %d, must be positive", c.Steps)
	case c.Batch <= 0 || c.Window < 2:
		return fmt.Errorf("gpt2: train: batch %d and window %d, must be at least 1 and 2", c.Batch, c.Window)
	case !(c.LR > 0) || c.MinLR < 0:
		return fmt.Errorf("gpt2: train: learning rate %g to %g, must be positive", c.LR, c.MinLR)
	}
	return nil
}

// LRAt is the learning rate of a step, counted from 0.
func (c TrainConfig) LRAt(step int) float64 {
	if step < c.Warmup {
		return c.LR * float64(step+1) / float64(c.Warmup)
	}
	done := float64(step-c.Warmup) / math.Max(1, float64(c.Steps-c.Warmup))
	return c.MinLR + (c.LR-c.MinLR)*0.5*(1+math.Cos(math.Pi*math.Min(1, done)))
}

// TrainProgress is one report of a training run.
type TrainProgress struct {
	Step, Steps int
	Loss        float64 // mean of the batch, nats per token
	LR          float64
	GradNorm    float64
}

// TokenSource gives the batch of a step: Batch windows of Window tokens. It must
// depend on the step alone, so that a resumed run sees the same data.
type TokenSource func(step int) ([][]int32, error)

// trainState is what a checkpoint holds beside the tensors.
type trainState struct {
	Step   int         `json:"step"`
	Config TrainConfig `json:"config"`
	Model  string      `json:"model"` // config.json of the model
}

// Train trains a model from its current weights. With a checkpoint path it saves
// its state there every SaveEvery steps and when ctx ends, and continues from
// what the file holds; the continued run equals the uninterrupted one bit for
// bit on one backend.
func Train(ctx context.Context, m *Model, data TokenSource, cfg TrainConfig, checkpoint string, report func(TrainProgress)) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	if cfg.Window > m.Config.Context {
		return fmt.Errorf("gpt2: train: window %d is longer than the context %d", cfg.Window, m.Config.Context)
	}
	vars, err := m.variables()
	if err != nil {
		return err
	}
	if err := optim.Prepare(m.Store, vars); err != nil {
		return err
	}
	first, err := m.resume(checkpoint, cfg)
	if err != nil {
		return err
	}
	adam := optim.Adam{Beta1: cfg.Beta1, Beta2: cfg.Beta2, Epsilon: cfg.Epsilon, ClipNorm: cfg.ClipNorm}
	exec, err := model.NewExec(m.Backend, m.Store, trainGraph(m.Config, adam, vars))
	if err != nil {
		return fmt.Errorf("gpt2: train: %w", err)
	}
	defer exec.Finalize()
	for step := first; step < cfg.Steps; step++ {
		if ctx.Err() != nil {
			return errors.Join(ctx.Err(), m.checkpoint(checkpoint, step, cfg))
		}
		p, err := m.trainStep(exec, data, cfg, step)
		if err != nil {
			return err
		}
		if math.IsNaN(p.Loss) || math.IsInf(p.Loss, 0) {
			return fmt.Errorf("gpt2: train: the loss is %g at step %d; lower the learning rate (%g); the last checkpoint is kept", p.Loss, step, cfg.LR)
		}
		if report != nil {
			report(p)
		}
		if cfg.SaveEvery > 0 && (step+1)%cfg.SaveEvery == 0 {
			if err := m.checkpoint(checkpoint, step+1, cfg); err != nil {
				return err
			}
		}
	}
	return m.checkpoint(checkpoint, cfg.Steps, cfg)
}

func (m *Model) trainStep(exec *model.Exec, data TokenSource, cfg TrainConfig, step int) (TrainProgress, error) {
	batch, err := data(step)
	if err != nil {
		return TrainProgress{}, err
	}
	tokens, err := m.flatten(batch)
	if err != nil {
		return TrainProgress{}, err
	}
	lr := cfg.LRAt(step)
	out, err := exec.Call(tokens, tensors.FromScalar(float32(lr)), tensors.FromScalar(float32(step+1)))
	if err != nil {
		return TrainProgress{}, fmt.Errorf("gpt2: train: %w", err)
	}
	loss, err := FromTensor(out[0])
	if err != nil {
		return TrainProgress{}, err
	}
	norm, err := FromTensor(out[1])
	if err != nil {
		return TrainProgress{}, err
	}
	return TrainProgress{Step: step + 1, Steps: cfg.Steps, Loss: loss.At(0), LR: lr, GradNorm: norm.At(0)}, nil
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

// checkpoint writes weights, moments and step, whole or not at all.
func (m *Model) checkpoint(path string, step int, cfg TrainConfig) error {
	if path == "" {
		return nil
	}
	config, err := m.Config.MarshalHF()
	if err != nil {
		return err
	}
	state, err := json.Marshal(trainState{Step: step, Config: cfg, Model: string(config)})
	if err != nil {
		return err
	}
	var list []safetensors.Tensor
	for v := range m.Store.IterVariables() {
		t, err := v.Value()
		if err != nil {
			return fmt.Errorf("gpt2: checkpoint: %w", err)
		}
		a, err := FromTensor(t)
		if err != nil {
			continue // state that is no float, such as a random generator's, is not ours
		}
		list = append(list, safetensors.F32(strings.TrimPrefix(v.Path(), "/"), a.Shape, a.Float32s()))
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return fmt.Errorf("gpt2: checkpoint: %w", err)
	}
	return safetensors.WriteFile(path, map[string]string{"state": string(state)}, list...)
}

// resume loads a checkpoint of the same run and returns its step; 0 if none.
func (m *Model) resume(path string, cfg TrainConfig) (int, error) {
	if path == "" {
		return 0, nil
	}
	if _, err := os.Stat(path); os.IsNotExist(err) {
		return 0, nil
	}
	f, err := safetensors.Open(path)
	if err != nil {
		return 0, fmt.Errorf("gpt2: resume: %w", err)
	}
	defer f.Close()
	var state trainState
	if err := json.Unmarshal([]byte(f.Metadata()["state"]), &state); err != nil {
		return 0, fmt.Errorf("gpt2: resume: %s holds no training state: %w", filepath.Base(path), err)
	}
	config, err := m.Config.MarshalHF()
	if err != nil {
		return 0, err
	}
	if state.Model != string(config) || state.Config != cfg {
		return 0, fmt.Errorf("gpt2: resume: %s was made with another model or training configuration; remove it or use another output folder", filepath.Base(path))
	}
	for v := range m.Store.IterVariables() {
		name := strings.TrimPrefix(v.Path(), "/")
		if _, ok := f.Info(name); !ok {
			continue
		}
		values, err := f.Float32(name)
		if err != nil {
			return 0, fmt.Errorf("gpt2: resume: %w", err)
		}
		if err := v.SetValue(tensors.FromFlatDataAndDimensions(values, v.Shape().Dimensions...)); err != nil {
			return 0, fmt.Errorf("gpt2: resume: %w", err)
		}
	}
	return state.Step, nil
}

// Untrained makes a model with the initial weights of a seed.
func Untrained(backend compute.Backend, cfg Config, seed uint64) (*Model, error) {
	return New(backend, cfg, InitParams(cfg, seed), LoadOptions{})
}
