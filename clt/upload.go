package clt

import (
	"fmt"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
)

// Weights are a transcoder's weights on a backend's device.
type Weights struct {
	Tensors []*tensors.Tensor // in the order that UnpackNodes expects
}

// Upload copies the weights to the backend's device, as float32 or float64. The
// tensors belong to that backend alone; Free them when done.
func (t *Transcoder) Upload(b compute.Backend, dtype dtypes.DType) (*Weights, error) {
	if err := t.Validate(); err != nil {
		return nil, err
	}
	w := &Weights{}
	for _, v := range t.weights() {
		values, err := t.values(v)
		var x *tensors.Tensor
		if err == nil {
			x, err = newTensor(dtype, values, v.shape)
		}
		if err == nil {
			err = x.ToDevice(b, 0)
		}
		if err != nil {
			w.Free()
			return nil, fmt.Errorf("clt: upload %s: %w", v.name, err)
		}
		w.Tensors = append(w.Tensors, x)
	}
	return w, nil
}

// newTensor makes a host tensor of float32 values in the given type.
func newTensor(dtype dtypes.DType, v []float32, shape []int) (*tensors.Tensor, error) {
	switch dtype {
	case dtypes.Float32:
		return tensors.FromFlatDataAndDimensions(v, shape...), nil
	case dtypes.Float64:
		wide := make([]float64, len(v))
		for i, x := range v {
			wide[i] = float64(x)
		}
		return tensors.FromFlatDataAndDimensions(wide, shape...), nil
	}
	return nil, fmt.Errorf("clt: type %s is not supported, use float32 or float64", dtype)
}

// Inputs appends the weights to the inputs of an Exec call.
func (w *Weights) Inputs(args ...any) []any {
	all := make([]any, 0, len(w.Tensors)+len(args))
	for _, t := range w.Tensors {
		all = append(all, t)
	}
	return append(all, args...)
}

// Free releases the device memory.
func (w *Weights) Free() {
	for _, t := range w.Tensors {
		_ = t.FinalizeAll()
	}
	w.Tensors = nil
}
