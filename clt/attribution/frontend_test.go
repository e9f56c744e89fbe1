package attribution

import (
	"bytes"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func writeJSON(t testing.TB, g *Graph, v View) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteJSON(&b, g, v); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func readJSON(t testing.TB, text []byte) (*Graph, View) {
	t.Helper()
	g, v, err := ReadJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return g, v
}

func TestCantor(t *testing.T) {
	for _, c := range []struct {
		x, y int
		z    int64
	}{{0, 0, 0}, {0, 5, 20}, {11, 24575, 302272566}, {23, 5458, 15028879}, {1, 57794, 1670217704}} {
		if got := cantor(c.x, c.y); got != c.z {
			t.Errorf("cantor(%d, %d) = %d, wants %d", c.x, c.y, got, c.z)
		}
	}
	r := rand.New(rand.NewPCG(1, 1))
	for i := range 20000 {
		x, y := i%40, r.IntN(1<<(1+i%25))
		if gx, gy := uncantor(cantor(x, y)); gx != x || gy != y {
			t.Fatalf("uncantor(cantor(%d, %d)) = %d, %d", x, y, gx, gy)
		}
	}
}

// TestReferenceJSON reads circuit-tracer's files, in which names collide, and
// compares every weight with the float64 adjacency.
func TestReferenceJSON(t *testing.T) {
	for _, s := range goldenSets(t) {
		text := unzip(t, "testdata/"+s.name+"_p0.json.gz")
		g, v := readJSON(t, text)
		if err := g.Validate(); err != nil {
			t.Fatal(err)
		}
		if v.Slug != strings.ReplaceAll(s.name, "_", "-")+"-p0" || len(g.Tokens) != 7 || g.Tokens[0] != "<|endoftext|>" {
			t.Errorf("%s: view %+v, tokens %q", s.name, v, g.Tokens)
		}
		k := must(s.g.Select(DefaultPruneConfig()))(t)
		checkAgainst(t, s, k, g)
		faults := ValidateJSON(text)
		if len(faults) != 1 || !strings.Contains(faults[0].Error(), `which another node has too: nodes[`) || !strings.Contains(faults[0].Error(), `this is "mlp reconstruction error" of layer `) {
			t.Errorf("%s: faults %v, wants the one collision", s.name, faults)
		}
		// Written with names that do not collide, the file is valid.
		if faults := ValidateJSON(writeJSON(t, g, v)); len(faults) != 0 {
			t.Errorf("%s: our file has faults %v", s.name, faults)
		}
	}
}

func checkAgainst(t *testing.T, s goldenSet, k *Kept, g *Graph) {
	t.Helper()
	if len(g.Nodes) != len(indices(k.NodeMask)) {
		t.Errorf("%s: %d nodes read, wants %d", s.name, len(g.Nodes), len(indices(k.NodeMask)))
	}
	index := map[ID]int{}
	for i, n := range g.Nodes {
		index[n.ID] = i
	}
	for _, e := range k.Edges {
		target, okT := index[s.g.Nodes[e[0]].ID]
		source, okS := index[s.g.Nodes[e[1]].ID]
		if !okT || !okS {
			t.Fatalf("%s: edge %v to %v lost", s.name, s.g.Nodes[e[1]].ID, s.g.Nodes[e[0]].ID)
		}
		if got, want := g.Weight(target, source), s.g.Weight(e[0], e[1]); !near(got, want, 5e-5) {
			t.Errorf("%s: weight of %v from %v = %v, wants %v", s.name, s.g.Nodes[e[0]].ID, s.g.Nodes[e[1]].ID, got, want)
		}
	}
	for i, n := range s.g.Nodes {
		if !k.NodeMask[i] || n.Kind == Logit {
			continue
		}
		if got := g.Nodes[index[n.ID]]; !near(got.Cumulative, k.Cumulative[i], 1e-5) || !near(got.Activation, n.Activation, 1e-4) {
			t.Errorf("%s: %v has influence %v and activation %v, wants %v and %v", s.name, n.ID, got.Cumulative, got.Activation, k.Cumulative[i], n.Activation)
		}
	}
}

// TestCompatJSON writes as circuit-tracer does and compares with its file.
func TestCompatJSON(t *testing.T) {
	for _, s := range goldenSets(t) {
		text := unzip(t, "testdata/"+s.name+"_p0.json.gz")
		theirs, v := readJSON(t, text)
		v.Compat = true
		ours := writeJSON(t, theirs, v)
		var a, b jsonGraph
		decode(t, text, &a)
		decode(t, ours, &b)
		if !reflect.DeepEqual(a.Metadata.PromptTokens, b.Metadata.PromptTokens) || a.Metadata.Slug != b.Metadata.Slug || a.Metadata.Scan != b.Metadata.Scan {
			t.Errorf("%s: metadata %+v, wants %+v", s.name, b.Metadata, a.Metadata)
		}
		if len(a.Nodes) != len(b.Nodes) || len(a.Links) != len(b.Links) {
			t.Fatalf("%s: %d nodes and %d links, wants %d and %d", s.name, len(b.Nodes), len(b.Links), len(a.Nodes), len(a.Links))
		}
		for i := range a.Nodes {
			same(t, s.name, &a.Nodes[i], &b.Nodes[i])
		}
		weights := map[[2]string]float32{}
		for _, l := range a.Links {
			weights[[2]string{l.Source, l.Target}] += float32(l.Weight.v)
		}
		for _, l := range b.Links {
			weights[[2]string{l.Source, l.Target}] -= float32(l.Weight.v)
		}
		for ends, w := range weights {
			if w > 1e-6 || w < -1e-6 {
				t.Errorf("%s: link %v differs by %v", s.name, ends, w)
			}
		}
	}
}

// same compares two nodes as a viewer sees them.
func same(t *testing.T, set string, a, b *jsonNode) {
	t.Helper()
	null := func(n *number) float32 {
		if n == nil {
			return -1
		}
		return float32(n.v)
	}
	if a.ID != b.ID || *a.Feature != *b.Feature || string(a.Layer) != string(b.Layer) || a.Pos != b.Pos || a.Type != b.Type ||
		float32(a.Prob.v) != float32(b.Prob.v) || a.IsTarget != b.IsTarget || a.JSID != b.JSID || a.Clerp != b.Clerp ||
		null(a.Influence) != null(b.Influence) || null(a.Activation) != null(b.Activation) {
		t.Errorf("%s: node is\n%+v, wants\n%+v", set, *b, *a)
	}
}

func decode(t *testing.T, text []byte, to *jsonGraph) {
	t.Helper()
	if err := unmarshal(text, to); err != nil {
		t.Fatal(err)
	}
}

func TestJSONRoundTrip(t *testing.T) {
	g := random(3, 3, 5, 2, 3, .6)
	g.Prompt, g.Model, g.CLT = "a <b> & \"c\"\n", Artifact{"tiny", "12ab"}, Artifact{"clt/1", "34cd"}
	g.Nodes[0].Label = "say \"x\" <script>"
	for i := range g.Nodes {
		if g.Nodes[i].Kind == Logit {
			g.Nodes[i].Label = " to\"ken\" (p=0.1"
		}
	}
	g = must(g.Prune(DefaultPruneConfig()))(t)
	first, last := g.Nodes[0].ID, g.Nodes[len(g.Nodes)-1].ID
	v := View{Slug: "x-1", Scan: "s", Transcoders: []string{}, Pinned: []ID{first, last}, Clicked: last, HasClicked: true,
		LinkType: "both", Positions: "1 2", Groups: []Group{{Label: "both", Nodes: []ID{first, last}}}}
	for _, double := range []bool{false, true} {
		in := g.Clone()
		if !double {
			in = single(in)
		}
		text := writeJSON(t, in, v)
		if faults := ValidateJSON(text); len(faults) != 0 {
			t.Fatalf("faults %v", faults)
		}
		out, view := readJSON(t, text)
		if !reflect.DeepEqual(view, v) {
			t.Errorf("view is %+v, wants %+v", view, v)
		}
		equalGraphs(t, out, in)
		if again := writeJSON(t, out, view); !bytes.Equal(text, again) {
			t.Error("a second writing gives other bytes")
		}
	}
}

// single is the graph in float32, all numbers rounded.
func single(g *Graph) *Graph {
	out := g.Clone()
	out.Settings.DType = "f32"
	out.Weights = NewMatrix(g.Weights.N, false)
	for i, w := range g.Weights.F64 {
		out.Weights.F32[i] = float32(w)
	}
	for i := range out.Nodes {
		n := &out.Nodes[i]
		for _, v := range []*float64{&n.Activation, &n.Preactivation, &n.Prob, &n.Cumulative} {
			*v = float64(float32(*v))
		}
	}
	return out
}

func equalGraphs(t *testing.T, got, want *Graph) {
	t.Helper()
	for i := range want.Nodes {
		if i >= len(got.Nodes) {
			t.Fatalf("%d nodes, wants %d", len(got.Nodes), len(want.Nodes))
		}
		a, b := got.Nodes[i], want.Nodes[i]
		if b.Kind == Logit {
			a.Cumulative, b.Cumulative = 0, 0 // null in the public schema
		}
		if a != b {
			t.Fatalf("node %d is %#v, wants %#v", i, a, b)
		}
	}
	a, b := *got, *want
	a.Nodes, b.Nodes = nil, nil
	if !reflect.DeepEqual(a, b) {
		t.Fatalf("graph is %+v, wants %+v", a, b)
	}
}

// TestReadJSONOthers reads the files of other writers.
func TestReadJSONOthers(t *testing.T) {
	minimal := must(os.ReadFile("testdata/minimal.json"))(t)
	if faults := ValidateJSON(minimal); len(faults) != 0 {
		t.Errorf("minimal graph has faults %v", faults)
	}
	g, _ := readJSON(t, minimal)
	want := []ID{{Feature, 0, 1, 5}, {Token, 0, 1, 17250}, {Logit, 12, 1, 11}}
	for i, n := range g.Nodes {
		if n.ID != want[i] {
			t.Errorf("node %d is %v, wants %v", i, n.ID, want[i])
		}
	}
	if g.Nodes[2].Label != "," || g.Settings.Layers != 12 {
		t.Errorf("label %q, %d layers", g.Nodes[2].Label, g.Settings.Layers)
	}
	node := func(name, kind, layer string, feature, pos string) string {
		return `{"node_id":"` + name + `","feature":` + feature + `,"layer":` + layer + `,"ctx_idx":` + pos +
			`,"feature_type":"` + kind + `","jsNodeId":"x","clerp":""}`
	}
	file := func(links string, nodes ...string) string {
		return `{"metadata":{"slug":"a","scan":"b","prompt":"","prompt_tokens":[]},"qParams":{},"nodes":[` +
			strings.Join(nodes, ",") + `],"links":[` + links + `]}`
	}
	// Names of EleutherAI's attribute; layers as numbers; the newer error names.
	g, _ = readJSON(t, []byte(file(`{"source":"input_0","target":"intermediate_1_2_9","weight":2},{"source":"2_-1_1","target":"4_6_1","weight":1}`,
		node("input_0", "embedding", `"E"`, "0", "0"), node("intermediate_1_2_9", typeFeature, "2", "9", "1"),
		node("2_-1_1", typeError, `"2"`, "-1", "1"), node("4_6_1", typeLogit, `"4"`, "6", "1"))))
	if f := g.Find(ID{Feature, 2, 1, 9}); f < 0 || g.Weight(f, g.Find(ID{Token, 0, 0, 0})) != 2 {
		t.Errorf("attribute's names: nodes %v", g.Nodes)
	}
	if e := g.Find(ID{Kind: Error, Layer: 2, Pos: 1}); e < 0 || g.Weight(g.Find(ID{Logit, 3, 1, 6}), e) != 1 {
		t.Errorf("newer error names: nodes %v", g.Nodes)
	}
	clash := []string{node("0_1_1", typeFeature, `"0"`, "4", "1"), node("0_1_1", typeError, `"1"`, "-1", "1"),
		node("1_5_1", typeFeature, `"1"`, "26", "1"), node("4_6_1", typeLogit, `"4"`, "6", "1"), node("4_7_1", typeLogit, `"4"`, "7", "1")}
	for name, c := range map[string]struct{ text, want string }{
		"unknown end": {file(`{"source":"0_9_9","target":"1_5_1","weight":1}`, clash[2:]...), `link 0 from "0_9_9" to "1_5_1": there is no node "0_9_9"`},
		"ambiguous":   {file(`{"source":"0_1_1","target":"4_6_1","weight":1}`, clash...), `belongs to both f0/1@1 and e1@1`},
		"same node":   {strings.Replace(file("", clash[2], strings.Replace(clash[2], "1_5_1", "other", 1)), `"slug"`, `"schema_version":1,"slug"`, 1), `are both f1/5@1`},
		"twice":       {file(`{"source":"1_5_1","target":"4_6_1","weight":1},{"source":"1_5_1","target":"4_6_1","weight":2}`, clash[2:]...), "there twice"},
		"circle": {file(`{"source":"1_5_1","target":"1_6_1","weight":1},{"source":"1_6_1","target":"1_5_1","weight":1}`,
			clash[2], node("1_6_1", typeFeature, "1", "33", "1")), "circle"},
		"type":     {file("", node("a", "gizmo", "1", "1", "1")), `feature_type "gizmo" is unknown`},
		"layer":    {file("", node("a", typeFeature, `"x"`, "1", "1")), `layer "x"`},
		"empty":    {"{}", "no nodes or no links"},
		"array":    {"[]", "public JSON schema"},
		"cut":      {string(minimal[:200]), "unexpected end of JSON input"},
		"double":   {string(minimal) + "{}", "something follows"},
		"infinite": {file(`{"source":"1_5_1","target":"4_6_1","weight":-1e999}`, clash[2:]...), "weight of l6@1 from f1/5@1 is -Inf"},
		"huge":     {file(`{"source":"1_5_1","target":"4_6_1","weight":1e300}`, clash[2:]...), "finite"},
	} {
		if _, _, err := ReadJSON(strings.NewReader(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, wants %q", name, err, c.want)
		}
	}
	// A layer-1 target can only mean the layer-0 feature; with both links there,
	// their order decides.
	g, _ = readJSON(t, []byte(file(`{"source":"0_1_1","target":"1_5_1","weight":3},{"source":"0_1_1","target":"4_6_1","weight":1},{"source":"1_5_1","target":"4_6_1","weight":5},`+
		`{"source":"1_5_1","target":"4_7_1","weight":1},{"source":"0_1_1","target":"4_7_1","weight":2}`, clash...)))
	f, e, l, l2 := g.Find(ID{Feature, 0, 1, 1}), g.Find(ID{Error, 1, 1, 0}), g.Find(ID{Logit, 3, 1, 6}), g.Find(ID{Logit, 3, 1, 7})
	if g.Weight(g.Find(ID{Feature, 1, 1, 5}), f) != 3 || g.Weight(l, f) != 1 || g.Weight(l2, e) != 2 || g.Weight(l2, f) != 0 {
		t.Errorf("colliding names resolved to %v", g.Weights.F32)
	}
}

func TestValidateJSONFaults(t *testing.T) {
	faults := ValidateJSON([]byte(`{"metadata":{"slug":"A b","scan":1,"prompt":"","prompt_tokens":["a",2],"generation_settings":{"batch_size":1.5}},
		"qParams":[],"nodes":[{"node_id":"a","layer":1.5,"ctx_idx":"0","feature_type":"x","jsNodeId":"","clerp":"","feature":1.0},7],
		"links":[{"source":"a","target":"b","weight":"1"}]}`))
	var all []string
	for _, f := range faults {
		all = append(all, f.Error())
	}
	for _, want := range []string{"metadata.slug is \"A b\"", "metadata.scan is integer, wants string", "metadata.prompt_tokens[1] is integer",
		"metadata.generation_settings.batch_size is number, wants integer", "qParams is array, wants object", "nodes[0].layer is number, wants string or integer",
		"nodes[0].ctx_idx is string", "nodes[1] is integer, wants object", "links[0].weight is string", `links[0].target is "b", which is no node`} {
		if !slices.ContainsFunc(all, func(s string) bool { return strings.Contains(s, want) }) {
			t.Errorf("no fault %q in\n%s", want, strings.Join(all, "\n"))
		}
	}
	if len(all) != 10 {
		t.Errorf("%d faults:\n%s", len(all), strings.Join(all, "\n"))
	}
}

func FuzzReadJSON(f *testing.F) {
	if minimal, err := os.ReadFile("testdata/minimal.json"); err == nil {
		f.Add(minimal)
	}
	f.Add(writeJSON(f, graphB(), View{Compat: true}))
	f.Add(writeJSON(f, random(1, 1, 2, 1, 1, 1), View{}))
	f.Add([]byte(`{"metadata":{},"qParams":{},"nodes":[],"links":[]}`))
	f.Add([]byte(ofAttribute))
	f.Add([]byte(ofSite))
	f.Add([]byte(ofLorsa))
	f.Add([]byte(ofFirstFrontend))
	f.Fuzz(func(t *testing.T, text []byte) {
		ValidateJSON(text)
		g, v, err := ReadJSON(bytes.NewReader(text))
		if err != nil {
			return
		}
		first := writeJSON(t, g, v)
		again, v2, err := ReadJSON(bytes.NewReader(first))
		if err != nil {
			t.Fatalf("reading what was written: %v\n%s", err, first)
		}
		if second := writeJSON(t, again, v2); !bytes.Equal(first, second) {
			t.Fatalf("not a fixed point:\n%s\n%s", first, second)
		}
		g.Score()
		if _, err := g.Prune(DefaultPruneConfig()); err != nil {
			t.Fatalf("a graph that was read cannot be pruned: %v", err)
		}
	})
}
