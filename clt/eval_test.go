package clt

import (
	"context"
	"math"
	"testing"
)

// With all features off and the mean as bias the error is exactly that of the
// mean; with the outputs met exactly it is 0.
func TestEvalLimits(t *testing.T) {
	const n = 333
	b := goBackend(t)
	cfg := configs()["jumprelu"]
	a := synthetic(cfg.Layers, cfg.DModel, 9, 2, n, 4)
	x := randomTranscoder(t, cfg, 2)
	for l := range cfg.Layers {
		x.Threshold[l] = filled(cfg.Features, 1e6)
		for j := range cfg.DModel {
			sum := 0.0
			for i := range n {
				sum += float64(a.Out[l][i*cfg.DModel+j])
			}
			x.BDec[l][j] = float32(sum / n)
		}
	}
	m, err := EvalActivations(context.Background(), b, x, a.InOrder(100))
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(m.NMSE-1) > 1e-6 || math.Abs(m.NMSEDim-1) > 1e-6 || m.L0 != 0 || m.Dead != 1 || m.Tokens != n {
		t.Errorf("all off: %+v", m)
	}
	for l := range cfg.Layers {
		for i := range a.Out[l] {
			a.Out[l][i] = x.BDec[l][i%cfg.DModel]
		}
	}
	if m, err = EvalActivations(context.Background(), b, x, a.InOrder(100)); err != nil || m.NMSE != 0 || m.NMSEPower != 0 {
		t.Errorf("perfect: %v, %+v", err, m)
	}
}

// Every number against plain loops, and independence of the batch size.
func TestEvalAgainstLoops(t *testing.T) {
	const n = 50
	b := goBackend(t)
	cfg := configs()["clt skip"]
	a := synthetic(cfg.Layers, cfg.DModel, 9, 2, n, 4)
	x := randomTranscoder(t, cfg, 2)
	m, err := EvalActivations(context.Background(), b, x, a.InOrder(7))
	if err != nil {
		t.Fatal(err)
	}
	var reads [][]float64
	for l := range cfg.Layers {
		r := make([]float64, len(a.In[l]))
		for i, v := range a.In[l] {
			r[i] = float64(v)
		}
		reads = append(reads, r)
	}
	_, act, out := naive(x, n, reads)
	var nmse, power, perDim, l0, dead float64
	for l := range cfg.Layers {
		mean := make([]float64, cfg.DModel)
		for i, v := range a.Out[l] {
			mean[i%cfg.DModel] += float64(v) / n
		}
		e, v, p := make([]float64, cfg.DModel), make([]float64, cfg.DModel), 0.0
		for i, y := range a.Out[l] {
			j := i % cfg.DModel
			e[j] += math.Pow(float64(y)-out[l][i], 2)
			v[j] += math.Pow(float64(y)-mean[j], 2)
			p += float64(y) * float64(y)
		}
		te, tv := 0.0, 0.0
		for j := range e {
			te, tv = te+e[j], tv+v[j]
			perDim += e[j] / v[j] / float64(cfg.DModel*cfg.Layers)
		}
		nmse += te / tv / float64(cfg.Layers)
		power += te / p / float64(cfg.Layers)
		fired := make([]bool, cfg.Features)
		for i, v := range act[l] {
			if v > 0 {
				l0 += 1.0 / n
				fired[i%cfg.Features] = true
			}
		}
		for _, f := range fired {
			if !f {
				dead += 1 / float64(cfg.Features*cfg.Layers)
			}
		}
	}
	for _, c := range []struct {
		name      string
		got, want float64
	}{{"NMSE", m.NMSE, nmse}, {"NMSEDim", m.NMSEDim, perDim}, {"NMSEPower", m.NMSEPower, power}, {"L0", m.L0, l0}, {"Dead", m.Dead, dead}} {
		if math.Abs(c.got-c.want) > 1e-5*math.Abs(c.want) {
			t.Errorf("%s is %g, want %g", c.name, c.got, c.want)
		}
	}
	if d := m.Densities(0); len(d) != cfg.Features || d[0] > d[len(d)-1] {
		t.Errorf("densities %v", d)
	}
	if _, err := EvalActivations(context.Background(), b, x, nothing); err == nil {
		t.Error("no tokens: no error")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := EvalActivations(ctx, b, x, a.InOrder(7)); err == nil {
		t.Error("cancelled: no error")
	}
}
