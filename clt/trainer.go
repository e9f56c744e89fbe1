package clt

import (
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute"
)

// Names of the variables of a training run. Thresholds are trained as their
// logarithm divided by ThresholdRate, which makes the optimiser's step on the
// logarithm ThresholdRate times the learning rate.
const (
	weightPrefix  = "clt/"
	idleName      = "state/idle_%d"
	thresholdName = "state/threshold"
	logThreshold  = "log_threshold"
)

// trainer is a training run: weights, moments and counters are variables of a
// machine, in scaled space.
type trainer struct {
	cfg     Config
	tc      TrainConfig
	backend compute.Backend
	machine machine
	stats   *Stats
	control control
	done    int // steps

	klTokens int // of a KL step
}

func newTrainer(b compute.Backend, cfg Config, tc TrainConfig) (*trainer, error) {
	m, path, err := newMachine(b, cfg, tc)
	if err != nil {
		return nil, err
	}
	tc.Path = path
	return &trainer{cfg: cfg, tc: tc, backend: b, machine: m}, nil
}

func (t *trainer) free() { t.machine.free() }

// setWeights creates all variables from weights in scaled space.
func (t *trainer) setWeights(w *Transcoder) error {
	var trained []string
	for _, x := range w.weights() {
		values, name := (*x.slot)[x.layer], x.name
		if x.slot == &w.Threshold {
			if t.cfg.Activation != ActJumpReLU {
				continue // it is found, not trained
			}
			name, values = fmt.Sprintf("%s_%d", logThreshold, x.layer), slices.Clone(values)
			for i, v := range values {
				values[i] = float32(math.Log(max(float64(v), 1e-9)) / t.tc.ThresholdRate)
			}
		}
		if err := t.machine.create(weightPrefix+name, values, x.shape); err != nil {
			return err
		}
		trained = append(trained, weightPrefix+name)
	}
	start := float32(0)
	if t.cfg.Activation == ActBatchTopK && t.tc.Init != nil {
		start = w.Threshold[0][0]
	}
	if err := t.machine.create(thresholdName, []float32{start}, nil); err != nil {
		return err
	}
	for l := range t.cfg.Layers {
		if err := t.machine.create(fmt.Sprintf(idleName, l), make([]float32, t.cfg.Features), []int{t.cfg.Features}); err != nil {
			return err
		}
	}
	return t.machine.ready(trained)
}

// weights reads the weights back, in scaled space.
func (t *trainer) weights() (*Transcoder, error) {
	w := blank(t.cfg)
	for _, x := range w.weights() {
		name := x.name
		if x.slot == &w.Threshold {
			name = fmt.Sprintf("%s_%d", logThreshold, x.layer)
			if t.cfg.selects() {
				v, _, err := t.machine.get(thresholdName)
				if err != nil {
					return nil, err
				}
				w.Threshold[x.layer] = filled(t.cfg.Features, v[0])
				continue
			}
		}
		v, _, err := t.machine.get(weightPrefix + name)
		if err != nil {
			return nil, err
		}
		if x.slot == &w.Threshold {
			for i := range v {
				v[i] = float32(math.Exp(float64(v[i]) * t.tc.ThresholdRate))
			}
		}
		(*x.slot)[x.layer] = v
	}
	return w, nil
}

// parts cuts a batch into those that are computed one after the other.
func (t *trainer) parts(b Batch) []Batch {
	n := b.Tokens(t.cfg.DModel) / t.tc.Accumulate
	list := make([]Batch, t.tc.Accumulate)
	for i := range list {
		list[i] = b.slice(t.cfg.DModel, i*n, (i+1)*n)
	}
	return list
}
