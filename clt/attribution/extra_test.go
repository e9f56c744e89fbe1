package attribution

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestPaths compares with all paths, found by walking.
func TestPaths(t *testing.T) {
	each(t, func(t *testing.T, g *Graph) {
		shares := naiveShares(g)
		for _, target := range []int{g.TopTarget(), g.Targets()[0]} {
			var all []Path
			var walk func(at int, share float64, tail []int)
			walk = func(at int, share float64, tail []int) {
				tail = append([]int{at}, tail...)
				if kind := g.Nodes[at].Kind; !kind.IsTarget() {
					all = append(all, Path{tail, share})
					return
				}
				for s, part := range shares[at] {
					if part > 0 {
						walk(s, share*part*sign(g.Weight(at, s)), tail)
					}
				}
			}
			walk(target, 1, nil)
			sum := 0.0
			for _, p := range all {
				sum += math.Abs(p.Share)
			}
			if !near(sum, 1, 1e-9) {
				t.Fatalf("shares of all %d paths sum to %v", len(all), sum)
			}
			slices.SortStableFunc(all, func(a, b Path) int { return cmp.Compare(math.Abs(b.Share), math.Abs(a.Share)) })
			for _, n := range []int{0, 1, 7, 50} {
				got := must(g.Paths(target, n))(t)
				if len(got) != min(n, len(all)) {
					t.Fatalf("%d paths, wants %d", len(got), min(n, len(all)))
				}
				for i, p := range got {
					if !near(p.Share, all[i].Share, 1e-12) || !slices.Equal(p.Nodes, all[i].Nodes) {
						t.Fatalf("path %d is %v, wants %v", i, p, all[i])
					}
				}
			}
		}
		for _, p := range must(g.Paths(-1, 5, Token))(t) {
			if g.Nodes[p.Nodes[0]].Kind != Token || p.Nodes[len(p.Nodes)-1] != g.TopTarget() {
				t.Errorf("path %v does not lead from a token to the top target", p)
			}
		}
		if _, err := g.Paths(g.Find(ID{Kind: Bias}), 1); err == nil {
			t.Error("paths to the bias")
		}
	})
}

func sign(x float64) float64 {
	if x < 0 {
		return -1
	}
	return 1
}

// TestOtherOrder shuffles the nodes: the result must not depend on their order,
// and a circle must be found.
func TestOtherOrder(t *testing.T) {
	g := random(4, 4, 4, 2, 3, .6)
	r := rand.New(rand.NewPCG(9, 9))
	perm := r.Perm(len(g.Nodes))
	mixed := &Graph{Nodes: make([]Node, len(perm)), Weights: NewMatrix(len(perm), true)}
	for i, p := range perm {
		mixed.Nodes[p] = g.Nodes[i]
		for j, q := range perm {
			mixed.Weights.Set(p, q, g.Weight(i, j))
		}
	}
	if mixed.Validate() == nil {
		t.Error("shuffled nodes are valid")
	}
	want, got := must(g.Select(DefaultPruneConfig()))(t), must(mixed.Select(DefaultPruneConfig()))(t)
	for i, p := range perm {
		if !near(got.NodeInfluence[p], want.NodeInfluence[i], 1e-12) || got.NodeMask[p] != want.NodeMask[i] {
			t.Errorf("%v: influence %v and kept %v, wants %v and %v", g.Nodes[i].ID, got.NodeInfluence[p], got.NodeMask[p], want.NodeInfluence[i], want.NodeMask[i])
		}
	}
	if len(got.Edges) != len(want.Edges) {
		t.Errorf("%d edges, wants %d", len(got.Edges), len(want.Edges))
	}
	a, b := g.Find(ID{Feature, 1, 1, 1}), g.Find(ID{Feature, 2, 1, 1})
	g.Weights.Set(a, b, 1)
	g.Weights.Set(b, a, 1)
	if _, err := g.Influence(); err == nil || !strings.Contains(err.Error(), "circle, f1/1@1 to f2/1@1 to f1/1@1;") && !strings.Contains(err.Error(), "circle, f2/1@1 to f1/1@1 to f2/1@1;") {
		t.Errorf("circle: %v", err)
	}
	if s := g.Score(); !math.IsNaN(s.Replacement) {
		t.Errorf("score of a circle: %+v", s)
	}
	g.Weights.Set(a, b, 0)
	g.Weights.Set(b, a, 0)
	g.Weights.Set(b, b, 1) // what feeds it is on no circle
	if _, err := g.Influence(); err == nil || !strings.Contains(err.Error(), "circle, f2/1@1 to f2/1@1;") {
		t.Errorf("circle of one: %v", err)
	}
}

// TestCutAtZero: thresholds of 0 drop nodes too, and the graph knows that it has no
// rows to prove; a file of another program has none either.
func TestCutAtZero(t *testing.T) {
	g := random(4, 4, 4, 2, 3, .6)
	for _, cfg := range []PruneConfig{{}, {Node: 1}, {Edge: 1}, {Node: 1, Edge: 1}} {
		p := must(g.Prune(cfg))(t)
		again, _ := readJSON(t, writeJSON(t, p, View{}))
		for _, p := range []*Graph{p, again} {
			if e, _ := p.CheckRows(); !p.Cut() || e != -1 {
				t.Errorf("cut at %g and %g: cut is %v, rows miss by %g", cfg.Node, cfg.Edge, p.Cut(), e)
			}
		}
		cfg.Fold = true
		if e, _ := must(g.Prune(cfg))(t).CheckRows(); !(e >= 0 && e < 1e-12) {
			t.Errorf("folded at %g and %g: rows miss by %g", cfg.Node, cfg.Edge, e)
		}
	}
	if g.Cut() {
		t.Error("the whole graph is said to be cut")
	}
	site, _ := readText(t, ofSite)
	if site.Settings.RowIdentity != -1 || !site.Cut() {
		t.Errorf("of another program: row identity %g, cut %v", site.Settings.RowIdentity, site.Cut())
	}
}

func TestValidate(t *testing.T) {
	for want, spoil := range map[string]func(g *Graph){
		"weight of f2/0@1 from f1/1@1 is NaN":      func(g *Graph) { g.Weights.Set(2, 1, math.NaN()) },
		"weight of l4@1 from t8@1 is -Inf":         func(g *Graph) { g.Weights.Set(7, 6, math.Inf(-1)) },
		"f1/1@1 has the value NaN":                 func(g *Graph) { g.Nodes[1].Activation = math.NaN() },
		"e0@0 has an input from f1/0@1":            func(g *Graph) { g.Weights.Set(3, 0, 1) },
		"l4@1 is a source of f1/0@1":               func(g *Graph) { g.Weights.Set(0, 7, 1) },
		"edge from f2/0@1 to f1/0@1 goes against":  func(g *Graph) { g.Weights.Set(2, 0, 0); g.Weights.Set(0, 2, 1) },
		"edge from f1/0@1 to f1/1@1 goes against":  func(g *Graph) { g.Weights.Set(1, 0, 1) },
		"edge from t8@1 to f1/0@0 goes back":       func(g *Graph) { g.Nodes[0].Pos = 0; g.Weights.Set(0, 6, 1) },
		"node 1, f1/0@1, comes after f1/1@1":       func(g *Graph) { g.Nodes[0], g.Nodes[1] = g.Nodes[1], g.Nodes[0] },
		"node 8, l5@1, comes after l4@1":           func(g *Graph) { g.Nodes[8].Prob = .7 },
		"nodes 0 and 1 are both f1/0@1":            func(g *Graph) { g.Nodes[1].Index = 0 },
		"has layer 1, position 1 and index -2":     func(g *Graph) { g.Nodes[1].Index = -2 },
		"unknown kind 77":                          func(g *Graph) { g.Nodes[0].Kind = 77 },
		"l4@1 has probability -1":                  func(g *Graph) { g.Nodes[7].Prob = -1 },
		"9 nodes and a 8-node matrix":              func(g *Graph) { g.Weights = NewMatrix(8, false) },
		"matrix of 9 nodes has 80 f64 entries":     func(g *Graph) { g.Weights.F64 = g.Weights.F64[1:] },
		"both f32 and f64":                         func(g *Graph) { g.Weights.F32 = make([]float32, 81) },
		"1 token ids and 2 token strings":          func(g *Graph) { g.IDs, g.Tokens = []int32{1}, []string{"a", "b"} },
		"weights into f2/0@1 overflow when summed": func(g *Graph) { g.Weights.Set(2, 0, 1.7e308); g.Weights.Set(2, 1, 1.7e308) },
	} {
		g := graphB()
		spoil(g)
		if err := g.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, wants %q", err, want)
		}
	}
	for _, cfg := range []PruneConfig{{Node: -.1, Edge: .5}, {Node: .5, Edge: 1.1}, {Node: math.NaN()}, {Edge: math.Inf(1)}} {
		if _, err := graphB().Prune(cfg); err == nil || !strings.Contains(err.Error(), "threshold is") {
			t.Errorf("%+v: error %v", cfg, err)
		}
	}
	if _, err := graphB().Sub(nil); err == nil {
		t.Error("a mask of no entries is taken")
	}
}

// TestEdgeCases are graphs that have next to nothing.
func TestEdgeCases(t *testing.T) {
	for name, g := range map[string]*Graph{
		"nothing":      {},
		"only a token": build([]Node{id(Token, 0, 0, 1), logit(1, .9)}, []link{{1, 0, 2}}),
		"no edges":     build([]Node{id(Feature, 0, 0, 1), id(Error, 0, 0, 0), id(Token, 0, 0, 1), logit(1, .9)}, nil),
		"no targets":   build([]Node{id(Feature, 0, 0, 1), id(Token, 0, 0, 1)}, []link{{0, 1, 1}}),
		"no chance":    build([]Node{id(Feature, 0, 0, 1), id(Token, 0, 0, 1), logit(1, 0)}, []link{{0, 1, 1}, {2, 0, 1}}),
		"only bias":    build([]Node{id(Token, 0, 0, 1), id(Bias, 0, 0, 0), logit(1, .5)}, []link{{2, 1, 1}}),
	} {
		for _, tau := range []float64{0, .5, 1} {
			p, err := g.Prune(PruneConfig{Node: tau, Edge: tau, Fold: tau == .5})
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if p.Count(Token) != g.Count(Token) || p.Count(Logit) != g.Count(Logit) {
				t.Errorf("%s: kept %v", name, p.Nodes)
			}
			if s := p.Score(); math.IsNaN(s.Replacement + s.Completeness + s.CompletenessCT + s.PathLength) {
				t.Errorf("%s: score %+v", name, s)
			}
			writeJSON(t, p, View{})
			if p.Caption() == "" {
				t.Errorf("%s: no caption", name)
			}
		}
	}
	// Ties: equal scores are taken in storage order, and only as many as needed.
	g := build([]Node{id(Token, 0, 0, 1), id(Token, 0, 1, 2), id(Error, 0, 0, 0), id(Error, 0, 1, 0), logit(1, 1)},
		[]link{{4, 0, 1}, {4, 1, -1}, {4, 2, 1}, {4, 3, 1}})
	k := must(g.Select(PruneConfig{Node: .75, Edge: .5}))(t)
	if !slices.Equal(indices(k.NodeMask), []int{0, 1, 4}) || !slices.Equal(k.Edges, [][2]int{{4, 0}, {4, 1}}) {
		t.Errorf("ties: nodes %v, edges %v", indices(k.NodeMask), k.Edges)
	}
}

// TestBias: the bias of every target that stays is kept, and moves no share.
func TestBias(t *testing.T) {
	g := graphB()
	g.Nodes = slices.Insert(g.Nodes, 7, id(Bias, 0, 0, 0))
	wide := NewMatrix(10, true)
	old := graphB()
	up := func(i int) int {
		if i >= 7 {
			return i + 1
		}
		return i
	}
	for i := range old.Nodes {
		for j := range old.Nodes {
			wide.Set(up(i), up(j), old.Weight(i, j))
		}
		if old.Nodes[i].Kind.IsTarget() {
			wide.Set(up(i), 7, 100)
		}
	}
	g.Weights = wide
	a, b := old.Score(), g.Score()
	if a.Replacement != b.Replacement || a.Completeness != b.Completeness || a.CompletenessCT != b.CompletenessCT || a.PathLength != b.PathLength {
		t.Errorf("scores %+v with bias, %+v without", b, a)
	}
	k := must(g.Select(PruneConfig{Node: .6, Edge: .8}))(t)
	want := [][2]int{{0, 5}, {0, 7}, {2, 0}, {2, 7}, {8, 2}, {8, 6}, {8, 7}, {9, 4}, {9, 7}}
	if !slices.Equal(k.Edges, want) || !k.NodeMask[7] || k.EdgeScore[1] != 0 {
		t.Errorf("edges %v, wants %v", k.Edges, want)
	}
}

func TestCompare(t *testing.T) {
	a := graphB()
	if d := Compare(a, a.Clone(), 0); !d.Same() {
		t.Errorf("a graph differs from itself: %+v", d)
	}
	b := graphB()
	b.Nodes[1].Index = 9
	b.Nodes[0].Activation = 2
	b.Weights.Set(7, 0, -3)
	b.Weights.Set(8, 6, 1)
	b.Weights.Set(7, 4, 0)
	d := Compare(a, b, 1e-9)
	if !slices.Equal(d.NodesLost, []ID{a.Nodes[1].ID}) || !slices.Equal(d.NodesGained, []ID{b.Nodes[1].ID}) {
		t.Errorf("nodes lost %v, gained %v", d.NodesLost, d.NodesGained)
	}
	if len(d.NodesChanged) != 1 || d.NodesChanged[0].ID != a.Nodes[0].ID || d.NodesChanged[0].After != 2 {
		t.Errorf("nodes changed %v", d.NodesChanged)
	}
	if len(d.EdgesChanged) != 1 || d.EdgesChanged[0] != (EdgeChange{a.Nodes[7].ID, a.Nodes[0].ID, -1, -3}) {
		t.Errorf("edges changed %v", d.EdgesChanged)
	}
	// Lost: the dropped edge and four of the lost node; gained: one and four of the new node.
	if len(d.EdgesLost) != 5 || len(d.EdgesGained) != 5 {
		t.Errorf("edges lost %v, gained %v", d.EdgesLost, d.EdgesGained)
	}
	back := Compare(b, a, 1e-9)
	if len(back.EdgesLost) != 5 || len(back.EdgesGained) != 5 || !slices.Equal(back.NodesLost, d.NodesGained) {
		t.Errorf("the reverse is %+v", back)
	}
}

// planted has two pairs of features with equal edges at one position.
func planted() *Graph {
	nodes := []Node{id(Feature, 0, 1, 0), id(Feature, 0, 1, 1), id(Feature, 0, 1, 2), id(Feature, 1, 1, 3),
		id(Token, 0, 0, 1), id(Token, 0, 1, 2), logit(1, .6), logit(2, .3)}
	nodes[6].Label, nodes[7].Label = " Austin", " Dallas"
	g := build(nodes, []link{{0, 4, 2}, {1, 4, 1}, {2, 5, 1}, {3, 5, 3}, {6, 0, 2}, {6, 1, 1.5}, {6, 2, -1}, {7, 2, 2}, {7, 3, 1}, {6, 3, -.5}})
	g.Tokens = []string{"<|endoftext|>", " Texas\n"}
	return g
}

func TestSuggestGroups(t *testing.T) {
	g := planted()
	groups := must(g.SuggestGroups())(t)
	if len(groups) != 2 || !groups[0].Guess || !groups[1].Guess {
		t.Fatalf("groups %+v", groups)
	}
	if !slices.Equal(groups[0].Nodes, []ID{g.Nodes[0].ID, g.Nodes[1].ID}) || groups[0].Label != "say “ Austin”" ||
		!slices.Equal(groups[1].Nodes, []ID{g.Nodes[2].ID, g.Nodes[3].ID}) || groups[1].Label != "say “ Dallas”" {
		t.Errorf("groups %+v", groups)
	}
	g.Nodes[1].Label = "Texas"
	if groups = must(g.SuggestGroups())(t); groups[0].Label != "Texas" {
		t.Errorf("label %q, wants that of a member", groups[0].Label)
	}
	if _, err := g.Grouped(append(groups, Group{Label: "again", Nodes: groups[0].Nodes[:1]})); err == nil || !strings.Contains(err.Error(), `"Texas" and in group "again"`) {
		t.Errorf("a node in two groups: %v", err)
	}
	super := must(g.Grouped(groups))(t)
	if len(super.Groups) != 6 {
		t.Errorf("%d groups, wants 6", len(super.Groups))
	}
}

func TestCaption(t *testing.T) {
	g := planted()
	g.Settings.MaxFeatures, g.Settings.Active = 4, 9
	caption := g.Caption()
	for _, want := range []string{"“ Austin” (60 %) gets 40 % from L0/f0 at “ Texas⏎”, 30 % from L0/f1 at “ Texas⏎” and −20 % from L0/f2 at “ Texas⏎” of its input.",
		"100 % comes from features, 0 % directly from the prompt, 0 % from errors", "the token “<|endoftext|>” → L0/f0 at “ Texas⏎” → “ Austin”",
		"carries 40 %", "4 of 9 active features"} {
		if !strings.Contains(caption, want) {
			t.Errorf("caption lacks %q:\n%s", want, caption)
		}
	}
	for share, want := range map[float64]string{0: "0 %", .0001: "<0.1 %", .004: "0.4 %", -.126: "−13 %"} {
		if got := percent(share); got != want {
			t.Errorf("percent(%v) = %q, wants %q", share, got, want)
		}
	}
}

func TestIDJSON(t *testing.T) {
	in := ID{Error, 3, 4, 0}
	text := must(json.Marshal(in))(t)
	if string(text) != `{"kind":"error","layer":3,"pos":4,"index":0}` {
		t.Errorf("ID is %s", text)
	}
	var out ID
	if err := json.Unmarshal(text, &out); err != nil || out != in {
		t.Errorf("read %v, %v", out, err)
	}
	if err := json.Unmarshal([]byte(`{"kind":"gizmo"}`), &out); err == nil || !strings.Contains(err.Error(), "feature, error, token") {
		t.Errorf("unknown kind: %v", err)
	}
	names := map[string]bool{}
	for _, n := range random(1, 2, 3, 2, 2, 1).Nodes {
		if names[n.String()] || names[nodeName(n.ID, false)] {
			t.Errorf("name %v is not unique", n.ID)
		}
		names[n.String()], names[nodeName(n.ID, false)] = true, true
	}
}

func TestPruneLarge(t *testing.T) {
	g := large(1200)
	for _, cfg := range []PruneConfig{DefaultPruneConfig(), {Node: .5, Edge: .5}} {
		mask, edges, _ := naivePrune(g, cfg)
		k := must(g.Select(cfg))(t)
		if !slices.Equal(mask, k.NodeMask) || !slices.Equal(edges, k.Edges) {
			t.Errorf("%v: %d edges, naive %d", cfg, len(k.Edges), len(edges))
		}
	}
}

func Example() {
	// Two tokens, one feature, what it misses, and one target.
	g := &Graph{
		Nodes: []Node{
			{ID: ID{Kind: Feature, Layer: 1, Pos: 1, Index: 7}, Activation: 2, Preactivation: 2, Label: "say a capital"},
			{ID: ID{Kind: Error, Layer: 1, Pos: 1}},
			{ID: ID{Kind: Token, Pos: 0, Index: 10}},
			{ID: ID{Kind: Token, Pos: 1, Index: 11}},
			{ID: ID{Kind: Bias}},
			{ID: ID{Kind: Logit, Layer: 2, Pos: 1, Index: 12}, Prob: .8, Preactivation: 4, Label: " Austin"},
		},
		Weights: NewMatrix(6, true),
		Tokens:  []string{"Texas", " capital:"},
	}
	for _, e := range []Edge{{0, 2, 1, 0}, {0, 3, .5, 0}, {0, 4, .5, 0}, {5, 0, 3, 0}, {5, 1, -.5, 0}, {5, 3, 1.5, 0}} {
		g.Weights.Set(e.Target, e.Source, e.Weight)
	}
	maxError, _ := g.CheckRows()
	fmt.Println("rows sum to their targets within", maxError)

	fmt.Printf("replacement score %.2f\n", g.Score().Replacement)
	for _, e := range g.Incoming(g.TopTarget()) {
		fmt.Printf("%+.0f %% from %s\n", 100*e.Share, g.Name(e.Source))
	}
	pruned, err := g.Prune(DefaultPruneConfig())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(pruned.Nodes), "of", len(g.Nodes), "nodes kept")
	// Output:
	// rows sum to their targets within 0
	// replacement score 0.90
	// +60 % from “say a capital” (L1/f7 at “ capital:”)
	// +30 % from the token “ capital:”
	// -10 % from the error of layer 1 at “ capital:”
	// 5 of 6 nodes kept
}
