package clt

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"
)

// Calibrated thresholds meet L0 layer by layer: what a topk keeps, what was asked
// for, and what a batch or token selection gave each layer.
func TestToJumpReLU(t *testing.T) {
	const n = 400
	b, ctx := goBackend(t), context.Background()
	for _, activation := range []string{ActTopK, ActTokenTopK, ActBatchTopK, ActGlobalTopK, ActJumpReLU, ActReLU} {
		cfg := configs()["jumprelu"]
		cfg.Activation = activation
		keeps := TakesK(activation) || activation == ActGlobalTopK
		if keeps {
			cfg.K = 2
		}
		x := randomTranscoder(t, cfg, 3)
		a := synthetic(cfg.Layers, cfg.DModel, 9, 3, n, 4)
		var want []float64
		if !keeps {
			want = []float64{1.5, 2, 0.75}
		}
		r, err := ToJumpReLU(ctx, b, x, a.InOrder(n), want)
		if err != nil {
			t.Fatal(err)
		}
		m, err := EvalActivations(ctx, b, r, a.InOrder(90))
		if err != nil {
			t.Fatal(err)
		}
		switch activation {
		case ActTopK:
			want = []float64{2, 2, 2}
		case ActGlobalTopK:
			exact, err := EvalActivations(ctx, b, x, a.InOrder(90))
			want = exact.L0Layer
			if onHost := activeOnHost(x, a.Batch); err != nil || !slices.Equal(want, onHost) {
				t.Errorf("globaltopk: L0 %v, on the host %v, %v", want, onHost, err)
			}
		case ActBatchTopK, ActTokenTopK:
			if math.Abs(m.L0-float64(cfg.Layers*cfg.K)) > 0.1*m.L0 || slices.Equal(r.Threshold[0], r.Threshold[1]) && activation == ActTokenTopK {
				t.Errorf("%s: L0 %g, want %d", activation, m.L0, cfg.Layers*cfg.K)
			}
			continue
		}
		for l := range want {
			if math.Abs(m.L0Layer[l]-want[l]) > 1.01/n {
				t.Errorf("%s: L0 of layer %d is %g, want %g", activation, l, m.L0Layer[l], want[l])
			}
		}
		if activation == ActJumpReLU {
			if ratio := r.Threshold[1][0] / x.Threshold[1][0]; math.Abs(float64(r.Threshold[1][5]/x.Threshold[1][5]/ratio)-1) > 1e-5 {
				t.Errorf("thresholds %v of %v are no multiple", r.Threshold[1], x.Threshold[1])
			}
		}
	}
	x := randomTranscoder(t, configs()["jumprelu"], 3)
	a := synthetic(x.Layers, x.DModel, 9, 3, n, 4)
	for want, l0 := range map[string][]float64{"say how many": nil, "one for each": {1}, "more than 0": {1, 0, 1}} {
		if _, err := ToJumpReLU(ctx, b, x, a.InOrder(n), l0); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", l0, err)
		}
	}
}

// activeOnHost counts active features per token, by layer.
func activeOnHost(x *Transcoder, b Batch) []float64 {
	n := b.Tokens(x.DModel)
	pre := make([][]float64, x.Layers)
	for l := range pre {
		pre[l] = make([]float64, n*x.Features)
		for i := range pre[l] {
			token, f := i/x.Features, i%x.Features
			pre[l][i] = float64(x.BEnc[l][f])
			for j := range x.DModel {
				pre[l][i] += float64(x.WEnc[l][f*x.DModel+j]) * float64(b.In[l][token*x.DModel+j])
			}
		}
	}
	count := make([]float64, x.Layers)
	for l, act := range ActivateAllHost(x, pre) {
		for _, v := range act {
			if v != 0 {
				count[l]++
			}
		}
		count[l] /= float64(n)
	}
	return count
}
