package replacement

import (
	"math"
	"slices"
	"testing"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/internal/toy"
)

// targetsOf are some nodes of a graph as targets: every logit and some features of
// every layer.
func targetsOf(t *testing.T, l *Local, g *attribution.Graph, every int) (targets []Target, rows []int) {
	t.Helper()
	for i, n := range g.Nodes {
		if n.Kind != attribution.Logit && (n.Kind != attribution.Feature || i%every != 0) {
			continue
		}
		target, err := l.TargetOf(n.ID)
		if err != nil {
			t.Fatal(err)
		}
		targets, rows = append(targets, target), append(rows, i)
	}
	return targets, rows
}

// TestHeadsAddUp: for every kind of transcoder the residual path and the heads add
// up to each edge of the graph.
func TestHeadsAddUp(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		g := graphOf(t, c.Local)
		targets, rows := targetsOf(t, c.Local, g, 3)
		splits, err := c.Heads(t.Context(), targets...)
		if err != nil {
			t.Fatal(err)
		}
		crossed := 0
		for i, s := range splits {
			if s.Target != g.Nodes[rows[i]].ID || len(s.Sources) != g.Find(attribution.ID{Kind: attribution.Bias}) {
				t.Fatalf("split %d is of %v with %d sources", i, s.Target, len(s.Sources))
			}
			for at, source := range s.Sources {
				sum := s.Residual[at]
				for _, h := range s.Heads {
					sum += h.Weights[at]
					if h.Weights[at] != 0 {
						crossed++
					}
				}
				if w := g.Weight(rows[i], at); source != g.Nodes[at].ID || math.Abs(sum-w) > 1e-11 || math.Abs(s.Edges[at]-w) > 1e-11 {
					t.Fatalf("%v -> %v: parts add up to %.12g, edge %.12g, graph %.12g", source, s.Target, sum, s.Edges[at], w)
				}
				if source.Pos != s.Target.Pos && s.Residual[at] != 0 {
					t.Fatalf("%v -> %v: the residual path carries %g to another position", source, s.Target, s.Residual[at])
				}
			}
		}
		if crossed < 100 {
			t.Errorf("only %d parts go through heads", crossed)
		}
	})
}

// TestHeadsOfReference is the same on the reference model with its three sets.
func TestHeadsOfReference(t *testing.T) {
	for _, set := range []string{"clt_relu_resid_mid", "clt_jumprelu_ln2_normalized", "plt_topk_skip_mlp_in"} {
		m := loadSet(t, "go", "../../gpt2/testdata/tiny2", "testdata/"+set, true)
		local := localized(t, m, []int32{96, 23, 43, 4, 79, 94, 33})
		g := graphOf(t, local)
		targets, _ := targetsOf(t, local, g, 40)
		splits, err := local.Heads(t.Context(), targets...)
		if err != nil {
			t.Fatal(err)
		}
		shares, err := splits[len(splits)-1].Through(attribution.ID{Kind: attribution.Token, Pos: 1, Index: 23})
		if err != nil || len(shares) < 5 || shares[0].Layer < 0 {
			t.Errorf("%s: the token at 1 reaches the last position through %v, %v", set, shares, err)
		}
		if !slices.IsSortedFunc(shares, func(a, b HeadShare) int { return int(math.Copysign(1, math.Abs(b.Weight)-math.Abs(a.Weight))) }) {
			t.Errorf("%s: shares are not in order: %v", set, shares)
		}
	}
}

// TestHeadsOfToyCircuits holds the split against the table: which head carries what.
func TestHeadsOfToyCircuits(t *testing.T) {
	for _, c := range toy.Circuits() {
		local := toyLocal(t, c)
		g := toyGraph(t, local, c)
		targets, rows := targetsOf(t, local, g, 1)
		splits, err := local.Heads(t.Context(), targets...)
		if err != nil {
			t.Fatal(err)
		}
		want := map[[4]any]float64{}
		for _, h := range c.Heads {
			want[[4]any{h.Source, h.Target, h.Layer, h.Head}] = h.Weight
		}
		for i, s := range splits {
			for _, h := range s.Heads {
				for at, source := range s.Sources {
					k := [4]any{source.String(), g.Nodes[rows[i]].ID.String(), h.Layer, h.Head}
					if math.Abs(h.Weights[at]-want[k]) > 1e-10 {
						t.Errorf("%s: %v is %g, want %g", c.Name, k, h.Weights[at], want[k])
					}
					delete(want, k)
				}
			}
		}
		if len(want) > 0 {
			t.Errorf("%s: missing %v", c.Name, want)
		}
	}
}

// TestInvariant32RemovingAHead sets one head's pattern to zero: the edges between
// adjacent layers, whose paths have at most one hop, lose exactly that head's part.
func TestInvariant32RemovingAHead(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		g := graphOf(t, c.Local)
		targets, _ := targetsOf(t, c.Local, g, 2)
		splits, err := c.Heads(t.Context(), targets...)
		if err != nil {
			t.Fatal(err)
		}
		checked := 0
		for layer := 1; layer < 3; layer++ {
			for head := range 2 {
				cut := c.withoutHead(layer, head)
				b, err := cut.newBuilder(DefaultAttributeConfig())
				if err != nil {
					t.Fatal(err)
				}
				var rows []row
				var parts []*HeadSplit
				for i := range splits {
					s := &splits[i]
					if s.Target.Kind != attribution.Feature || s.Target.Layer != layer {
						continue
					}
					f := slices.IndexFunc(c.Active, func(a Active) bool { return a.id() == s.Target })
					rows, parts = append(rows, b.feature[f]), append(parts, s)
				}
				err = b.sweepAll(t.Context(), rows, func(i int, edges, embed gpt2.Array, at, pos int) {
					checked += checkWithout(t, parts[i], layer, head, b.sourceRow(at, pos, edges, embed))
				}, nil)
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		if checked < 20 {
			t.Errorf("only %d edges were checked", checked)
		}
	})
}

// checkWithout holds a row without a head against the split; it returns the number
// of edges that it looked at.
func checkWithout(t *testing.T, s *HeadSplit, layer, head int, row []float64) (checked int) {
	t.Helper()
	part := s.Heads[head] // the target's own layer comes first
	if part.Layer != layer || part.Head != head {
		t.Fatalf("part %d is of layer %d, head %d", head, part.Layer, part.Head)
	}
	for at, source := range s.Sources {
		if source.Kind != attribution.Feature || source.Layer != layer-1 {
			continue
		}
		if d := s.Edges[at] - row[at] - part.Weights[at]; math.Abs(d) > 1e-11 {
			t.Fatalf("%v -> %v without L%d/H%d differs by %g", source, s.Target, layer, head, d)
		}
		checked++
	}
	return checked
}

// withoutHead is the local model with one head's pattern at zero.
func (l *Local) withoutHead(layer, head int) *Local {
	cut := l.copied()
	p := gpt2.Array{Shape: l.pattern[layer].Shape, F64: slices.Clone(l.pattern[layer].F64)}
	n := len(l.Tokens)
	clear(p.F64[head*n*n : (head+1)*n*n])
	cut.pattern = slices.Clone(l.pattern)
	cut.pattern[layer] = p
	return cut
}

func TestHeadsRefusals(t *testing.T) {
	c := toy.Circuits()[0]
	local := toyLocal(t, c)
	if _, err := local.Heads(t.Context()); err == nil {
		t.Error("no targets were accepted")
	}
	for _, id := range []attribution.ID{{Kind: attribution.Token, Index: 3}, {Kind: attribution.Feature, Layer: 4, Pos: 1}, {Kind: attribution.Logit, Index: 6, Pos: 9}, {Kind: attribution.Logit, Index: 99}} {
		if _, err := local.TargetOf(id); err == nil {
			t.Errorf("%v was taken as a target", id)
		}
	}
	splits, err := local.Heads(t.Context(), local.tokenTarget(6, 1, 2))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := splits[0].Through(attribution.ID{Kind: attribution.Feature, Index: 1, Pos: 1}); err == nil {
		t.Error("an inactive feature has parts")
	}
}
