package gpt2

import (
	"math"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"github.com/etredal/cross-layer-transcoder/internal/testbackend"
)

// TestBF16 runs with matrices in bfloat16: their rounding, 2^-9, shows in the logits
// and is all that shows.
func TestBF16(t *testing.T) {
	b := testbackend.Open(t, "xla")
	m, err := Load(b, "testdata/tiny2", LoadOptions{BF16: true})
	if err != nil {
		t.Fatal(err)
	}
	if d := m.Store.GetVariable("/wte.weight").Shape().DType; d != dtypes.BFloat16 {
		t.Errorf("wte is kept as %s", d)
	}
	if d := m.Store.GetVariable("/ln_f.weight").Shape().DType; d != dtypes.Float32 {
		t.Errorf("ln_f is kept as %s", d)
	}
	exact := loadOn(t, "go", "testdata/tiny2", true)
	ids := readMeta(t, "testdata/tiny2").Prompts[1].IDs
	got, err := m.RunWithCache(ids, "*")
	if err != nil {
		t.Fatal(err)
	}
	want, err := exact.RunWithCache(ids, "*")
	if err != nil {
		t.Fatal(err)
	}
	difference := func(a, b Array) float64 {
		sum, norm := 0.0, 0.0
		for i := range b.Len() {
			sum, norm = sum+(a.At(i)-b.At(i))*(a.At(i)-b.At(i)), norm+b.At(i)*b.At(i)
		}
		return math.Sqrt(sum / norm)
	}
	if d := difference(got.Logits, want.Logits); !(d > 1e-5 && d < 0.05) {
		t.Errorf("logits differ by %.2g of their size, want between 1e-5 and 0.05", d)
	}
	for name, a := range want.Hooks {
		if _, site, ok := name.Split(); ok && site == AttnScores {
			continue // masked entries
		}
		if d := difference(got.Hooks[name], a); !(d < 0.05) {
			t.Errorf("%s differs by %.2g of its size", name, d)
		}
	}
	g, err := m.Generate(t.Context(), Program{}, ids, GenerateConfig{N: 5}, nil)
	if err != nil || len(g.Tokens) != 5 {
		t.Errorf("%v, %v", g, err)
	}
	if err := Train(t.Context(), m, TrainData{}, DefaultTrainConfig(), "", nil); err == nil || !strings.Contains(err.Error(), "bfloat16") {
		t.Errorf("training in bfloat16: %v", err)
	}
	if _, err := Load(testbackend.Open(t, "go"), "testdata/tiny2", LoadOptions{BF16: true}); err == nil || !strings.Contains(err.Error(), "for XLA") {
		t.Errorf("bfloat16 on the Go backend: %v", err)
	}
}
