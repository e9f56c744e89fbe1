package clt

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// TestCollectParts: activations do not depend on how many windows run at once, and a
// stop is heard between two runs.
func TestCollectParts(t *testing.T) {
	m := tinyModel(t, tinyShape, false)
	batch, err := tinyWindows(8, 9)(3)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := collectParts(t.Context(), m, gpt2.MLPIn, batch, len(batch))
	if err != nil {
		t.Fatal(err)
	}
	parts, err := collectParts(t.Context(), m, gpt2.MLPIn, batch, len(batch)/4)
	if err != nil {
		t.Fatal(err)
	}
	for l := range whole.In {
		for name, pair := range map[string][2][]float32{"in": {whole.In[l], parts.In[l]}, "out": {whole.Out[l], parts.Out[l]}} {
			if len(pair[0]) == 0 || len(pair[0]) != len(pair[1]) {
				t.Fatalf("layer %d, %s: %d and %d numbers", l, name, len(pair[0]), len(pair[1]))
			}
			for i, v := range pair[0] {
				if math.Abs(float64(v-pair[1][i])) > 1e-5*max(1, math.Abs(float64(v))) {
					t.Fatalf("layer %d, %s: number %d is %g, in parts %g", l, name, i, v, pair[1][i])
				}
			}
		}
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, err := collectParts(stopped, m, gpt2.MLPIn, batch, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
}
