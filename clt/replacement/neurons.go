package replacement

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// NeuronThresholds are, by layer, the activations (mlp.hook_post) from which on a
// neuron counts as active, such that the model has l0[layer] active neurons per
// token: the baseline that the paper holds features against. They are exact: order
// statistics of all activations of the windows, position 0 left out. The largest
// float32 stands for no active neuron, the smallest for all (JSON has no infinity).
func (m *Model) NeuronThresholds(ctx context.Context, windows gpt2.TokenSource, first, steps int, l0 []float64, report func(done, total int)) ([]float64, error) {
	cfg := m.LM.Config
	if len(l0) != cfg.Layers {
		return nil, refused("neurons: active units of %d layers for a model of %d; give one number for each", len(l0), cfg.Layers)
	}
	for l, v := range l0 {
		if !(v >= 0) || math.IsInf(v, 0) {
			return nil, refused("neurons: %g active units in layer %d; give a number from 0 on", v, l)
		}
	}
	tops, tokens := make([]largest, cfg.Layers), 0
	for step := first; step < first+steps; step++ {
		batch, err := windows.Batch(ctx, step)
		if err != nil {
			return nil, err
		}
		n, pos := len(batch), len(batch[0])
		tokens += n * (pos - 1)
		for l := range tops {
			if step == first { // windows have one shape
				tops[l].k = rank(l0[l], tokens*steps)
			}
		}
		for part := range slices.Chunk(batch, cfg.WindowsPerCall(n, pos)) {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if err := m.addNeurons(tops, part); err != nil {
				return nil, err
			}
		}
		if report != nil {
			report(step-first+1, steps)
		}
	}
	list := make([]float64, cfg.Layers)
	for l := range tops {
		list[l] = tops[l].at(rank(l0[l], tokens), tokens*cfg.DMLP)
	}
	return list, nil
}

// rank is how many activations are active at so many per token.
func rank(l0 float64, tokens int) int { return int(math.Round(l0 * float64(tokens))) }

// largest keeps the k largest of a stream of values, in at most 2k places.
type largest struct {
	k      int
	values []float64
	floor  float64 // values up to here are not among them, once there are k
	full   bool
}

func (t *largest) add(v float64) {
	if t.k == 0 || t.full && v <= t.floor {
		return
	}
	if t.values = append(t.values, v); len(t.values) == 2*t.k {
		t.cut()
	}
}

func (t *largest) cut() {
	slices.SortFunc(t.values, func(a, b float64) int {
		switch {
		case a > b:
			return -1
		case a < b:
			return 1
		}
		return 0
	})
	if len(t.values) >= t.k {
		t.values = t.values[:t.k]
		t.floor, t.full = t.values[t.k-1], true
	}
}

// at is the n-th largest of all values, n at most k.
func (t *largest) at(n, all int) float64 {
	switch {
	case n == 0:
		return math.MaxFloat32
	case n >= all:
		return -math.MaxFloat32
	}
	t.cut()
	return t.values[n-1]
}

// neuronHook sets the neurons whose activation is below the threshold of their
// layer [layers] to zero, position 0 left alone.
func neuronHook(positions *Node, dtype dtypes.DType, thresholds *Node) gpt2.Hook {
	replaced := clt.NotFirst(positions, dtype)
	return func(name gpt2.HookName, x *Node) *Node {
		l, site, ok := name.Split()
		if !ok || site != gpt2.MLPPost {
			return x
		}
		threshold := BroadcastToDims(Reshape(Slice(thresholds, AxisElem(l)), 1, 1, 1), x.Shape().Dimensions...)
		return Where(GreaterOrEqual(x, threshold), x, Sub(x, Mul(replaced, x)))
	}
}

// addNeurons runs the model on windows and adds the activations of their neurons,
// position 0 left out, to the largest of each layer.
func (m *Model) addNeurons(tops []largest, batch [][]int32) error {
	hooks, err := m.LM.RunHooks(gpt2.Program{}, batch, "*"+gpt2.HookName(gpt2.MLPPost))
	if err != nil {
		return fmt.Errorf("replacement: neurons: %w", err)
	}
	pos, width := len(batch[0]), m.LM.Config.DMLP
	for l := range tops {
		post := hooks[gpt2.MLPPost.At(l)]
		for i := range batch {
			for j := (i*pos + 1) * width; j < (i+1)*pos*width; j++ {
				v := post.At(j)
				if math.IsNaN(v) || math.IsInf(v, 0) {
					return fmt.Errorf("replacement: neurons: %s is %g at position %d; run the model in float64, or check its weights",
						gpt2.MLPPost.At(l), v, j/width%pos)
				}
				tops[l].add(v)
			}
		}
	}
	return nil
}
