package gpt2

import (
	"testing"

	"github.com/etredal/cross-layer-transcoder/internal/testbackend"
)

// TestActivationsAreTheCallers changes what one pass gave: later passes, and the
// weights, must not see it, although the Go backend gives out its own memory.
func TestActivationsAreTheCallers(t *testing.T) {
	for _, name := range []string{"go", "xla"} {
		t.Run(name, func(t *testing.T) {
			b := testbackend.Open(t, name)
			if onHeap(b) != (name == "go") {
				t.Fatalf("onHeap is %v for a backend named %q: has it another name now?", onHeap(b), b.Name())
			}
			cfg := Config{Layers: 2, DModel: 24, Heads: 3, DMLP: 40, Context: 16, DVocab: 11, LayerNormEps: 1e-5, TieEmbeddings: true, BOS: -1}
			m, err := Untrained(b, cfg, 1)
			if err != nil {
				t.Fatal(err)
			}
			ids := []int32{3, 1, 4, 1, 5}
			first, err := m.RunWithCache(ids, "*")
			if err != nil {
				t.Fatal(err)
			}
			kept := map[HookName]Array{"logits": first.Logits.clone()}
			for n, a := range first.Hooks {
				kept[n] = a.clone()
			}
			first.Hooks["logits"] = first.Logits
			for _, a := range first.Hooks {
				for i := range a.F32 {
					a.F32[i] = 1e9
				}
			}
			for range 2 {
				again, err := m.RunWithCache(ids, "*")
				if err != nil {
					t.Fatal(err)
				}
				again.Hooks["logits"] = again.Logits
				for n, want := range kept {
					for i, v := range again.Hooks[n].F32 {
						if v != want.F32[i] {
							t.Fatalf("%s[%d] is %g, the first pass had %g", n, i, v, want.F32[i])
						}
					}
				}
			}
		})
	}
}
