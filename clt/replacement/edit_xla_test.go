package replacement

import (
	"math"
	"testing"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/internal/testenv"
)

// TestEditsOnXLA: where prompts are padded to buckets, vectors, swaps and the
// prediction of both are those of the Go backend.
func TestEditsOnXLA(t *testing.T) {
	testenv.Slow(t)
	ids, others := []int32{96, 23, 43, 4, 79, 94, 33}, []int32{96, 5, 43, 4, 79}
	const set = "testdata/clt_jumprelu_ln2_normalized"
	type result struct {
		effects []*Effect
		direct  []float64
		total   []float64
	}
	run := func(backend string, double bool) (r result) {
		m := loadSet(t, backend, "../../gpt2/testdata/tiny2", set, double)
		local, other := localized(t, m, ids), localized(t, m, others)
		vector := make([]float64, m.CLT.DModel)
		for i := range vector {
			vector[i] = math.Sin(float64(i)) / 10
		}
		edits, err := local.Resolve([]Edit{AddVector(1, 3, gpt2.ResidMid, vector).OnFrom(), AddVector(0, 0, gpt2.ResidPre, vector),
			AddDecoder(2, 6, clt.Feature{Layer: 1, Index: 4}, .3), SwapIn(clt.Feature{Layer: 1, Index: 7}, 2, 1)}, other)
		if err != nil {
			t.Fatal(err)
		}
		for _, mode := range []string{Constrained, Iterative, Live} {
			cfg := local.everythingFrozen()
			cfg.Mode, cfg.FreezeLN = mode, mode == Iterative
			r.effects = append(r.effects, intervened(t, local, cfg, edits...))
		}
		targets := []Target{local.tokenTarget(5, 1, -1), local.tokenTarget(9, .5, 4)}
		if r.direct, err = local.DirectEffects(t.Context(), targets, edits); err != nil {
			t.Fatal(err)
		}
		p, err := local.Predict(t.Context(), graphOf(t, local, targets...), edits, targets...)
		if err != nil {
			t.Fatal(err)
		}
		r.total = p.Value
		return r
	}
	x, y := run("xla:cpu", false), run("go", true)
	for i, e := range y.effects {
		if d, _ := maxDiff(x.effects[i].Logits.At, e.Logits.F64); d > 1e-4 {
			t.Errorf("%s: logits differ by %g", e.Config.Mode, d)
		}
		for l := range e.Pre {
			if d, _ := maxDiff(x.effects[i].Pre[l].At, e.Pre[l].F64); d > 5e-4 {
				t.Errorf("%s: pre-activations of layer %d differ by %g", e.Config.Mode, l, d)
			}
		}
	}
	for i := range y.direct {
		if d := math.Abs(x.direct[i] - y.direct[i]); d > 1e-4 {
			t.Errorf("direct effect %d differs by %g", i, d)
		}
	}
	if d, at := maxDiff(func(i int) float64 { return x.total[i] }, y.total); d > 5e-4 {
		t.Errorf("prediction of node %d differs by %g", at, d)
	}
}
