package bench

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// gemmSize is the width of the square matrices: large enough to reach the peak,
// small enough to be measured around every row.
const gemmSize = 1024

const gemmReps = 4

// gemm measures the speed of a matrix product.
type gemm struct {
	exec *graph.Exec
	a, b *tensors.Tensor
	size int
}

func newGEMM(b compute.Backend, half bool) (*gemm, error) { return newProduct(b, half, gemmSize) }

// ProductSpeed is the speed, in FLOP/s, of float32 products of two square matrices of that
// width: the best of a few. 512 take a fraction of a second.
func ProductSpeed(ctx context.Context, b compute.Backend, size int) (float64, error) {
	g, err := newProduct(b, false, size)
	if err != nil {
		return 0, err
	}
	defer g.close()
	gflops, err := g.speed(ctx)
	return gflops * 1e9, err
}

func newProduct(b compute.Backend, half bool, size int) (*gemm, error) {
	e, err := graph.NewExec(b, productOf(halfOr(half)))
	if err != nil {
		return nil, fmt.Errorf("bench: matrix product: %w", err)
	}
	v := make([]float32, size*size)
	for i := range v {
		v[i] = float32(i%97)/97 - 0.5
	}
	g := &gemm{exec: e, a: tensors.FromFlatDataAndDimensions(v, size, size), b: tensors.FromFlatDataAndDimensions(v, size, size), size: size}
	_, err = g.speed(context.Background()) // compiles
	return g, err
}

// speed is the best of some products, in GFLOP/s.
func (g *gemm) speed(ctx context.Context) (float64, error) {
	best := time.Duration(0)
	for range gemmReps {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		begin := time.Now()
		out, err := g.exec.Call(g.a, g.b)
		if err != nil {
			return 0, fmt.Errorf("bench: matrix product: %w", err)
		}
		tensors.ToScalar[float32](out[0]) // waits for the result
		spent := time.Since(begin)
		_ = out[0].FinalizeAll()
		if best == 0 || spent < best {
			best = spent
		}
	}
	return 2 * math.Pow(float64(g.size), 3) / 1e9 / best.Seconds(), nil
}

func (g *gemm) close() {
	g.exec.Finalize()
	_ = g.a.FinalizeAll()
	_ = g.b.FinalizeAll()
}
