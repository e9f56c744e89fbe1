package viz

import (
	"math"
	"strings"
	"testing"

	at "github.com/etredal/cross-layer-transcoder/clt/attribution"
)

// tiny is a graph small enough to work out by hand: token a and b, one feature
// and one error at position 1, two targets.
func tiny() *at.Graph {
	g := &at.Graph{Tokens: []string{"a", "b"}, Nodes: []at.Node{
		{ID: at.ID{Kind: at.Feature, Layer: 0, Pos: 1, Index: 7}, Activation: 2},
		{ID: at.ID{Kind: at.Error, Layer: 0, Pos: 1}},
		{ID: at.ID{Kind: at.Token, Pos: 0, Index: 1}},
		{ID: at.ID{Kind: at.Token, Pos: 1, Index: 2}},
		{ID: at.ID{Kind: at.Bias}},
		{ID: at.ID{Kind: at.Logit, Layer: 1, Pos: 1, Index: 3}, Prob: 0.6, Label: "x"},
		{ID: at.ID{Kind: at.Logit, Layer: 1, Pos: 1, Index: 4}, Prob: 0.2, Label: "y"},
	}}
	g.Settings = at.Settings{Layers: 1, DType: "f32"}
	g.Weights = at.NewMatrix(7, false)
	g.Weights.Set(0, 2, 3)  // token a raises the feature
	g.Weights.Set(0, 3, -1) // token b lowers it
	g.Weights.Set(5, 0, 6)
	g.Weights.Set(5, 1, -2)
	g.Weights.Set(5, 4, 100) // the bias stays out of shares
	g.Weights.Set(6, 3, 5)
	return g
}

func TestSharesAndScoresByHand(t *testing.T) {
	v := viewOf(t, tiny(), GraphOptions{})
	// influence: feature 6/8·0.6 = 0.45, error 0.15; token a 0.45·3/4, token b 0.45/4 + 0.2
	want := map[string]struct{ share, score float64 }{
		"t1@0 f0/7@1": {0.75, 0.75 * 0.45},
		"t2@1 f0/7@1": {-0.25, 0.25 * 0.45},
		"f0/7@1 l3@1": {0.75, 0.75 * 0.6},
		"e0@1 l3@1":   {-0.25, 0.25 * 0.6},
		"bias l3@1":   {12.5, 0},
		"t2@1 l4@1":   {1, 0.2},
	}
	for _, l := range v.links {
		k := v.nodes[l.s].ID.String() + " " + v.nodes[l.t].ID.String()
		w, ok := want[k]
		if !ok || math.Abs(l.share-w.share) > 1e-6 || math.Abs(l.score-w.score) > 1e-6 {
			t.Errorf("edge %s: share %v, score %v, want %v", k, l.share, l.score, w)
		}
		delete(want, k)
	}
	if len(want) > 0 {
		t.Errorf("edges missing: %v", want)
	}
	if e := v.nodes[v.target].errShare; math.Abs(e-0.25) > 1e-6 {
		t.Errorf("error share of the target is %v, want 0.25", e)
	}
	if v.shownNodes != 6 || v.totalNodes != 7 || v.totalEdges != 6 {
		t.Errorf("shown %d of %d nodes, %d edges; want 6 of 7, 6", v.shownNodes, v.totalNodes, v.totalEdges)
	}
}

// TestProofLine: the head says whether rows add up, or that nobody can know.
func TestProofLine(t *testing.T) {
	good, bad, none, old := tiny(), tiny(), tiny(), tiny()
	good.Nodes[0].Preactivation, good.Nodes[5].Preactivation, good.Nodes[6].Preactivation = 2, 104, 5
	bad.Nodes[0].Preactivation = 9
	none.Nodes[4].ID = at.ID{Kind: at.Position}
	old.Settings.NodeCut, old.Settings.RowIdentity = 0.8, 2e-5
	for want, g := range map[string]*at.Graph{"✓ rows add up to 0": good, "✗ rows miss by": bad, "not known": none, "✓ rows add up to 2e−5": old} {
		if got := viewOf(t, g, GraphOptions{}).facts()[0]; !strings.Contains(got, want) {
			t.Errorf("the head says %q, want %q", got, want)
		}
	}
	if _, ok := viewOf(t, old, GraphOptions{}).scores(); ok {
		t.Error("a pruned graph shows its own score as if it were whole")
	}
	if s, ok := viewOf(t, old, GraphOptions{Score: &at.Score{Replacement: 0.5}}).scores(); !ok || s[0] != "replacement 0.500" {
		t.Errorf("a given score is shown as %v", s)
	}
}

// TestPlantedPathIsThick is the acceptance case: of the edges that carry the
// first half of the effect, nearly all belong to the planted circuit.
func TestPlantedPathIsThick(t *testing.T) {
	full := planted(1, 12, 1.5)
	v := viewOf(t, pruned(t, full, 0.8, 0.98), GraphOptions{Full: full})
	shown, _ := v.overview()
	sum, part := 0.0, 0.0
	for _, i := range shown {
		sum += v.links[i].score
	}
	thick, circuit := 0, 0
	for _, i := range shown {
		if part > 0.4*sum {
			break
		}
		part += v.links[i].score
		thick++
		s, u := v.nodes[v.links[i].s], v.nodes[v.links[i].t]
		if s.Label != "" || u.Label != "" && s.Kind == at.Token {
			circuit++
		}
	}
	if thick > 30 || float64(circuit) < 0.9*float64(thick) {
		t.Errorf("the first 40 %% of the effect is %d edges, %d of the circuit; want at most 30, 90 %% planted", thick, circuit)
	}
	first := v.links[shown[0]]
	if v.nodes[first.s].Label != "say Austin" || first.t != v.target {
		t.Errorf("the thickest edge is %s to %s", v.describe(first.s), v.describe(first.t))
	}
}

func TestFilters(t *testing.T) {
	full := planted(1, 12, 1.5)
	for p := range full.Tokens { // one feature that fires everywhere
		full.Nodes[p].ID = at.ID{Kind: at.Feature, Layer: 0, Pos: p, Index: 99999}
	}
	v := viewOf(t, full, GraphOptions{})
	first := 0
	for _, n := range full.Nodes {
		if n.Kind == at.Feature && n.Pos == 0 {
			first++
		}
	}
	if v.dense != len(full.Tokens)-1 || v.first != first {
		t.Errorf("left out %d dense and %d first, want %d and %d", v.dense, v.first, len(full.Tokens)-1, first)
	}
	if s := v.leftOut(); !strings.Contains(s, "two thirds") || !strings.Contains(s, "position 0") {
		t.Errorf("the reader is told %q", s)
	}
	if all := viewOf(t, full, GraphOptions{All: true}); all.dense+all.first != 0 || all.leftOut() != "" {
		t.Error("All still leaves features out")
	}
	id := full.Nodes[3].ID
	pinned := viewOf(t, full, GraphOptions{Pinned: []at.ID{id}})
	found := false
	for _, d := range pinned.nodes {
		found = found || d.ID == id && d.pinned
	}
	if !found {
		t.Error("a pinned feature was left out")
	}
}

// TestGatheringKeepsTheSums: with few places the rest of a cell is one node
// that carries the same influence and edges.
func TestGatheringKeepsTheSums(t *testing.T) {
	full := planted(2, 12, 4)
	g := pruned(t, full, 0.9, 0.99)
	many := viewOf(t, g, GraphOptions{Full: full, MaxNodes: 5000})
	few := viewOf(t, g, GraphOptions{Full: full, MaxNodes: 60})
	groups := 0
	for _, d := range few.nodes {
		if d.Kind == gathered {
			groups++
			if d.members < 2 {
				t.Error("a group of one")
			}
		}
	}
	if groups == 0 {
		t.Fatal("nothing was gathered")
	}
	if a, b := many.shownInfl, few.shownInfl; math.Abs(a-b) > 1e-9 {
		t.Errorf("influence shown %v with groups, %v without", b, a)
	}
	into := func(v *view) (sum float64) {
		for _, l := range v.links {
			if v.nodes[l.t].Kind == at.Logit {
				sum += math.Abs(l.share)
			}
		}
		return sum
	}
	if a, b := into(many), into(few); math.Abs(a-b) > 1e-6 {
		t.Errorf("input of the targets %v with groups, %v without", b, a)
	}
}

// TestWords: names given by people win, paths and caption come from the graph
// before pruning.
func TestWords(t *testing.T) {
	full := planted(1, 12, 1.5)
	g := pruned(t, full, 0.8, 0.98)
	top := at.ID{Kind: at.Feature, Layer: 11, Pos: 10, Index: 5111}
	out, err := Graph(g, GraphOptions{Full: full, Labels: map[at.ID]string{top: "my name"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"my name", "Strongest paths:", "shown 119 of 412 nodes", "✓ rows add up to 3", "e−6"} {
		if !strings.Contains(out.Markdown, want) {
			t.Errorf("%q is missing in\n%s", want, out.Markdown)
		}
	}
	if strings.Contains(out.Markdown, "f5111 ‘say Austin’") {
		t.Error("the guess is shown where a person gave a name")
	}
	if given, _ := Graph(g, GraphOptions{Full: full, Finding: "mine", Title: "T"}); !strings.HasPrefix(given.Plain, "T\nmine\n") {
		t.Errorf("title and finding are not those given: %q", given.Plain[:40])
	}
}

func TestBadGraphs(t *testing.T) {
	other := tiny()
	other.Nodes[0].Index = 8
	far := tiny()
	far.Nodes[0].Pos = 5
	deep := tiny()
	deep.Nodes[0].Layer = 3
	nan := tiny()
	nan.Nodes[5].Prob = math.NaN()
	infinite := tiny()
	infinite.Weights.Set(5, 0, math.Inf(1))
	short := tiny()
	short.Nodes = short.Nodes[:3]
	mute := tiny()
	mute.Tokens = nil
	for name, c := range map[string]struct {
		g    *at.Graph
		full *at.Graph
		want string
	}{
		"nil": {nil, nil, "no nodes"}, "empty": {&at.Graph{}, nil, "no nodes"}, "matrix": {short, nil, "matrix"}, "tokens": {mute, nil, "no tokens"},
		"position": {far, nil, "position 5 of 2"}, "layer": {deep, nil, "layer 3 of 1"}, "probability": {nan, nil, "probability NaN"},
		"weight": {infinite, nil, "Inf"}, "other prompt": {tiny(), other, "not in the full graph"},
	} {
		_, err := Graph(c.g, GraphOptions{Full: c.full})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
		if _, err := GraphSVG(c.g, GraphOptions{Full: c.full}); err == nil {
			t.Errorf("%s: GraphSVG draws it", name)
		}
	}
}

// TestOddGraphs: no target, no edges, one token, no layers; they draw.
func TestOddGraphs(t *testing.T) {
	none := tiny()
	none.Nodes = none.Nodes[:5]
	none.Weights = at.NewMatrix(5, false)
	bare := tiny()
	bare.Weights = at.NewMatrix(7, false)
	one := &at.Graph{Tokens: []string{"a"}, Nodes: []at.Node{{ID: at.ID{Kind: at.Token}}}, Weights: at.NewMatrix(1, true)}
	long := planted(1, 2, 0.3)
	for len(long.Tokens) < 80 {
		long.Tokens = append(long.Tokens, " more")
	}
	wide := planted(1, 2, 0.3)
	for len(wide.Tokens) < 60 {
		wide.Tokens = append(wide.Tokens, " word")
	}
	for name, g := range map[string]*at.Graph{"no target": none, "no edges": bare, "one token": one, "long": long, "wide": wide} {
		o, err := Graph(g, GraphOptions{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		checkHTML(t, name, o.HTML)
		svg, err := GraphSVG(g, GraphOptions{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		checkSVG(t, name, svg)
	}
}
