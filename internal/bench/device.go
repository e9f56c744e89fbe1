package bench

import (
	"context"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// copyFloats is the length of the vector that measures memory, 128 MiB.
const copyFloats = 1 << 25

// Device measures what a backend can do: FLOP/s of a matrix product, in bfloat16 if
// asked, and bytes/s of adding to a long vector. It takes a second or two.
func Device(b compute.Backend, half bool) (flops, bytes float64, err error) {
	g, err := newGEMM(b, half)
	if err != nil {
		return 0, 0, err
	}
	defer g.close()
	gflops, err := g.speed(context.Background())
	if err != nil {
		return 0, 0, err
	}
	bytes, err = adding(b)
	return gflops * 1e9, bytes, err
}

// adding is bytes/s, read and written, of adding to a long vector.
func adding(b compute.Backend) (bytes float64, err error) {
	e, err := graph.NewExec(b, moreGraph)
	if err != nil {
		return 0, err
	}
	defer e.Finalize()
	v := tensors.FromFlatDataAndDimensions(make([]float32, copyFloats), copyFloats)
	best := time.Duration(0)
	for range 4 {
		begin := time.Now()
		out, err := e.Call(v)
		if err != nil {
			return 0, err
		}
		tensors.ToScalar[float32](out[1]) // waits for the result
		if spent := time.Since(begin); best == 0 || spent < best {
			best = spent
		}
		for _, x := range out {
			_ = x.FinalizeAll()
		}
	}
	return 2 * 4 * copyFloats / best.Seconds(), v.FinalizeAll()
}

// halfOr is bfloat16 if asked, otherwise float32.
func halfOr(half bool) dtypes.DType {
	if half {
		return dtypes.BFloat16
	}
	return dtypes.Float32
}
