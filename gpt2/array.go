package gpt2

import (
	"encoding/binary"
	"fmt"
	"slices"
	"unsafe"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
)

// Array is a dense host array, row-major. Exactly one of F32 and F64 is set.
type Array struct {
	Shape []int
	F32   []float32
	F64   []float64
}

// NewArray returns zeros in float32, or in float64 if double is set.
func NewArray(shape []int, double bool) Array {
	n := 1
	for _, d := range shape {
		n *= d
	}
	a := Array{Shape: append([]int{}, shape...)}
	if double {
		a.F64 = make([]float64, n)
	} else {
		a.F32 = make([]float32, n)
	}
	return a
}

// Len is the number of elements.
func (a Array) Len() int { return len(a.F32) + len(a.F64) }

// At returns the i-th element of the flat array.
func (a Array) At(i int) float64 {
	if a.F64 != nil {
		return a.F64[i]
	}
	return float64(a.F32[i])
}

// Float64s returns the elements as float64, copied unless they are that already.
func (a Array) Float64s() []float64 {
	if a.F64 != nil {
		return a.F64
	}
	v := make([]float64, len(a.F32))
	for i, x := range a.F32 {
		v[i] = float64(x)
	}
	return v
}

// Float32s returns the elements as float32, copied unless they are that already.
func (a Array) Float32s() []float32 {
	if a.F32 != nil {
		return a.F32
	}
	v := make([]float32, len(a.F64))
	for i, x := range a.F64 {
		v[i] = float32(x)
	}
	return v
}

// clone shares no values with a.
func (a Array) clone() Array {
	a.F32, a.F64 = slices.Clone(a.F32), slices.Clone(a.F64)
	return a
}

// firstNonFinite is the index of the first NaN or infinity, -1 for none: x - x is
// zero for every other value.
func (a Array) firstNonFinite() int {
	for i, v := range a.F32 {
		if v-v != 0 {
			return i
		}
	}
	for i, v := range a.F64 {
		if v-v != 0 {
			return i
		}
	}
	return -1
}

// Tensor copies the array into a GoMLX tensor, in float32 or float64.
func (a Array) Tensor(double bool) *tensors.Tensor {
	if double {
		return tensors.FromFlatDataAndDimensions(a.Float64s(), a.Shape...)
	}
	return tensors.FromFlatDataAndDimensions(a.Float32s(), a.Shape...)
}

// Upload copies the array to the backend's device and nowhere else: large weights
// are not kept twice.
func (a Array) Upload(b compute.Backend) (*tensors.Tensor, error) {
	var raw []byte
	dtype := dtypes.Float32
	if a.F64 != nil {
		dtype = dtypes.Float64
		raw = unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(a.F64))), 8*len(a.F64))
	} else {
		raw = unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(a.F32))), 4*len(a.F32))
	}
	t, err := tensors.FromRaw(b, 0, shapes.Make(dtype, a.Shape...), raw)
	if err != nil {
		return nil, fmt.Errorf("gpt2: upload %v: %w", a.Shape, err)
	}
	return t, nil
}

// uploadBF16 is Upload with the values rounded to bfloat16.
func (a Array) uploadBF16(b compute.Backend) (*tensors.Tensor, error) {
	raw := make([]byte, 2*a.Len())
	for i := range a.Len() {
		binary.NativeEndian.PutUint16(raw[2*i:], uint16(bfloat16.FromFloat32(float32(a.At(i)))))
	}
	t, err := tensors.FromRaw(b, 0, shapes.Make(dtypes.BFloat16, a.Shape...), raw)
	if err != nil {
		return nil, fmt.Errorf("gpt2: upload %v: %w", a.Shape, err)
	}
	return t, nil
}

// FromTensor copies a float tensor to the host; bfloat16 becomes float32.
func FromTensor(t *tensors.Tensor) (a Array, err error) {
	err = withView(t, func(view Array) { a = view.clone() })
	return a, err
}

// TakeTensor is FromTensor for a tensor that nobody needs afterwards: it frees it.
func TakeTensor(t *tensors.Tensor) (a Array, err error) {
	a, err = FromTensor(t)
	_ = t.FinalizeAll()
	return a, err
}

// withView calls f with a float tensor as it lies in memory, good until f returns;
// bfloat16 becomes float32.
func withView(t *tensors.Tensor, f func(view Array)) error {
	view := Array{Shape: append([]int{}, t.Shape().Dimensions...)}
	switch t.DType() {
	case dtypes.Float32:
		return tensors.ConstFlatData(t, func(v []float32) { view.F32 = v; f(view) })
	case dtypes.Float64:
		return tensors.ConstFlatData(t, func(v []float64) { view.F64 = v; f(view) })
	case dtypes.BFloat16:
		return tensors.ConstFlatData(t, func(v []bfloat16.BFloat16) {
			view.F32 = make([]float32, len(v))
			for i, x := range v {
				view.F32[i] = x.Float32()
			}
			f(view)
		})
	}
	return fmt.Errorf("gpt2: tensor is %s, not a float", t.Shape())
}

// cut returns the array with the given axes shortened to n; used to drop the
// padding of bucketed lengths.
func (a Array) cut(n int, axes ...int) Array {
	for _, axis := range axes {
		if a.Shape[axis] <= n {
			continue
		}
		outer, inner := 1, 1
		for _, d := range a.Shape[:axis] {
			outer *= d
		}
		for _, d := range a.Shape[axis+1:] {
			inner *= d
		}
		size := a.Shape[axis]
		b := Array{Shape: append([]int{}, a.Shape...)}
		b.Shape[axis] = n
		if a.F64 != nil {
			b.F64 = make([]float64, 0, outer*n*inner)
		} else {
			b.F32 = make([]float32, 0, outer*n*inner)
		}
		for o := range outer {
			lo, hi := o*size*inner, o*size*inner+n*inner
			if a.F64 != nil {
				b.F64 = append(b.F64, a.F64[lo:hi]...)
			} else {
				b.F32 = append(b.F32, a.F32[lo:hi]...)
			}
		}
		a = b
	}
	return a
}

// squeeze drops a leading axis of length one.
func (a Array) squeeze() Array {
	if len(a.Shape) > 0 && a.Shape[0] == 1 {
		a.Shape = a.Shape[1:]
	}
	return a
}

// Unbatch drops a leading batch axis of one and shortens the given axes (counted
// without it) to n: it undoes the padding of a bucketed length.
func (a Array) Unbatch(n int, axes ...int) Array {
	if a.Len() == 0 {
		return a
	}
	return a.squeeze().cut(n, axes...)
}

// Grow lengthens the given axes to n; new entries are fill.
func (a Array) Grow(n int, fill float64, axes ...int) Array {
	for _, axis := range axes {
		size := a.Shape[axis]
		if size >= n {
			continue
		}
		outer, inner := 1, 1
		for _, d := range a.Shape[:axis] {
			outer *= d
		}
		for _, d := range a.Shape[axis+1:] {
			inner *= d
		}
		shape := append([]int{}, a.Shape...)
		shape[axis] = n
		b := NewArray(shape, a.F64 != nil)
		for o := range outer {
			for i := range n * inner {
				to := o*n*inner + i
				switch from := o*size*inner + i; {
				case i >= size*inner && b.F64 != nil:
					b.F64[to] = fill
				case i >= size*inner:
					b.F32[to] = float32(fill)
				case b.F64 != nil:
					b.F64[to] = a.F64[from]
				default:
					b.F32[to] = a.F32[from]
				}
			}
		}
		a = b
	}
	return a
}

// row is the i-th entry of the first axis; it shares memory.
func (a Array) row(i int) Array {
	n := a.Len() / a.Shape[0]
	r := Array{Shape: a.Shape[1:]}
	if a.F64 != nil {
		r.F64 = a.F64[i*n : (i+1)*n]
	} else {
		r.F32 = a.F32[i*n : (i+1)*n]
	}
	return r
}
