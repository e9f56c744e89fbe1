package gpt2

import (
	"math"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/etredal/cross-layer-transcoder/internal/testbackend"
)

// TestProductOfOneRow holds products that are cut into parts, and those that are not,
// against a loop.
func TestProductOfOneRow(t *testing.T) {
	b := testbackend.Open(t, "xla")
	for _, size := range [][3]int{{3, 384, 48}, {1, 100, 48}, {1, 128, 256}} { // parts, in, out
		parts, in, out := size[0], size[1], size[2]
		x, w := make([]float32, in), make([]float32, in*out)
		for i := range x {
			x[i] = float32(i%7) - 3
		}
		for i := range w {
			w[i] = float32(i%11) - 5
		}
		cut := 0
		e := graph.MustNewExec(b, func(x, w *graph.Node) *graph.Node {
			cut = rowParts(x, w)
			return product(x, w)
		})
		y, err := e.Call(tensors.FromFlatDataAndDimensions(x, 1, in), tensors.FromFlatDataAndDimensions(w, in, out))
		if err != nil {
			t.Fatal(err)
		}
		if dims := y[0].Shape().Dimensions; cut != parts || len(dims) != 2 || dims[0] != 1 || dims[1] != out {
			t.Fatalf("%v: %d parts, shape %v", size, cut, dims)
		}
		for j, got := range tensors.MustCopyFlatData[float32](y[0]) {
			want := 0.0
			for i := range x {
				want += float64(x[i]) * float64(w[i*out+j])
			}
			if math.Abs(float64(got)-want) > 1e-3 {
				t.Fatalf("%v: output %d is %g, want %g", size, j, got, want)
			}
		}
	}
}
