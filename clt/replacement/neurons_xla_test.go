package replacement

import (
	"math"
	"testing"

	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/internal/testenv"
)

// TestComparisonOnXLA: thresholds of neurons, every loss of a comparison, the measures
// of its logits and those of one prompt are on XLA what they are on the Go backend in
// float64, which TestThresholdedNeurons holds against plain loops.
func TestComparisonOnXLA(t *testing.T) {
	testenv.Slow(t)
	batches := [][][]int32{{{96, 1, 2, 3, 4, 50, 51}, {96, 9, 9, 0, 5, 60, 7}}, {{96, 6, 7, 8, 10, 90, 33}, {96, 3, 3, 3, 1, 2, 95}}}
	l0 := []float64{0, 2.5, 20, 64}
	type result struct {
		thresholds []float64
		*Comparison
		Agreement
	}
	run := func(set string, byLayer bool, backend string, double bool) (r result) {
		m := loadSet(t, backend, "../../gpt2/testdata/tiny2", set, double)
		var err error
		if r.thresholds, err = m.NeuronThresholds(t.Context(), windowsOf(batches...), 0, 2, l0, nil); err != nil {
			t.Fatal(err)
		}
		base := Baselines{Neurons: r.thresholds}
		for l := range m.CLT.Layers {
			mean := make([]float32, m.CLT.DModel)
			for i := range mean {
				mean[i] = float32(math.Sin(float64(7*l+i))) / 3
			}
			base.MeanOut = append(base.MeanOut, mean)
		}
		if r.Comparison, err = m.Compare(t.Context(), windowsOf(batches...), 0, 2, base, byLayer, nil); err != nil {
			t.Fatal(err)
		}
		program, err := m.Program()
		if err != nil {
			t.Fatal(err)
		}
		whole, err := m.LM.RunProgram(gpt2.Program{}, batches[0][0])
		if err != nil {
			t.Fatal(err)
		}
		replaced, err := m.LM.RunProgram(program, batches[0][0])
		if err != nil {
			t.Fatal(err)
		}
		a, err := Agree(whole.Logits, replaced.Logits)
		if err != nil {
			t.Fatal(err)
		}
		r.Agreement = *a
		return r
	}
	for set, byLayer := range map[string]bool{"clt_relu_resid_mid": true} { // no thresholds that rounding could cross
		t.Run(set, func(t *testing.T) {
			x, y := run("testdata/"+set, byLayer, "xla:cpu", false), run("testdata/"+set, byLayer, "go", true)
			near := func(what string, got, want float64) {
				if !(math.Abs(got-want) <= 1e-4*max(1, math.Abs(want))) {
					t.Errorf("%s is %.8g on XLA and %.8g on the Go backend", what, got, want)
				}
			}
			for l := range l0 {
				near("a threshold", x.thresholds[l], y.thresholds[l])
			}
			for l := range y.KLLayer {
				near("KL of one layer", x.KLLayer[l], y.KLLayer[l])
			}
			if byLayer != (len(y.KLLayer) == len(l0)) {
				t.Errorf("KL of %d layers alone", len(y.KLLayer))
			}
			if x.CENeurons == nil || y.CENeurons == nil || math.Abs(*y.CENeurons-y.CE) < 1e-3 {
				t.Fatalf("the baseline of neurons: %v and %v, the model has %g", x.CENeurons, y.CENeurons, y.CE)
			}
			near("loss with thresholded neurons", *x.CENeurons, *y.CENeurons)
			a, b := *x.Comparison, *y.Comparison
			for what, pair := range map[string][2]float64{"loss": {a.CE, b.CE}, "loss replaced": {a.CEReplaced, b.CEReplaced}, "loss without MLPs": {a.CEZero, b.CEZero},
				"loss with means": {a.CEMean, b.CEMean}, "KL": {a.KL, b.KL}, "cosine": {a.Cosine, b.Cosine}, "squared error": {a.MSE, b.MSE}, "top 1": {a.Top1, b.Top1}} {
				near(what, pair[0], pair[1])
			}
			if a.Tokens != 20 || math.Abs(b.CEMean-b.CEZero) < 1e-3 {
				t.Errorf("%d tokens, loss with means %g, without MLPs %g", a.Tokens, b.CEMean, b.CEZero)
			}
			for p := range x.Agreement.Cosine {
				near("cosine of a position", x.Agreement.Cosine[p], y.Agreement.Cosine[p])
				near("squared error of a position", x.Agreement.MSE[p], y.Agreement.MSE[p])
				near("KL of a position", x.Agreement.KL[p], y.Agreement.KL[p])
			}
		})
	}
}
