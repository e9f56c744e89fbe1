package clt

import (
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/etredal/cross-layer-transcoder/internal/optim"
)

// trainer is a training run: weights, moments and counters are variables of a
// store, in scaled space.
type trainer struct {
	cfg     Config
	tc      TrainConfig
	backend compute.Backend
	store   *model.Store
	trained []*model.Variable
	exec    *model.Exec
	stats   *Stats
	done    int // steps
}

func newTrainer(b compute.Backend, cfg Config, tc TrainConfig) *trainer {
	return &trainer{cfg: cfg, tc: tc, backend: b, store: model.NewStore()}
}

func (t *trainer) free() {
	if t.exec != nil {
		t.exec.Finalize()
	}
	t.store.Finalize()
}

// setWeights creates all variables from weights in scaled space.
func (t *trainer) setWeights(w *Transcoder) error {
	for _, x := range w.weights() {
		values, name := (*x.slot)[x.layer], x.name
		if x.slot == &w.Threshold {
			if t.cfg.Activation != ActJumpReLU {
				continue // batchtopk finds its threshold
			}
			name, values = fmt.Sprintf("%s_%d", logThreshold, x.layer), slices.Clone(values)
			for i, v := range values {
				values[i] = float32(math.Log(max(float64(v), 1e-9)) / t.tc.ThresholdRate)
			}
		}
		v, err := t.store.CreateVariable(weightScope+name, tensors.FromFlatDataAndDimensions(values, x.shape...))
		if err != nil {
			return fmt.Errorf("clt: %w", err)
		}
		t.trained = append(t.trained, v)
	}
	if err := optim.Prepare(t.store, t.trained); err != nil {
		return err
	}
	start := float32(0)
	if t.cfg.Activation == ActBatchTopK && t.tc.Init != nil {
		start = w.Threshold[0][0]
	}
	if _, err := t.store.CreateVariable(thresholdPath, tensors.FromScalar(start)); err != nil {
		return fmt.Errorf("clt: %w", err)
	}
	for l := range t.cfg.Layers {
		if _, err := t.store.CreateVariable(fmt.Sprintf(idlePath, l), tensors.FromFlatDataAndDimensions(make([]float32, t.cfg.Features), t.cfg.Features)); err != nil {
			return fmt.Errorf("clt: %w", err)
		}
	}
	var err error
	if t.exec, err = model.NewExec(t.backend, t.store, t.step); err != nil {
		return fmt.Errorf("clt: training step: %w", err)
	}
	return nil
}

// weights reads the weights back, in scaled space.
func (t *trainer) weights() (*Transcoder, error) {
	w := blank(t.cfg)
	for _, x := range w.weights() {
		name := x.name
		if x.slot == &w.Threshold {
			name = fmt.Sprintf("%s_%d", logThreshold, x.layer)
			if t.cfg.Activation == ActBatchTopK {
				v, err := t.read(thresholdPath)
				if err != nil {
					return nil, err
				}
				w.Threshold[x.layer] = filled(t.cfg.Features, v[0])
				continue
			}
		}
		v, err := t.read(weightScope + name)
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

// read copies a variable to the host.
func (t *trainer) read(path string) ([]float32, error) {
	v := t.store.GetVariable(path)
	if v == nil {
		return nil, fmt.Errorf("clt: training has no variable %s", path)
	}
	value, err := v.Value()
	if err != nil {
		return nil, fmt.Errorf("clt: %s: %w", path, err)
	}
	return tensors.CopyFlatData[float32](value)
}

// callStep runs one step on a batch in scaled space and returns its vector.
func (t *trainer) callStep(lr, lambda, number float32, b Batch) ([]float32, error) {
	args := []any{lr, lambda, number}
	shape := []int{b.Tokens(t.cfg.DModel), t.cfg.DModel}
	for _, v := range slices.Concat(b.In, b.Out) {
		x, err := newTensor(dtypes.Float32, v, shape)
		if err != nil {
			return nil, err
		}
		args = append(args, x)
	}
	out, err := t.exec.Call(args...)
	if err != nil {
		return nil, err
	}
	for _, a := range args[3:] {
		_ = a.(*tensors.Tensor).FinalizeAll()
	}
	v, err := tensors.CopyFlatData[float32](out[0])
	if err != nil {
		return nil, err
	}
	return v, out[0].FinalizeAll()
}
