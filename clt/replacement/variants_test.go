package replacement

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/internal/golden"
)

// TestGoldenVariants repeats the reference's variants of the second prompt: capped
// features, chosen targets, fewer logits, a difference of two logits.
func TestGoldenVariants(t *testing.T) {
	root := filepath.Join(golden.Dir(t), "attribution")
	for _, s := range readMeta(t, filepath.Join(root, "meta.json")).Sets {
		dir := filepath.Join(root, s.Name)
		m := loadSet(t, "go", filepath.Join(filepath.Dir(root), "gpt2/tiny2"), dir, true)
		g := openGolden(t, filepath.Join(dir, "p1_variants_f64.safetensors"))
		local, err := m.Localize(s.Prompts["p1"].IDs)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(s.Name, func(t *testing.T) {
			base := DefaultAttributeConfig()
			base.Compat = "circuit-tracer"
			capped := base
			c := s.Prompts["p1"].Capped
			capped.MaxFeatures, capped.Batch, capped.Interval = c.MaxFeatures, c.Batch, c.Interval
			checkMatrix(t, local, capped, g.floats("capped.adjacency"))
			few := base
			few.MaxLogits, few.LogitProb = 4, 0.5
			graph := attributeOrFail(t, local, few)
			var ids []int32
			for _, n := range graph.Nodes {
				if n.Kind == attribution.Logit {
					ids = append(ids, int32(n.Index))
				}
			}
			if want := g.ints("max4_p0.5.ids"); fmt.Sprint(ids) != fmt.Sprint(want) {
				t.Errorf("logits %v, want %v", ids, want)
			}
			chosen := base
			for _, id := range g.ints("targets.ids") {
				target, err := local.ParseTarget(fmt.Sprint(id))
				if err != nil {
					t.Fatal(err)
				}
				chosen.Targets = append(chosen.Targets, target)
			}
			checkRows(t, local, chosen, g.floats("targets.logit_rows"))
			difference, err := local.ParseTarget("1-17")
			if err != nil {
				t.Fatal(err)
			}
			one := base
			one.Targets = []Target{difference}
			checkRows(t, local, one, g.floats("custom_logit_difference_1_minus_17.row"))
		})
	}
}

func attributeOrFail(t *testing.T, l *Local, cfg AttributeConfig) *attribution.Graph {
	t.Helper()
	g, err := l.Attribute(t.Context(), cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func checkMatrix(t *testing.T, l *Local, cfg AttributeConfig, want []float64) {
	t.Helper()
	g := attributeOrFail(t, l, cfg)
	n := len(g.Nodes)
	if n*n != len(want) {
		t.Fatalf("%d nodes, want a matrix of %d entries", n, len(want))
	}
	if d, at := maxDiff(func(i int) float64 { return g.Weight(i/n, i%n) }, want); !(d <= 1e-8) {
		t.Errorf("edge %v <- %v differs by %g", g.Nodes[at/n].ID, g.Nodes[at%n].ID, d)
	}
}

// checkRows compares the rows of the targets, in the order in which they were
// given: rows of equal weight keep it, others are sorted by probability.
func checkRows(t *testing.T, l *Local, cfg AttributeConfig, want []float64) {
	t.Helper()
	g := attributeOrFail(t, l, cfg)
	n, k := len(g.Nodes), len(cfg.Targets)
	if k*n != len(want) {
		t.Fatalf("%d targets of %d nodes, want %d entries", k, n, len(want))
	}
	for i, target := range cfg.Targets {
		row := -1
		for j := n - k; j < n; j++ {
			if g.Nodes[j].Label == target.Label {
				row = j
			}
		}
		if d, _ := maxDiff(func(c int) float64 { return g.Weight(row, c) }, want[i*n:(i+1)*n]); !(d <= 1e-8) {
			t.Errorf("row of target %s differs by %g", target.Label, d)
		}
	}
}
