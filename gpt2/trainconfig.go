package gpt2

import (
	"fmt"
	"math"
	"strings"
)

// TrainConfig says how a language model is trained: AdamW, linear warm-up, cosine
// decay, gradients clipped by their global norm.
type TrainConfig struct {
	Steps       int     `json:"steps"`
	Batch       int     `json:"batch"`      // windows per step
	Accumulate  int     `json:"accumulate"` // equal parts of a batch that run one after the other, for memory; 0 and 1: all at once
	Window      int     `json:"window"`     // tokens per window, at most the context
	LR          float64 `json:"lr"`         // peak
	MinLR       float64 `json:"min_lr"`     // at the end
	Warmup      int     `json:"warmup"`     // steps
	Beta1       float64 `json:"beta1"`
	Beta2       float64 `json:"beta2"`
	Epsilon     float64 `json:"epsilon"`
	WeightDecay float64 `json:"weight_decay"` // of the matrices of the blocks and an untied head; see Decays
	ClipNorm    float64 `json:"clip_norm"`
	Seed        uint64  `json:"seed"`
	SaveEvery   int     `json:"save_every"` // steps between checkpoints
	EvalEvery   int     `json:"eval_every"` // steps between validations, where text is held out; 0: at the end alone
}

// DefaultTrainConfig is the recipe of the pocket model.
func DefaultTrainConfig() TrainConfig {
	return TrainConfig{Steps: 4000, Batch: 32, Window: 64, LR: 3e-3, MinLR: 1e-4, Warmup: 100,
		Beta1: 0.9, Beta2: 0.95, Epsilon: 1e-8, ClipNorm: 1, Seed: 1, SaveEvery: 500, EvalEvery: 250}
}

// DefaultTextConfig is for people's texts, which unlike the pocket world's end: the
// weights decay.
func DefaultTextConfig() TrainConfig {
	c := DefaultTrainConfig()
	c.WeightDecay = 0.1
	return c
}

// DefaultFineTuneConfig is for a model that has learnt already: small steps.
func DefaultFineTuneConfig() TrainConfig {
	c := DefaultTextConfig()
	c.Steps, c.Batch, c.LR, c.MinLR = 500, 8, 1e-4, 1e-5
	return c
}

// Validate names the first field that cannot be.
func (c TrainConfig) Validate() error {
	for _, f := range []struct {
		name     string
		value    float64
		min, max float64
	}{
		{"steps", float64(c.Steps), 1, math.MaxInt32}, {"batch", float64(c.Batch), 1, math.MaxInt32},
		{"accumulate", float64(c.Accumulate), 0, float64(c.Batch)}, {"window", float64(c.Window), 2, math.MaxInt32},
		{"lr", c.LR, 1e-12, 1e3}, {"min_lr", c.MinLR, 0, 1e3}, {"warmup", float64(c.Warmup), 0, math.MaxInt32},
		{"beta1", c.Beta1, 0, 0.999999}, {"beta2", c.Beta2, 0, 0.999999}, {"epsilon", c.Epsilon, 1e-30, 1},
		{"weight_decay", c.WeightDecay, 0, 1e3}, {"clip_norm", c.ClipNorm, 0, 1e12},
		{"save_every", float64(c.SaveEvery), 0, math.MaxInt32}, {"eval_every", float64(c.EvalEvery), 0, math.MaxInt32},
	} {
		if !(f.value >= f.min && f.value <= f.max) {
			return fmt.Errorf("gpt2: train: %s is %.10g, must be between %.10g and %.10g", f.name, f.value, f.min, f.max)
		}
	}
	if c.Batch%c.parts() != 0 {
		return fmt.Errorf("gpt2: train: a batch of %d windows cannot be cut into %d equal parts; change batch or accumulate", c.Batch, c.Accumulate)
	}
	return nil
}

// parts is how many pieces of a batch run one after the other.
func (c TrainConfig) parts() int { return max(1, c.Accumulate) }

// LRAt is the learning rate of a step, counted from 0.
func (c TrainConfig) LRAt(step int) float64 {
	if step < c.Warmup {
		return c.LR * float64(step+1) / float64(c.Warmup)
	}
	done := float64(step-c.Warmup) / math.Max(1, float64(c.Steps-c.Warmup))
	return c.MinLR + (c.LR-c.MinLR)*0.5*(1+math.Cos(math.Pi*math.Min(1, done)))
}

// Decays says which weights AdamW shrinks: matrices, but neither biases, LayerNorm
// gains nor embeddings (and so no tied head), whose size carries meaning.
func Decays(weight string) bool {
	name := strings.TrimPrefix(weight, "/")
	switch {
	case name == "lm_head.weight":
		return true
	case !strings.HasPrefix(name, "h.") || !strings.HasSuffix(name, ".weight"):
		return false
	}
	return !strings.Contains(name, ".ln_")
}
