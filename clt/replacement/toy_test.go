package replacement

import (
	"math"
	"testing"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/internal/testbackend"
	"github.com/etredal/cross-layer-transcoder/internal/toy"
)

// toyLocal is a circuit's model on its prompt, in float64 on the Go backend.
func toyLocal(t *testing.T, c toy.Circuit) *Local {
	t.Helper()
	lm, err := gpt2.New(testbackend.Open(t, "go"), c.Config, c.Params, gpt2.LoadOptions{Double: true})
	if err != nil {
		t.Fatal(err)
	}
	m, err := New(lm, c.CLT, attribution.Artifact{Name: "toy"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	local, err := m.Localize(c.Prompt)
	if err != nil {
		t.Fatal(err)
	}
	return local
}

// toyGraph is the graph of a circuit's target.
func toyGraph(t *testing.T, local *Local, c toy.Circuit) *attribution.Graph {
	t.Helper()
	cfg := DefaultAttributeConfig()
	cfg.Targets = []Target{local.tokenTarget(c.Target, 1, len(c.Prompt)-1)}
	g, err := local.Attribute(t.Context(), cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestToyCircuits holds the graph of every hand-wired circuit against the table:
// these features, these edges and no others, no errors, all of it explained.
func TestToyCircuits(t *testing.T) {
	for _, c := range toy.Circuits() {
		t.Run(c.Name, func(t *testing.T) {
			t.Log(c.Reason)
			local := toyLocal(t, c)
			if len(local.Active) != len(c.Features) {
				t.Fatalf("%d features are active, want %v", len(local.Active), c.Features)
			}
			for i, w := range c.Features {
				a := local.Active[i]
				if a.Layer != w.Layer || a.Pos != w.Pos || a.Index != w.Index || math.Abs(a.Value-w.Value) > 1e-10 {
					t.Errorf("feature %d is %+v, want %+v", i, a, w)
				}
			}
			for l, e := range local.errors {
				for i, v := range e.F64 {
					if math.Abs(v) > 1e-12 {
						t.Fatalf("error of layer %d is %g at %d", l, v, i)
					}
				}
			}
			g := toyGraph(t, local, c)
			edges := map[[2]string]float64{}
			for _, e := range c.Edges {
				edges[[2]string{e.Source, e.Target}] = e.Weight
			}
			for at, target := range g.Nodes {
				for s, source := range g.Nodes {
					k := [2]string{source.ID.String(), target.ID.String()}
					if got := g.Weight(at, s); math.Abs(got-edges[k]) > 1e-10 {
						t.Errorf("edge %s -> %s is %.12g, want %.12g", k[0], k[1], got, edges[k])
					}
					delete(edges, k)
				}
			}
			if len(edges) > 0 {
				t.Errorf("no nodes for the edges %v", edges)
			}
			s := g.Score()
			if len(c.Edges) > 0 && (math.Abs(s.Replacement-1) > 1e-12 || math.Abs(s.Completeness-1) > 1e-12) {
				t.Errorf("replacement %g, completeness %g, want 1 and 1", s.Replacement, s.Completeness)
			}
		})
	}
}
