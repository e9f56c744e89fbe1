package replacement

import (
	"math"
	"slices"
	"testing"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// TestOpenEditsInGeneration: an edit with an open end acts on every new token: the
// generation with a KV cache is that of whole passes under the edit, one for each
// token. So is generation by the replacement model.
func TestOpenEditsInGeneration(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		prompt := []int32{12, 3, 7, 3}
		edit := Edit{Feature: clt.Feature{Layer: 0, Index: 4}, Pos: 2, Open: true, Value: 4}
		live, err := c.LiveProgram(len(prompt), edit)
		if err != nil {
			t.Fatal(err)
		}
		got := generated(t, c.Model, live, prompt)
		plain := generated(t, c.Model, gpt2.Program{}, prompt)
		tokens := slices.Clone(prompt)
		for i, id := range got.Tokens {
			e := intervened(t, localized(t, c.Model, tokens), InterveneConfig{Mode: Live}, edit)
			lp := gpt2.LogProbs(e.Logits.F64[e.Logits.Len()-13:])
			if d := math.Abs(lp[id] - got.Logprobs[i]); d > 1e-10 || slices.Max(lp) != lp[id] {
				t.Fatalf("token %d is %d with log-probability %g, a whole pass says %g of at most %g", i, id, got.Logprobs[i], lp[id], slices.Max(lp))
			}
			tokens = append(tokens, id)
		}
		if got.Logprobs[0] == plain.Logprobs[0] {
			t.Error("the edit changes nothing")
		}
		full, err := c.Program()
		if err != nil {
			t.Fatal(err)
		}
		replaced := generated(t, c.Model, full, prompt)
		tokens = slices.Clone(prompt)
		for i, id := range replaced.Tokens {
			whole, err := c.LM.RunProgram(full, tokens)
			if err != nil {
				t.Fatal(err)
			}
			lp := gpt2.LogProbs(whole.Logits.F64[whole.Logits.Len()-13:])
			if d := math.Abs(lp[id] - replaced.Logprobs[i]); d > 1e-10 {
				t.Fatalf("replacement model, token %d: log-probability %g, a whole pass says %g", i, replaced.Logprobs[i], lp[id])
			}
			tokens = append(tokens, id)
		}
	})
}

func generated(t *testing.T, m *Model, p gpt2.Program, prompt []int32) *gpt2.Generation {
	t.Helper()
	cfg := gpt2.DefaultGenerateConfig()
	cfg.N = 4
	g, err := m.LM.Generate(t.Context(), p, prompt, cfg, nil)
	if err != nil || len(g.Tokens) != 4 {
		t.Fatalf("generate: %v", err)
	}
	return g
}
