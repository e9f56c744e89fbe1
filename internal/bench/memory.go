package bench

import (
	"context"
	"fmt"
	"sort"
	"time"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/internal/vec"
)

// weightReader reads what a pass over one token reads of a model's weights and does
// nothing else with it: the peak that generation is held against.
type weightReader struct {
	m     *gpt2.Model
	names []string // matrices that are multiplied by
	bytes float64
}

func newWeightReader(m *gpt2.Model) *weightReader {
	w := &weightReader{m: m}
	for name, shape := range gpt2.WeightShapes(m.Config) {
		looked := name == "wpe.weight" || name == "wte.weight" && !m.Config.TieEmbeddings // one row of them is read
		if len(shape) == 2 && !looked {
			w.names = append(w.names, name)
			w.bytes += 4 * float64(shape[0]*shape[1])
		}
	}
	sort.Strings(w.names)
	return w
}

// speed is in GB/s, the best of a few: all cores read the matrices where they lie. On
// a device with memory of its own it is that of adding to a long vector.
func (w *weightReader) speed(ctx context.Context) (float64, error) {
	if !w.m.Backend.HasSharedBuffers() {
		bytes, err := adding(w.m.Backend)
		return bytes / 1e9, err
	}
	best := time.Duration(0)
	for range gemmReps {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		begin := time.Now()
		for _, name := range w.names {
			if err := w.read(name); err != nil {
				return 0, err
			}
		}
		if spent := time.Since(begin); best == 0 || spent < best {
			best = spent
		}
	}
	return w.bytes / 1e9 / best.Seconds(), nil
}

func (w *weightReader) read(name string) error {
	t, err := w.m.Store.GetVariable("/" + name).Value()
	if err != nil {
		return fmt.Errorf("bench: weight %s: %w", name, err)
	}
	return tensors.ConstFlatData(t, func(v []float32) {
		vec.Parallel(len(v), 1<<16, func(lo, hi int) { vec.Square(v[lo:hi]) })
	})
}
