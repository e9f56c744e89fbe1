package clt

import (
	"math"
	"testing"

	"github.com/etredal/cross-layer-transcoder/internal/testbackend"
	"github.com/etredal/cross-layer-transcoder/internal/testenv"
)

// Products in bfloat16 train to nearly the same loss; weights stay float32, so
// that steps below its resolution add up.
func TestBFloat16(t *testing.T) {
	data := synthetic(2, 12, 30, 3, 2000, 5)
	cfg, tc := smallRun(ActJumpReLU)
	tc.LR = 1e-3
	exact, w1 := machineRun(t, PathDense, cfg, tc, data)
	tc.Compute = ComputeBFloat16
	half, w2 := machineRun(t, PathAuto, cfg, tc, data)
	for i := range exact {
		a, b := float64(exact[i][outReconstruction]), float64(half[i][outReconstruction])
		if !(math.Abs(a-b) < 0.02*a) {
			t.Errorf("step %d: reconstruction %g in float32, %g in bfloat16", i+1, a, b)
		}
	}
	moved, fine := 0, 0
	for i, v := range w2.WDec[0] {
		if v != w1.WDec[0][i] {
			moved++
		}
		if bits := math.Float32bits(v); bits&0xffff != 0 {
			fine++
		}
	}
	if moved == 0 || fine < len(w2.WDec[0])/2 {
		t.Errorf("%d of %d decoder weights differ from float32's, %d have more digits than bfloat16", moved, len(w2.WDec[0]), fine)
	}
}

func TestBFloat16OnXLA(t *testing.T) {
	testenv.Slow(t)
	b := testbackend.Open(t, "xla:cpu")
	data := synthetic(2, 12, 30, 3, 2000, 5)
	cfg, tc := smallRun(ActBatchTopK)
	tc.Compute = ComputeBFloat16
	r, err := Train(t.Context(), b, cfg, data.Batches(tc.Batch, 1, 0), tc, nil)
	if err != nil || !(r.Last.NMSE > 0 && r.Last.NMSE < 1.2) {
		t.Errorf("NMSE %v, %v", r, err)
	}
}
