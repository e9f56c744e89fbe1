package attribution

import (
	"math"
	"slices"
	"strconv"
	"testing"
)

func TestGraphA(t *testing.T) {
	g := graphA()
	if err := g.Validate(); err != nil {
		t.Fatal(err)
	}
	infl := must(g.Influence())(t)
	want := []float64{1, 4, 0, 3, 0, 0, 4, 0, 3, 3, 2, 0}
	for i := range want {
		want[i] /= 12
	}
	wantNear(t, "influence", infl, want, 1e-15)

	k := must(g.Select(PruneConfig{Node: .8, Edge: .98}))(t)
	if got := indices(k.NodeMask); !slices.Equal(got, []int{1, 3, 6, 8, 9, 10, 11}) {
		t.Errorf("kept nodes %v", got)
	}
	edges := [][2]int{{1, 9}, {1, 10}, {3, 1}, {3, 6}, {11, 1}, {11, 3}, {11, 6}, {11, 8}}
	if !slices.Equal(k.Edges, edges) {
		t.Errorf("kept edges %v", k.Edges)
	}
	wantNear(t, "edge score", k.EdgeScore, []float64{3. / 16, 3. / 16, 1. / 8, 1. / 8, .25, .25, .25, .25}, 1e-15)
	wantNear(t, "cumulative", k.Cumulative, []float64{1, .2, 1, .55, 1, 1, .4, 1, .7, .85, .95, 1}, 1e-15)

	k = must(g.Select(PruneConfig{Node: .8, Edge: .8}))(t)
	if got := indices(k.NodeMask); !slices.Equal(got, []int{1, 6, 8, 9, 10, 11}) {
		t.Errorf("kept nodes %v at 0.8/0.8", got)
	}
	if !slices.Equal(k.Edges, [][2]int{{1, 9}, {1, 10}, {11, 1}, {11, 6}, {11, 8}}) {
		t.Errorf("kept edges %v at 0.8/0.8", k.Edges)
	}
	s := g.Score()
	wantNear(t, "scores", []float64{s.Replacement, s.CompletenessCT}, []float64{.416667, .781250}, 1e-6)
}

func TestGraphB(t *testing.T) {
	g := graphB()
	if err := g.Validate(); err != nil {
		t.Fatal(err)
	}
	wantNear(t, "influence", must(g.Influence())(t), []float64{.225, .2, .3, .075, .275, .2, .35, 0, 0}, 1e-15)
	s := g.Score()
	wantNear(t, "scores", []float64{s.Replacement, s.CompletenessCT}, []float64{.611111, .861386}, 1e-6)

	k := must(g.Select(DefaultPruneConfig()))(t)
	if got := indices(k.NodeMask); !slices.Equal(got, []int{0, 1, 2, 4, 5, 6, 7, 8}) || len(k.Edges) != 13 {
		t.Errorf("kept nodes %v and %d edges", got, len(k.Edges))
	}
	if slices.Contains(k.Edges, [2]int{0, 3}) {
		t.Error("edge of the dropped error is kept")
	}
	wantNear(t, "cumulative", k.Cumulative, []float64{.707692, .830769, .4, 1, .569231, .953846, .215385, 1, 1}, 1e-6)

	k = must(g.Select(PruneConfig{Node: .6, Edge: .8}))(t)
	if got := indices(k.NodeMask); !slices.Equal(got, []int{0, 2, 4, 5, 6, 7, 8}) {
		t.Errorf("kept nodes %v at 0.6/0.8", got)
	}
	if !slices.Equal(k.Edges, [][2]int{{0, 5}, {2, 0}, {7, 2}, {7, 6}, {8, 4}}) {
		t.Errorf("kept edges %v at 0.6/0.8", k.Edges)
	}
	wantNear(t, "edge score", k.EdgeScore, []float64{.255, .18, .30, .15, .30}, 1e-12)
}

// TestReference compares with what circuit-tracer computed in float64.
func TestReference(t *testing.T) {
	for _, s := range goldenSets(t) {
		t.Run(s.name, func(t *testing.T) { checkReference(t, s) })
	}
}

func checkReference(t *testing.T, s goldenSet) {
	if err := s.g.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, at := range []struct {
		suffix     string
		node, edge float64
	}{{"", .8, .98}, {"_0.5_0.9", .5, .9}, {"_0.95_0.999", .95, .999}} {
		k := must(s.g.Select(PruneConfig{Node: at.node, Edge: at.edge}))(t)
		wantNear(t, "node_influence", k.NodeInfluence, s.floats(t, "node_influence"), 1e-12)
		wantNear(t, "cumulative_scores", k.Cumulative, s.floats(t, "cumulative_scores"), 1e-12)
		mask := s.ints(t, "node_mask"+at.suffix)
		for i, m := range mask {
			if k.NodeMask[i] != (m != 0) {
				t.Errorf("%v/%v: node %v kept is %v, wants %v", at.node, at.edge, s.g.Nodes[i].ID, k.NodeMask[i], m != 0)
			}
		}
		edges := s.ints(t, "edge_list"+at.suffix)
		if len(edges) != 2*len(k.Edges) {
			t.Fatalf("%v/%v: %d edges kept, wants %d", at.node, at.edge, len(k.Edges), len(edges)/2)
		}
		for i, e := range k.Edges {
			if e != [2]int{edges[2*i], edges[2*i+1]} {
				t.Fatalf("%v/%v: edge %d is %v, wants %v", at.node, at.edge, i, e, edges[2*i:2*i+2])
			}
		}
	}
	if s.file.metadata["replacement"] == "" {
		return
	}
	score := s.g.Score()
	for name, got := range map[string]float64{"replacement": score.Replacement, "completeness_ct": score.CompletenessCT} {
		want, err := strconv.ParseFloat(s.file.metadata[name], 64)
		if err != nil || !near(got, want, 1e-12) {
			t.Errorf("%s = %v, wants %v (%v)", name, got, want, err)
		}
	}
}

// TestWholeReference adds the independent columns that circuit-tracer leaves
// out: then every row must sum to its target.
func TestWholeReference(t *testing.T) {
	for _, s := range goldenSets(t) {
		g := s.whole(t)
		if err := g.Validate(); err != nil {
			t.Fatal(err)
		}
		if e, worst := g.CheckRows(); e > 1e-10 || worst < 0 {
			t.Errorf("%s: row identity off by %v", s.name, e)
		}
		if e, _ := s.g.CheckRows(); e != -1 {
			t.Errorf("%s: rows of a graph without bias checked: %v", s.name, e)
		}
		pruned := must(g.Prune(PruneConfig{Node: .8, Edge: .98, Fold: true}))(t)
		if e, worst := pruned.CheckRows(); e > 1e-10 || worst < 0 {
			t.Errorf("%s: folded row identity off by %v", s.name, e)
		}
		if len(pruned.Nodes) >= len(g.Nodes) || math.IsNaN(pruned.Score().Replacement) {
			t.Errorf("%s: pruning kept %d of %d nodes", s.name, len(pruned.Nodes), len(g.Nodes))
		}
	}
}
