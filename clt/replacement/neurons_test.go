package replacement

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/internal/toy"
)

// slack is for the neuron that is the threshold: the loops round otherwise.
const slack = 1e-12

// TestThresholdedNeurons holds the thresholds, the loss of the model under them and
// the distances of the logits against plain loops over every neuron.
func TestThresholdedNeurons(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		batches := [][][]int32{{{12, 1, 2, 3, 4}, {12, 9, 9, 0, 5}}, {{12, 6, 7, 8, 10}, {12, 3, 3, 3, 1}}}
		windows, tokens, l0 := windowsOf(batches...), 16, []float64{0, 1.25, 3.5}
		thresholds, err := c.NeuronThresholds(t.Context(), windows, 0, 2, l0, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Compare(t.Context(), windows, 0, 2, Baselines{Neurons: thresholds}, false, nil)
		if err != nil {
			t.Fatal(err)
		}
		active, loss, cosine, mse := make([]int, 3), 0.0, 0.0, 0.0
		program, err := c.Program()
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range slices.Concat(batches...) {
			thresholded := c.plain.Forward(w, func(name string, x []float64) []float64 {
				return belowThreshold(name, x, len(w), thresholds)
			})
			c.plain.Forward(w, func(name string, x []float64) []float64 {
				if l, site, _ := gpt2.HookName(name).Split(); site == gpt2.MLPPost {
					for _, v := range x[len(x)/len(w):] {
						if v >= thresholds[l]-slack {
							active[l]++
						}
					}
				}
				return x
			})
			whole, err := c.LM.RunProgram(gpt2.Program{}, w)
			if err != nil {
				t.Fatal(err)
			}
			replaced, err := c.LM.RunProgram(program, w)
			if err != nil {
				t.Fatal(err)
			}
			a, err := Agree(whole.Logits, replaced.Logits)
			if err != nil {
				t.Fatal(err)
			}
			for p := 1; p < len(w)-1; p++ {
				loss -= gpt2.LogProbs(thresholded["logits"][p*13 : (p+1)*13])[w[p+1]] / 12
				cosine, mse = cosine+a.Cosine[p]/12, mse+a.MSE[p]/12
			}
		}
		for l, n := range active {
			if n != int(math.Round(l0[l]*float64(tokens))) {
				t.Errorf("layer %d: %d active neurons on %d tokens from %g on, %g a token asked", l, n, tokens, thresholds[l], l0[l])
			}
		}
		if got.CENeurons == nil || math.Abs(*got.CENeurons-loss) > 1e-10 || math.Abs(*got.CENeurons-got.CE) < 1e-6 {
			t.Errorf("loss %v with thresholded neurons, loops give %g, the model %g", got.CENeurons, loss, got.CE)
		}
		if math.Abs(got.Cosine-cosine) > 1e-10 || math.Abs(got.MSE-mse) > 1e-10 {
			t.Errorf("cosine %g and squared error %g, by token %g and %g", got.Cosine, got.MSE, cosine, mse)
		}
	})
}

// belowThreshold zeroes neurons at positions from 1 on.
func belowThreshold(name string, x []float64, pos int, thresholds []float64) []float64 {
	l, site, _ := gpt2.HookName(name).Split()
	if site != gpt2.MLPPost {
		return x
	}
	x = slices.Clone(x)
	for i := len(x) / pos; i < len(x); i++ {
		if x[i] < thresholds[l]-slack {
			x[i] = 0
		}
	}
	return x
}

// TestThresholdsAtTheEnds: all neurons are the model itself; impossible numbers are
// refused.
func TestThresholdsAtTheEnds(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		windows, all := windowsOf([][]int32{{12, 1, 2, 3, 4}}), float64(c.LM.Config.DMLP)
		thresholds, err := c.NeuronThresholds(t.Context(), windows, 0, 1, []float64{all, all, 2 * all}, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Compare(t.Context(), windows, 0, 1, Baselines{Neurons: thresholds}, false, nil)
		if err != nil || math.Abs(*got.CENeurons-got.CE) > 1e-13 { // the model itself has a faster MLP, which rounds otherwise
			t.Errorf("with all neurons the loss is %v, %+v, %v", *got.CENeurons, got, err)
		}
		for want, l0 := range map[string][]float64{"2 layers": {1, 2}, "NaN": {1, math.NaN(), 1}, "-1": {1, 1, -1}} {
			if _, err := c.NeuronThresholds(t.Context(), windows, 0, 1, l0, nil); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v: %v", l0, err)
			}
		}
	})
}

// TestThresholdsOfOverflow: what is not finite is named.
func TestThresholdsOfOverflow(t *testing.T) {
	cfg := toy.RandomConfig()
	params := toy.RandomModel(cfg, 3)
	for _, name := range []string{"h.1.mlp.c_fc.weight", "h.1.mlp.c_fc.bias"} {
		for i := range params[name].F64 {
			params[name].F64[i] = 1.7e308
		}
	}
	m := joined(t, cfg, params, toy.RandomCLT(toy.RandomKinds(cfg)["relu hook_resid_mid"], 4))
	_, err := m.NeuronThresholds(t.Context(), windowsOf([][]int32{{12, 1, 2, 3, 4}}), 0, 1, []float64{1, 1, 1}, nil)
	if err == nil || !strings.Contains(err.Error(), "blocks.1.mlp.hook_post is") {
		t.Errorf("error %v", err)
	}
}
