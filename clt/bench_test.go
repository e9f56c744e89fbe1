package clt

import (
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/gomlx/compute"

	"github.com/etredal/cross-layer-transcoder/internal/backend"
)

// cpuTime is the processor time of this process, which other load on the machine
// changes less than the time on the wall.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkStep measures one step of training: small is 4 layers, d_model 128, 512
// features, 1024 tokens; gpt2 is 12 layers, 768, 1024 and 512. CLT_BENCH_BACKEND
// chooses the backend (default go).
func BenchmarkStep(b *testing.B) {
	name := os.Getenv("CLT_BENCH_BACKEND")
	if name == "" {
		name = "go"
	}
	be, info, err := backend.Open(name)
	if err != nil {
		b.Fatal(err)
	}
	defer be.Finalize()
	for _, size := range []struct {
		name                           string
		layers, width, features, batch int
	}{{"small", 4, 128, 512, 1024}, {"gpt2", 12, 768, 1024, 512}} {
		for _, act := range []string{ActJumpReLU, ActReLU, ActBatchTopK, ActTopK} {
			cfg := DefaultConfig(size.layers, size.width)
			cfg.Features, cfg.Activation = size.features, act
			if act == ActBatchTopK || act == ActTopK {
				cfg.K = 8
			}
			b.Run(fmt.Sprintf("%s/%s/%s", size.name, info.Name, act), func(b *testing.B) { benchmarkStep(b, be, cfg, size.batch) })
		}
	}
}

func benchmarkStep(b *testing.B, be compute.Backend, cfg Config, batchSize int) {
	tc := DefaultTrainConfig()
	tc.Batch = batchSize
	a := &Activations{DModel: cfg.DModel}
	for l := range cfg.Layers {
		v := make([]float32, batchSize*cfg.DModel)
		for i, x := range normals(uint64(l), len(v)) {
			v[i] = float32(x)
		}
		a.In, a.Out = append(a.In, v), append(a.Out, v)
	}
	batch := a.Batch
	t, err := newTrainer(be, cfg, tc)
	if err != nil {
		b.Fatal(err)
	}
	defer t.free()
	if t.stats, err = Measure(cfg, []Batch{batch}); err != nil {
		b.Fatal(err)
	}
	w, err := t.initialWeights([]Batch{batch})
	if err != nil {
		b.Fatal(err)
	}
	if err := t.setWeights(w); err != nil {
		b.Fatal(err)
	}
	step := func() {
		if _, err := t.train(batch); err != nil {
			b.Fatal(err)
		}
	}
	begin := time.Now()
	for range 3 {
		step()
	}
	b.Logf("first three steps, with compilation: %v", time.Since(begin).Round(time.Millisecond))
	cpu := cpuTime()
	for b.Loop() {
		step()
	}
	b.ReportMetric(float64((cpuTime()-cpu).Milliseconds())/float64(b.N), "cpu-ms/op")
}
