package features

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/etredal/cross-layer-transcoder/clt"
)

// BenchmarkCollector is the counting alone, without a model: a step of 32 windows of
// 64 tokens in which 16 of 512 features of each of 4 layers are active, after enough
// steps that lists are full.
func BenchmarkCollector(b *testing.B) {
	shape := clt.Config{Layers: 4, Features: 512}
	r := rand.New(rand.NewPCG(1, 9))
	steps := make([]batch, 8)
	for s := range steps {
		steps[s].length = 64
		for range 32 {
			w := make([]int32, 64)
			for i := range w {
				w[i] = int32(r.IntN(1000))
			}
			steps[s].windows = append(steps[s].windows, w)
		}
		for range shape.Layers {
			dense := make([]float32, 32*64*shape.Features)
			for i := range dense {
				if r.IntN(32) == 0 {
					dense[i] = float32(math.Exp(r.NormFloat64()))
				}
			}
			steps[s].dense = append(steps[s].dense, dense)
		}
	}
	c := newCollector(DefaultConfig(), shape, 1000)
	next := 0
	step := func() {
		if err := c.add(steps[next%len(steps)]); err != nil {
			b.Fatal(err)
		}
		next++
	}
	for range 40 {
		step()
	}
	b.ResetTimer()
	for range b.N {
		step()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*32*63), "ns/token")
}
