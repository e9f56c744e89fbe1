package clt

import (
	"math"
	"strings"
	"testing"
	"time"
)

// The arithmetic of a GPT-2 small transcoder: 69,144·F + 9,216 weights apart from
// biases and thresholds of the features, 396,288·F FLOP a token, 16 bytes a weight.
func TestEstimate(t *testing.T) {
	for _, c := range []struct {
		features         int
		parameters       float64 // M
		gigabytes        float64
		flopPerToken     float64 // G
		adamMilliseconds float64 // at 4.3 TB/s
	}{{512, 35.4, 0.57, 0.203, 0.23}, {2048, 141.6, 2.27, 0.812, 0.92}, {8192, 566.4, 9.06, 3.25, 3.7}, {32768, 2266, 36.3, 12.99, 14.8}} {
		cfg := DefaultConfig(12, 768)
		cfg.Features = c.features
		if want := 69144*c.features + 9216; cfg.NumParameters() != want {
			t.Errorf("%d features: %d parameters, want %d", c.features, cfg.NumParameters(), want)
		}
		tc := DefaultTrainConfig()
		tc.Batch = 4096
		e := EstimateTraining(cfg, tc, 170e6, true)
		for _, x := range []struct {
			what      string
			got, want float64
		}{{"M parameters", float64(e.Parameters) / 1e6, c.parameters}, {"GB", float64(e.WeightBytes) / 1e9, c.gigabytes},
			{"GFLOP per token", e.StepFLOP / 4096e9, c.flopPerToken}, {"ms for Adam", 1e3 * e.TrafficBytes / 4.3e12, c.adamMilliseconds}} {
			if math.Abs(x.got-x.want) > 0.02*x.want {
				t.Errorf("%d features: %s %.4g, want %.4g", c.features, x.what, x.got, x.want)
			}
		}
	}
	cfg := DefaultConfig(12, 768)
	cfg.Features = 8192
	tc := DefaultTrainConfig()
	tc.Batch, tc.Steps, tc.Compute, tc.Path = 8192, 12200, ComputeBFloat16, PathDense
	e := EstimateTraining(cfg, tc, 170e6, false)
	if got := e.BatchBytes - 8192*4*12*768*4; got != 8192*72*8192 {
		t.Errorf("pre-activations, activations and gradients take %d bytes, want 72·F a token", got)
	}
	if got := e.Time(0.45*790e12, 0.6*4.3e12); got < 15*time.Minute || got > 25*time.Minute {
		t.Errorf("100 M tokens at 45 %% of 790 TFLOP/s take %v, want about 19 minutes", got)
	}

	plain := e
	tc.KLSteps, tc.KLBatch = 100, 8
	e = e.WithKL(cfg, tc, 8*127, 170e6, 50257)
	perToken := 2*3.246e9 + 3*(170e6+2*768*50257) // a token of a KL step, by hand
	if want := perToken * 8 * 127; math.Abs(e.KLFLOP-want) > 0.01*want {
		t.Errorf("a KL step takes %g FLOP, want %g", e.KLFLOP, want)
	}
	if extra := e.Work() - plain.Work(); math.Abs(extra-100*e.KLFLOP) > 1e-6*e.Work() || e.Tokens != plain.Tokens+100*8*127 || e.Time(1e12, 1e12) <= plain.Time(1e12, 1e12) {
		t.Errorf("100 KL steps add %g FLOP and %d tokens", extra, e.Tokens-plain.Tokens)
	}
	if logits := 8 * 127 * 50257 * 4; e.KLBytes < 4*logits || !strings.Contains(e.String(), "then 100 KL steps") {
		t.Errorf("%d bytes of KL, %s", e.KLBytes, e)
	}
	tc.KLSteps = 0
	if plain.WithKL(cfg, tc, 1016, 170e6, 50257) != plain {
		t.Error("no KL steps change the estimate")
	}
}
