package clt

import (
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

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

// BenchmarkStep measures one step of training: 4 layers, d_model 128, 512
// features, 1024 tokens. CLT_BENCH_BACKEND chooses the backend (default go).
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
	for _, act := range []string{ActJumpReLU, ActReLU, ActBatchTopK, ActTopK} {
		b.Run(fmt.Sprintf("%s/%s", info.Name, act), func(b *testing.B) {
			cfg := DefaultConfig(4, 128)
			cfg.Activation = act
			if act == ActBatchTopK || act == ActTopK {
				cfg.K = 8
			}
			tc := DefaultTrainConfig()
			tc.Batch, tc.StatTokens = 1024, 2048
			data := synthetic(4, 128, 400, 4, 4096, 1)
			next := data.Batches(tc.Batch, 1, 0)
			var t *trainer
			cpu, steps := time.Duration(0), 0
			for batch := range next {
				if t == nil {
					t = newTrainer(be, cfg, tc)
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
					for range 5 {
						if _, err := t.train(batch); err != nil {
							b.Fatal(err)
						}
					}
				}
				if cpu == 0 {
					cpu = cpuTime()
				}
				if !b.Loop() {
					break
				}
				steps++
				if _, err := t.train(batch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64((cpuTime()-cpu).Milliseconds())/float64(steps), "cpu-ms/op")
		})
	}
}
