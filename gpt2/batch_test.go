package gpt2

import (
	"fmt"
	"testing"

	"github.com/etredal/cross-layer-transcoder/internal/testenv"
)

// TestUnequalPromptsRunAsOneBatch compares every activation of a padded batch
// with that of each prompt alone.
func TestUnequalPromptsRunAsOneBatch(t *testing.T) {
	for _, backend := range []string{"go", "xla:cpu"} {
		t.Run(backend, func(t *testing.T) {
			if backend != "go" {
				testenv.Slow(t)
			}
			m := loadOn(t, backend, "testdata/tiny2", false)
			prompts := [][]int32{{96, 3, 5, 7, 11}, {96}, {54, 23, 43, 4, 79, 94, 33, 1, 2}}
			caches, err := m.RunEach(Program{}, prompts, "*attn.hook_pattern", "blocks.3.*")
			if err != nil {
				t.Fatal(err)
			}
			for i, p := range prompts {
				alone, err := m.RunWithCache(p, "*attn.hook_pattern", "blocks.3.*")
				if err != nil {
					t.Fatal(err)
				}
				if len(caches[i].Hooks) != len(alone.Hooks) || len(alone.Hooks) != 3+len(BlockSites) {
					t.Fatalf("prompt %d has %d hooks in the batch, %d alone", i, len(caches[i].Hooks), len(alone.Hooks))
				}
				alone.Hooks["logits"], caches[i].Hooks["logits"] = alone.Logits, caches[i].Logits
				for name, want := range alone.Hooks {
					got := caches[i].Hooks[name]
					if fmt.Sprint(got.Shape) != fmt.Sprint(want.Shape) {
						t.Fatalf("prompt %d, %s: shape %v, want %v", i, name, got.Shape, want.Shape)
					}
					for j := range want.Len() {
						if d := got.At(j) - want.At(j); d > 1e-4 || d < -1e-4 {
							t.Fatalf("prompt %d, %s differs by %g at %d", i, name, d, j)
						}
					}
				}
			}
		})
	}
}
