package clt

import (
	"fmt"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/etredal/cross-layer-transcoder/internal/optim"
)

// dense computes a step of training as a compiled graph, on any device. Variables
// live in a store. With more than one part a step has two programs: one adds the
// gradients of a part to sums, one updates.
type dense struct {
	cfg     Config
	tc      TrainConfig
	backend compute.Backend
	store   *model.Store
	trained []*model.Variable
	order   []string
	whole   *model.Exec // one part
	add     *model.Exec
	apply   *model.Exec
	kl      *klPart // nil before KL steps
}

func newDense(b compute.Backend, cfg Config, tc TrainConfig) *dense {
	return &dense{cfg: cfg, tc: tc, backend: b, store: model.NewStore()}
}

func (t *dense) create(name string, values []float32, shape []int) error {
	var value *tensors.Tensor
	if len(shape) == 0 {
		value = tensors.FromScalar(values[0])
	} else {
		value = tensors.FromFlatDataAndDimensions(values, shape...)
	}
	if _, err := t.store.CreateVariable("/"+name, value); err != nil {
		return fmt.Errorf("clt: %w", err)
	}
	return nil
}

func (t *dense) ready(trained []string) (err error) {
	for _, name := range trained {
		t.trained = append(t.trained, t.store.GetVariable("/"+name))
	}
	if err := optim.Prepare(t.store, t.trained); err != nil {
		return err
	}
	for v := range t.store.IterVariables() {
		t.order = append(t.order, strings.TrimPrefix(v.Path(), "/"))
	}
	if t.tc.Accumulate == 1 {
		if t.whole, err = model.NewExec(t.backend, t.store, t.wholeGraph); err != nil {
			return fmt.Errorf("clt: training step: %w", err)
		}
		return nil
	}
	if err := optim.PrepareSums(t.store, t.trained); err != nil { // no part of a checkpoint
		return err
	}
	if t.add, err = model.NewExec(t.backend, t.store, t.addGraph); err == nil {
		t.apply, err = model.NewExec(t.backend, t.store, t.applyGraph)
	}
	if err != nil {
		return fmt.Errorf("clt: training step: %w", err)
	}
	return nil
}

func (t *dense) names() []string { return t.order }

func (t *dense) get(name string) ([]float32, []int, error) {
	v := t.store.GetVariable("/" + name)
	if v == nil {
		return nil, nil, fmt.Errorf("clt: training has no variable %s", name)
	}
	value, err := v.Value()
	if err != nil {
		return nil, nil, fmt.Errorf("clt: %s: %w", name, err)
	}
	list, err := tensors.CopyFlatData[float32](value)
	return list, v.Shape().Dimensions, err
}

func (t *dense) set(name string, values []float32) error {
	v := t.store.GetVariable("/" + name)
	if v == nil || v.Shape().Size() != len(values) {
		return fmt.Errorf("clt: variable %s cannot take %d values", name, len(values))
	}
	return v.SetValue(tensors.FromFlatDataAndDimensions(values, v.Shape().Dimensions...))
}

func (t *dense) step(lr, lambda, number float32, parts []Batch) ([]float32, error) {
	if len(parts) == 1 {
		args, err := t.arguments(parts[0], lr, lambda, number, float32(1))
		if err != nil {
			return nil, err
		}
		return t.call(t.whole, args)
	}
	return t.accumulated(lr, number, func(i int, first float32) ([]float32, error) {
		args, err := t.arguments(parts[i], lr, lambda, number, first)
		if err != nil {
			return nil, err
		}
		return t.call(t.add, args)
	})
}

// accumulated does one update on the sums that part adds to, for each part of a
// batch; the first is told so by a 1.
func (t *dense) accumulated(lr, number float32, part func(i int, first float32) ([]float32, error)) ([]float32, error) {
	var mean []float32
	for i := range t.tc.Accumulate {
		first := float32(0)
		if i == 0 {
			first = 1
		}
		v, err := part(i, first)
		if err != nil {
			return nil, err
		}
		if mean == nil {
			mean = make([]float32, len(v))
		}
		for j, x := range v {
			mean[j] += x / float32(t.tc.Accumulate)
		}
		mean[outThreshold] = v[outThreshold]
		copy(mean[outLayers+3*t.cfg.Layers:], v[outLayers+3*t.cfg.Layers:])
	}
	v, err := t.call(t.apply, []any{lr, number, mean[outTotal]})
	if err != nil {
		return nil, err
	}
	mean[outNorm], mean[outFinite] = v[0], v[1]
	return mean, nil
}

func (t *dense) arguments(b Batch, scalars ...any) ([]any, error) {
	args, shape := scalars, []int{b.Tokens(t.cfg.DModel), t.cfg.DModel}
	for _, list := range [][][]float32{b.In, b.Out} {
		for _, v := range list {
			x, err := newTensor(dtypes.Float32, v, shape)
			if err != nil {
				return nil, err
			}
			args = append(args, x)
		}
	}
	return args, nil
}

func (t *dense) call(e *model.Exec, args []any) ([]float32, error) {
	out, err := e.Call(args...)
	if err != nil {
		return nil, err
	}
	for _, a := range args {
		if x, ok := a.(*tensors.Tensor); ok {
			_ = x.FinalizeAll()
		}
	}
	v, err := tensors.CopyFlatData[float32](out[0])
	if err != nil {
		return nil, err
	}
	return v, out[0].FinalizeAll()
}

func (t *dense) free() {
	t.detach()
	for _, e := range []*model.Exec{t.whole, t.add, t.apply} {
		if e != nil {
			e.Finalize()
		}
	}
	t.store.Finalize()
}

// variable returns a variable that must exist.
func (t *dense) variable(path string) *model.Variable {
	v := t.store.GetVariable(path)
	if v == nil {
		panic(fmt.Errorf("clt: training has no variable %s", path))
	}
	return v
}

func (t *dense) adam() optim.Adam {
	return optim.Adam{Beta1: t.tc.Beta1, Beta2: t.tc.Beta2, Epsilon: t.tc.Epsilon, ClipNorm: t.tc.ClipNorm}
}
