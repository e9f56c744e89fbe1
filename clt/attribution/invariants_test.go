package attribution

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

// The tests of this file are the invariants 39 to 54 of the method: influence,
// pruning and scores on random layered graphs with every kind of node.

// samples are random graphs, dense and thin.
func samples() []*Graph {
	var out []*Graph
	for seed := range uint64(8) {
		out = append(out, random(seed, 2+int(seed)%3, 3+int(seed)%4, 1+int(seed)%3, 1+int(seed)%4, []float64{.9, .4, .15}[seed%3]))
	}
	return out
}

func each(t *testing.T, test func(t *testing.T, g *Graph)) {
	t.Helper()
	for i, g := range samples() {
		t.Run(fmt.Sprint(i), func(t *testing.T) { test(t, g) })
	}
}

func TestInvariant39RowsAreShares(t *testing.T) {
	each(t, func(t *testing.T, g *Graph) {
		for i, row := range naiveShares(g) {
			if sum := sumOf(row); sum != 0 && !near(sum, 1, 1e-12) || slices.Min(row) < 0 {
				t.Errorf("row %d sums to %v", i, sum)
			}
			incoming := 0.0
			for _, e := range g.Incoming(i) {
				incoming += math.Abs(e.Share)
				if !near(math.Abs(e.Share), row[e.Source], 1e-12) {
					t.Errorf("share of %v is %v, wants %v", e, e.Share, row[e.Source])
				}
			}
			if !near(incoming, sumOf(row), 1e-12) {
				t.Errorf("incoming shares of %d sum to %v", i, incoming)
			}
		}
	})
}

func TestInvariant40Nilpotent(t *testing.T) {
	each(t, func(t *testing.T, g *Graph) {
		curve := must(g.PathLengths())(t)
		if _, terms := naiveInfluence(g); len(curve) != terms || terms > g.Settings.Layers+1 {
			t.Errorf("%d powers, naive %d, at most %d", len(curve), terms, g.Settings.Layers+1)
		}
	})
}

func TestInvariant41OnePassIsTheSeries(t *testing.T) {
	each(t, func(t *testing.T, g *Graph) {
		want, _ := naiveInfluence(g)
		wantNear(t, "influence", must(g.Influence())(t), want, 1e-12)
	})
}

func TestInvariant42Conservation(t *testing.T) {
	each(t, func(t *testing.T, g *Graph) {
		infl, sum := must(g.Influence())(t), 0.0
		for i, n := range g.Nodes {
			if n.Kind.IsInput() || n.Kind == Error {
				sum += infl[i]
			}
		}
		if want := sumOf(g.targetWeights()); !near(sum, want, 1e-12) {
			t.Errorf("influence of inputs and errors is %v, wants %v", sum, want)
		}
	})
}

func TestInvariant43Scores(t *testing.T) {
	each(t, func(t *testing.T, g *Graph) {
		s, infl, w, shares := g.Score(), must(g.Influence())(t), g.targetWeights(), naiveShares(g)
		missed, targets, all := 0.0, 0.0, 0.0
		for i, n := range g.Nodes {
			all += infl[i] + w[i]
			if !n.Kind.IsTarget() {
				continue
			}
			targets += infl[i] + w[i]
			for j, m := range g.Nodes {
				if m.Kind == Error {
					missed += (infl[i] + w[i]) * shares[i][j]
				}
			}
		}
		wantNear(t, "scores", []float64{1 - s.Replacement, s.Completeness, s.CompletenessCT},
			[]float64{missed / sumOf(w), 1 - missed/targets, 1 - missed/all}, 1e-12)
		if s.Completeness < s.Replacement-1e-12 || s.CompletenessCT < s.Completeness-1e-12 {
			t.Errorf("scores out of order: %+v", s)
		}
		if s.RowIdentityMaxError > 1e-12 || s.RowIdentityMaxError < 0 {
			t.Errorf("row identity %v", s.RowIdentityMaxError)
		}
	})
}

func TestInvariant44RowScaling(t *testing.T) {
	each(t, func(t *testing.T, g *Graph) {
		scaled := g.Clone()
		r := rand.New(rand.NewPCG(5, 5))
		for _, i := range g.Targets() {
			k := math.Ldexp(1, r.IntN(7)-3) // exact, so that no tie is broken by rounding
			if r.IntN(2) == 0 {
				k = -k
			}
			for s := range g.Nodes {
				scaled.Weights.Set(i, s, k*g.Weight(i, s))
			}
		}
		wantNear(t, "influence", must(scaled.Influence())(t), must(g.Influence())(t), 1e-12)
		a, b := must(g.Select(DefaultPruneConfig()))(t), must(scaled.Select(DefaultPruneConfig()))(t)
		if !slices.Equal(a.Edges, b.Edges) || !slices.Equal(a.NodeMask, b.NodeMask) {
			t.Error("pruning depends on the scale of rows")
		}
		x, y := g.Score(), scaled.Score()
		x.RowIdentityMaxError, y.RowIdentityMaxError = 0, 0
		if math.Abs(x.Replacement-y.Replacement)+math.Abs(x.Completeness-y.Completeness)+math.Abs(x.PathLength-y.PathLength) > 1e-12 {
			t.Errorf("scores %+v and %+v", x, y)
		}
	})
}

func TestInvariant45NoErrorsNoFeatures(t *testing.T) {
	each(t, func(t *testing.T, g *Graph) {
		exact := g.Clone()
		bare := make([]bool, len(g.Nodes))
		for i, n := range g.Nodes {
			bare[i] = n.Kind != Feature
			if n.Kind != Error {
				continue
			}
			for j := range g.Nodes {
				exact.Weights.Set(j, i, 0)
			}
		}
		if s := exact.Score(); !near(s.Replacement, 1, 1e-12) || !near(s.Completeness, 1, 1e-12) {
			t.Errorf("without errors: %+v", s)
		}
		direct := must(g.Sub(bare))(t)
		want, weights := 0.0, 0.0
		for _, i := range direct.Targets() {
			p := direct.Nodes[i].Prob
			weights += p
			for _, e := range direct.Incoming(i) {
				if direct.Nodes[e.Source].Kind.IsInput() {
					want += p * math.Abs(e.Share)
				}
			}
		}
		if s := direct.Score(); !near(s.Replacement, want/weights, 1e-12) || s.Replacement > 0 && !near(s.PathLength, 1, 1e-12) {
			t.Errorf("without features: %+v, wants replacement %v", s, want/weights)
		}
	})
}

func TestInvariant46GoldenGraph(t *testing.T) { TestGraphA(t) }

func TestInvariant47Nested(t *testing.T) {
	each(t, func(t *testing.T, g *Graph) {
		infl := must(g.Influence())(t)
		var before []bool
		for _, tau := range []float64{0, .1, .3, .5, .8, .9, .99, 1} {
			cumulative, top := rank(infl, tau)
			for i := range before {
				if before[i] && !top[i] {
					t.Errorf("node %d is kept at a smaller threshold than %v", i, tau)
				}
				if top[i] != (infl[i] > 0 && (tau == 1 || cumulative[i] < tau || crossing(infl, cumulative, i, tau))) {
					t.Errorf("threshold %v: node %d with cumulative share %v kept is %v", tau, i, cumulative[i], top[i])
				}
			}
			before = top
		}
	})
}

// crossing says that node i is the first whose cumulative share reaches tau.
func crossing(infl, cumulative []float64, i int, tau float64) bool {
	for j := range infl {
		if (infl[j] > infl[i] || infl[j] == infl[i] && j < i) && cumulative[j] >= tau {
			return false
		}
	}
	return cumulative[i] >= tau
}

func TestInvariant48Idempotent(t *testing.T) {
	each(t, func(t *testing.T, g *Graph) {
		k := must(g.Select(DefaultPruneConfig()))(t)
		once := must(g.Apply(k))(t)
		all := &Kept{NodeMask: make([]bool, len(once.Nodes))}
		for i := range once.Nodes {
			all.NodeMask[i] = true
			for _, e := range once.Incoming(i) {
				all.Edges = append(all.Edges, [2]int{e.Target, e.Source})
			}
		}
		twice := must(once.Apply(all))(t)
		if d := Compare(once, twice, 0); !d.Same() {
			t.Errorf("applying masks again changes %+v", d)
		}
		// The clean-up finds nothing left to do.
		sp := must(once.sparse())(t)
		sp.clean(once, all.NodeMask)
		for i, keep := range all.NodeMask {
			if !keep && once.Nodes[i].Kind != Bias {
				t.Errorf("second clean-up drops %v", once.Nodes[i].ID)
			}
		}
	})
}

func TestInvariant49NoLooseEnds(t *testing.T) {
	each(t, func(t *testing.T, g *Graph) {
		for _, cfg := range []PruneConfig{DefaultPruneConfig(), {Node: .3, Edge: .5}, {Node: 0, Edge: 0}, {Node: 1, Edge: 1}} {
			p := must(g.Prune(cfg))(t)
			if p.Count(Token) != g.Count(Token) || p.Count(Logit) != g.Count(Logit) {
				t.Errorf("%v: tokens or logits lost", cfg)
			}
			for i, n := range p.Nodes {
				explained := slices.ContainsFunc(p.Incoming(i), func(e Edge) bool { return p.Nodes[e.Source].Kind != Bias })
				if n.Kind == Feature && !explained {
					t.Errorf("%v: %v has no input", cfg, n.ID)
				}
				if n.Kind != Token && n.Kind != Logit && len(p.Outgoing(i)) == 0 {
					t.Errorf("%v: %v has no output", cfg, n.ID)
				}
			}
			if err := p.Validate(); err != nil {
				t.Errorf("%v: %v", cfg, err)
			}
		}
	})
}

// TestInvariant49CutOutput: a feature whose input is kept and whose outputs are cut goes.
func TestInvariant49CutOutput(t *testing.T) {
	g := &Graph{Nodes: []Node{{ID: ID{Feature, 0, 0, 0}}, {ID: ID{Feature, 1, 0, 0}}, {ID: ID{Feature, 1, 0, 1}}, {ID: ID{Token, 0, 0, 0}},
		{ID: ID{Logit, 2, 0, 0}, Prob: 1}}, Weights: NewMatrix(5, true)}
	for _, e := range []struct {
		t, s int
		w    float64
	}{{4, 1, 5}, {4, 2, 5}, {1, 3, 7}, {1, 0, 3}, {2, 3, 7}, {2, 0, 3}, {0, 3, 1}} { // scores .5 .5 .35 .15 .35 .15 .3
		g.Weights.Set(e.t, e.s, e.w)
	}
	k := must(g.Select(PruneConfig{Node: 1, Edge: .85}))(t)
	if want := [][2]int{{1, 3}, {2, 3}, {4, 1}, {4, 2}}; k.NodeMask[0] || !reflect.DeepEqual(k.Edges, want) {
		t.Errorf("nodes %v and edges %v are kept, wants edges %v", k.NodeMask, k.Edges, want)
	}
}

func TestInvariant50EdgeShare(t *testing.T) {
	each(t, func(t *testing.T, g *Graph) {
		for _, cfg := range []PruneConfig{DefaultPruneConfig(), {Node: .5, Edge: .7}, {Node: .9, Edge: 1}, {Node: 1, Edge: .3}} {
			mask, edges, share := naivePrune(g, cfg)
			k := must(g.Select(cfg))(t)
			if share < cfg.Edge-1e-12 {
				t.Errorf("%v: kept edges hold %v", cfg, share)
			}
			if !slices.Equal(k.NodeMask, mask) || !slices.Equal(k.Edges, edges) {
				t.Errorf("%v: kept %d nodes and %d edges, naive %d and %d", cfg, len(indices(k.NodeMask)), len(k.Edges), len(indices(mask)), len(edges))
			}
		}
	})
}

func TestInvariant51FoldKeepsRows(t *testing.T) {
	each(t, func(t *testing.T, g *Graph) {
		cfg := PruneConfig{Node: .6, Edge: .8, Fold: true}
		k := must(g.Select(cfg))(t)
		folded := must(g.Prune(cfg))(t)
		if e, worst := folded.CheckRows(); e > 1e-12 || worst < 0 {
			t.Errorf("folded rows are off by %v", e)
		}
		if err := folded.Validate(); err != nil {
			t.Error(err)
		}
		for i, n := range g.Nodes {
			if n.Kind == Feature && k.NodeMask[i] != (folded.Find(n.ID) >= 0) {
				t.Errorf("%v kept is %v", n.ID, k.NodeMask[i])
			}
		}
		if dropped := must(g.Prune(PruneConfig{Node: .6, Edge: .8}))(t); len(dropped.Nodes) < len(g.Nodes) {
			if e, _ := dropped.CheckRows(); e != -1 {
				t.Errorf("rows of a graph with dropped edges checked: %v", e)
			}
		}
		// Folding everything makes all that was features unexplained.
		none := must(g.Fold(make([]bool, len(g.Nodes))))(t)
		if none.Count(Feature) != 0 || none.Score().RowIdentityMaxError > 1e-12 {
			t.Errorf("folding all leaves %d features, rows off by %v", none.Count(Feature), none.Score().RowIdentityMaxError)
		}
		if before := g.Score().Replacement; g.Count(Feature) > 0 && none.Score().Replacement > 1 || before > 1 {
			t.Errorf("replacement above 1")
		}
	})
	// A missing error node is made.
	g := graphA()
	keep := make([]bool, len(g.Nodes))
	for i := range keep {
		keep[i] = g.Nodes[i].Kind != Error
	}
	g = must(g.Sub(keep))(t)
	folded := must(g.Fold(make([]bool, len(g.Nodes))))(t)
	e := folded.Find(ID{Kind: Error, Layer: 1, Pos: 1})
	if e < 0 || folded.Weight(folded.TopTarget(), e) != 10 {
		t.Errorf("folded into %v", folded.Nodes)
	}
}

func TestInvariant52PathLength(t *testing.T) {
	each(t, func(t *testing.T, g *Graph) {
		curve, s := must(g.PathLengths())(t), g.Score()
		mean, last := 0.0, 0.0
		for l, p := range curve {
			if p < last {
				t.Errorf("curve falls: %v", curve)
			}
			mean, last = mean+float64(l+1)*(p-last), p
		}
		if want := s.Replacement * sumOf(g.targetWeights()); !near(last, want, 1e-12) {
			t.Errorf("curve ends at %v, wants %v", last, want)
		}
		if !near(s.PathLength, mean/last, 1e-12) {
			t.Errorf("mean length %v, series %v", s.PathLength, mean/last)
		}
	})
}

func TestInvariant53Supernodes(t *testing.T) {
	each(t, func(t *testing.T, g *Graph) {
		// Positive weights cannot cancel, so that every group's input sums to 1.
		positive := g.Clone()
		for i, w := range positive.Weights.F64 {
			positive.Weights.F64[i] = math.Abs(w)
		}
		var groups []Group
		for i, n := range g.Nodes {
			if n.Kind == Feature && i%2 == 0 {
				if len(groups) < 2 {
					groups = append(groups, Group{Label: fmt.Sprint("group ", i)})
				}
				at := (i / 2) % len(groups)
				groups[at].Nodes = append(groups[at].Nodes, n.ID)
			}
		}
		super := must(positive.Grouped(groups))(t)
		for to, members := range super.Members {
			sum := 0.0
			for from := range super.Members {
				sum += super.Weights.At(to, from)
			}
			if positive.Nodes[members[0]].Kind.IsTarget() && !near(sum, 1, 1e-12) {
				t.Errorf("input of %q sums to %v", super.Groups[to].Label, sum)
			}
			if super.Weights.At(to, to) != 0 {
				t.Errorf("%q feeds itself", super.Groups[to].Label)
			}
		}
		// Groups of one give the signed shares.
		single := must(g.Grouped(nil))(t)
		for to := range g.Nodes {
			for _, e := range g.Incoming(to) {
				if got := single.Weights.At(to, e.Source); !near(got, e.Share, 1e-12) {
					t.Errorf("edge %v is %v", e, got)
				}
			}
		}
	})
}

func TestInvariant54Determinism(t *testing.T) {
	for range 3 {
		g := random(7, 4, 5, 3, 4, .5)
		p := must(g.Prune(DefaultPruneConfig()))(t)
		var file bytes.Buffer
		if err := WriteSafetensors(&file, p); err != nil {
			t.Fatal(err)
		}
		text := writeJSON(t, p, View{})
		again := random(7, 4, 5, 3, 4, .5)
		p = must(again.Prune(DefaultPruneConfig()))(t)
		var file2 bytes.Buffer
		if err := WriteSafetensors(&file2, p); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(file.Bytes(), file2.Bytes()) || !bytes.Equal(text, writeJSON(t, p, View{})) {
			t.Fatal("two runs give different bytes")
		}
	}
}
