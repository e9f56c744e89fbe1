package clt

import (
	"fmt"
	"math"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
)

// validateKL checks the settings of KL steps.
func (c TrainConfig) validateKL() error {
	if c.KLSteps < 0 || c.KLSteps > math.MaxInt32 {
		return fmt.Errorf("clt: train config: kl_steps is %d, must be between 0 and %d", c.KLSteps, math.MaxInt32)
	}
	for _, f := range []struct {
		name       string
		value, max float64
		try        string
	}{{"kl_weight", c.KLWeight, 1e9, "200"}, {"kl_batch", float64(c.KLBatch), math.MaxInt32, "8"}, {"kl_lr", c.KLLR, 1e3, "3e-4"}} {
		switch {
		case c.KLSteps == 0 && f.value != 0:
			return fmt.Errorf("clt: train config: %s is %g, but there are no KL steps; set kl_steps", f.name, f.value)
		case c.KLSteps > 0 && !(f.value > 0 && f.value <= f.max):
			return fmt.Errorf("clt: train config: %s is %g, must be above 0 and at most %g with kl_steps; try %s", f.name, f.value, f.max, f.try)
		}
	}
	if c.KLSteps > 0 && c.KLBatch%max(1, c.Accumulate) != 0 {
		return fmt.Errorf("clt: train config: accumulate is %d, must divide kl_batch (%d) too", c.Accumulate, c.KLBatch)
	}
	return nil
}

// klRate is the learning rate of a KL step, counted from 0.
func (c TrainConfig) klRate(step int) float64 {
	return c.KLLR * (1 - (1-c.FinalLR)*float64(step)/float64(c.KLSteps))
}

// checkKL says why the KL steps of a run cannot be done, or how many tokens each has,
// position 0 not counted.
func checkKL(b compute.Backend, cfg Config, tc TrainConfig) (tokens int, err error) {
	m := tc.Model
	switch {
	case tc.KLSteps == 0:
		return 0, nil
	case cfg.Activation == ActTokenTopK || cfg.Activation == ActGlobalTopK:
		return 0, fmt.Errorf("clt: kl_steps is %d, but %s has no threshold while it trains, without which the replacement model cannot run; use batchtopk", tc.KLSteps, cfg.Activation)
	case m == nil || tc.Windows == nil:
		return 0, fmt.Errorf("clt: kl_steps is %d, but there is no language model or no text to run it on; give both", tc.KLSteps)
	case m.Backend != b:
		return 0, fmt.Errorf("clt: KL steps: the language model is on another backend than the training; open both on one")
	case m.BF16 || m.DType() != dtypes.Float32:
		return 0, fmt.Errorf("clt: KL steps need the language model in float32; open it so")
	case m.Config.Layers != cfg.Layers || m.Config.DModel != cfg.DModel:
		return 0, fmt.Errorf("clt: KL steps: the language model has %d layers of width %d, the transcoder %d of %d", m.Config.Layers, m.Config.DModel, cfg.Layers, cfg.DModel)
	}
	list, err := tc.sequences(0)
	if err != nil {
		return 0, err
	}
	if len(list[0]) < 2 {
		return 0, fmt.Errorf("clt: KL steps: windows of less than two tokens have nothing but position 0; make them longer")
	}
	return len(list) * (len(list[0]) - 1), nil
}

// sequences are the windows of a KL step, counted from 0: the next KLBatch of the
// source, however many one of its batches has.
func (c TrainConfig) sequences(step int) ([][]int32, error) {
	batch, err := c.Windows(0)
	if err != nil {
		return nil, err
	}
	n, at := len(batch), 0
	if n == 0 {
		return nil, fmt.Errorf("clt: KL steps: the text gives no windows")
	}
	list := make([][]int32, c.KLBatch)
	for j := range list {
		i := step*c.KLBatch + j
		if i/n != at {
			at = i / n
			if batch, err = c.Windows(at); err != nil {
				return nil, err
			}
		}
		if len(batch) != n || len(batch[i%n]) != len(batch[0]) {
			return nil, fmt.Errorf("clt: KL steps: batch %d of the text has other sizes than the first; make all alike", at)
		}
		list[j] = batch[i%n]
		if len(list[j]) != len(list[0]) {
			return nil, fmt.Errorf("clt: KL steps: windows of %d and of %d tokens; make all alike", len(list[0]), len(list[j]))
		}
		if err := c.Model.CheckTokens(list[j]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// tokens is how many tokens were trained on, position 0 not counted.
func (t *trainer) tokens() int {
	normal := min(t.done, t.normal())
	return normal*t.tc.Batch + (t.done-normal)*t.klTokens
}

// klStep does one KL step, and returns the vector of a step and the divergence.
func (t *trainer) klStep(lr, lambda, number float32) ([]float32, float64, error) {
	list, err := t.tc.sequences(t.done - t.normal())
	if err != nil {
		return nil, 0, err
	}
	d, ok := t.machine.(*dense)
	if !ok {
		if d, err = t.toDense(); err != nil {
			return nil, 0, err
		}
	}
	if d.kl == nil {
		if err := d.attach(t.tc.Model, t.stats); err != nil {
			return nil, 0, err
		}
	}
	return d.klStep(lr, lambda, number, list)
}

// toDense moves all variables into a machine that can follow a gradient through
// the language model.
func (t *trainer) toDense() (*dense, error) {
	d := newDense(t.backend, t.cfg, t.tc)
	var trained []string
	for _, name := range t.machine.names() {
		values, shape, err := t.machine.get(name)
		if err == nil {
			err = d.create(name, values, shape)
		}
		if err != nil {
			d.free()
			return nil, err
		}
		if strings.HasPrefix(name, weightPrefix) {
			trained = append(trained, name)
		}
	}
	if err := d.ready(trained); err != nil {
		d.free()
		return nil, err
	}
	t.machine.free()
	t.machine = d
	return d, nil
}
