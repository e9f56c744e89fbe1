package attribution

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

type link struct {
	target, source int
	weight         float64
}

// build makes a float64 graph of named nodes and links.
func build(nodes []Node, links []link) *Graph {
	g := &Graph{Nodes: nodes, Weights: NewMatrix(len(nodes), true)}
	for _, l := range links {
		g.Weights.Set(l.target, l.source, l.weight)
	}
	return g
}

func id(kind Kind, layer, pos, index int) Node {
	return Node{ID: ID{Kind: kind, Layer: layer, Pos: pos, Index: index}}
}

func logit(index int, prob float64) Node {
	n := id(Logit, 2, 1, index)
	n.Prob = prob
	return n
}

// graphA is the twelve-node graph of circuit-tracer's own test.
func graphA() *Graph {
	nodes := []Node{
		id(Feature, 0, 0, 0), id(Feature, 0, 1, 1), id(Feature, 0, 1, 2), id(Feature, 1, 1, 3), id(Feature, 1, 1, 4),
		id(Error, 0, 0, 0), id(Error, 0, 1, 0), id(Error, 1, 0, 0), id(Error, 1, 1, 0),
		id(Token, 0, 0, 7), id(Token, 0, 1, 8), logit(3, 1),
	}
	var links []link
	for _, l := range [][2]int{{11, 1}, {11, 3}, {11, 6}, {11, 8}, {3, 0}, {3, 1}, {3, 6}, {1, 9}, {1, 10}, {0, 9}} {
		links = append(links, link{l[0], l[1], 10})
	}
	return build(nodes, links)
}

// graphB has two targets, negative weights and an error that pruning drops.
func graphB() *Graph {
	nodes := []Node{
		id(Feature, 1, 1, 0), id(Feature, 1, 1, 1), id(Feature, 2, 1, 0),
		id(Error, 0, 0, 0), id(Error, 0, 1, 0),
		id(Token, 0, 0, 7), id(Token, 0, 1, 8),
		logit(4, .6), logit(5, .3),
	}
	return build(nodes, []link{
		{0, 5, 2}, {0, 3, -1},
		{1, 5, .5}, {1, 6, 1.5},
		{2, 0, -3}, {2, 1, 1}, {2, 4, 1}, {2, 6, 1},
		{7, 2, 4}, {7, 0, -1}, {7, 4, 1}, {7, 6, 2},
		{8, 1, 2}, {8, 4, -2},
	})
}

// goldenSet is one reference graph with what circuit-tracer made of it.
type goldenSet struct {
	name string
	file *tensorFile
	g    *Graph
}

// tensor reads a stored float tensor.
func (s goldenSet) floats(t testing.TB, name string) []float64 {
	t.Helper()
	v, err := s.file.float64s(name, s.file.tensors[name].Shape...)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (s goldenSet) ints(t testing.TB, name string) []int {
	t.Helper()
	v, err := s.file.ints(name, s.file.tensors[name].Shape...)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func unzip(t testing.TB, path string) []byte {
	t.Helper()
	packed, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	z, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// goldenSets are the reference graphs stored with the package.
func goldenSets(t testing.TB) []goldenSet {
	t.Helper()
	paths, err := filepath.Glob("testdata/*_p0.safetensors.gz")
	if err != nil || len(paths) != 2 {
		t.Fatalf("testdata has %d graphs, wants 2 (%v)", len(paths), err)
	}
	var sets []goldenSet
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), "_p0.safetensors.gz")
		sets = append(sets, goldenFrom(t, name, unzip(t, path)))
	}
	return sets
}

func goldenFrom(t testing.TB, name string, data []byte) goldenSet {
	t.Helper()
	f, err := openTensors(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	s := goldenSet{name: name, file: f}
	const layers = 4
	g := &Graph{Settings: Settings{Layers: layers, DType: "f64"}}
	features, values := s.ints(t, "active_features"), s.floats(t, "activation_values")
	for i, v := range values {
		n := id(Feature, features[3*i], features[3*i+1], features[3*i+2])
		n.Activation = v
		g.Nodes = append(g.Nodes, n)
	}
	ids := s.ints(t, "input_ids")
	for l := range layers {
		for p := range ids {
			g.Nodes = append(g.Nodes, id(Error, l, p, 0))
		}
	}
	for p, tok := range ids {
		g.Nodes = append(g.Nodes, id(Token, 0, p, tok))
		g.IDs = append(g.IDs, int32(tok))
	}
	probs := s.floats(t, "logit_probabilities")
	for i, tok := range s.ints(t, "logit_token_ids") {
		n := id(Logit, layers, len(ids)-1, tok)
		n.Prob = probs[i]
		g.Nodes = append(g.Nodes, n)
	}
	g.Weights = Matrix{N: len(g.Nodes), F64: s.floats(t, "adjacency")}
	s.g = g
	return s
}

// whole adds the terms that circuit-tracer leaves out, as position, bias and
// position-0 error columns: the graph as our own attribution makes it.
func (s goldenSet) whole(t testing.TB) *Graph {
	t.Helper()
	old, seq := s.g, len(s.g.IDs)
	g := &Graph{IDs: old.IDs, Settings: old.Settings}
	logits := slices.IndexFunc(old.Nodes, func(n Node) bool { return n.Kind == Logit })
	g.Nodes = append(g.Nodes, old.Nodes[:logits]...)
	for p := range seq {
		g.Nodes = append(g.Nodes, id(Position, 0, p, 0))
	}
	g.Nodes = append(append(g.Nodes, id(Bias, 0, 0, 0)), old.Nodes[logits:]...)
	g.Weights = NewMatrix(len(g.Nodes), true)
	pos, bos := s.floats(t, "row_pos_embed"), s.floats(t, "row_mlp_at_position0")
	bias, value := s.floats(t, "row_bias"), s.floats(t, "row_target_value")
	layers := old.Settings.Layers
	for row, ot := range old.Targets() {
		nt := g.Find(old.Nodes[ot].ID)
		g.Nodes[nt].Preactivation = value[row]
		for os := range old.Nodes[:logits] {
			g.Weights.Set(nt, os, old.Weight(ot, os))
		}
		for p := range seq {
			g.Weights.Set(nt, g.Find(ID{Kind: Position, Pos: p}), pos[row*seq+p])
		}
		for l := range layers {
			g.Weights.Set(nt, g.Find(ID{Kind: Error, Layer: l}), bos[row*layers+l])
		}
		g.Weights.Set(nt, g.Find(ID{Kind: Bias}), bias[row])
	}
	return g
}

// random makes a layered, causal graph with all kinds of node; density is the
// share of possible edges that exist.
func random(seed uint64, layers, seq, perPlace, logits int, density float64) *Graph {
	r := rand.New(rand.NewPCG(seed, 17))
	g := &Graph{Settings: Settings{Layers: layers, Active: layers * seq * perPlace, DType: "f64"}}
	for l := range layers {
		for p := range seq {
			for i := range perPlace {
				n := id(Feature, l, p, 3*i+1)
				n.Activation = r.Float64()
				g.Nodes = append(g.Nodes, n)
			}
		}
	}
	for l := range layers {
		for p := range seq {
			g.Nodes = append(g.Nodes, id(Error, l, p, 0))
		}
	}
	for p := range seq {
		g.Nodes = append(g.Nodes, id(Token, 0, p, 100+p))
		g.IDs = append(g.IDs, int32(100+p))
		g.Tokens = append(g.Tokens, string(rune('a'+p%26)))
	}
	for p := range seq {
		g.Nodes = append(g.Nodes, id(Position, 0, p, 0))
	}
	g.Nodes = append(g.Nodes, id(Bias, 0, 0, 0))
	for k := range logits {
		n := id(Logit, layers, seq-1, 50+k)
		n.Prob = math.Pow(.5, float64(k+1))
		g.Nodes = append(g.Nodes, n)
	}
	g.Weights = NewMatrix(len(g.Nodes), true)
	for t := range g.Nodes {
		if !g.Nodes[t].Kind.IsTarget() {
			continue
		}
		for s := range g.Nodes {
			source := g.Nodes[s].ID
			if source.Kind == Logit || checkEdge(source, g.Nodes[t].ID) != nil {
				continue
			}
			if always := source.Kind == Token || source.Kind == Bias; always || r.Float64() < density {
				g.Weights.Set(t, s, r.NormFloat64())
			}
		}
		for s := range g.Nodes {
			g.Nodes[t].Preactivation += g.Weight(t, s)
		}
	}
	return g
}

func near(a, b, tolerance float64) bool { return math.Abs(a-b) <= tolerance }

func wantNear(t *testing.T, what string, got, want []float64, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s has %d values, wants %d", what, len(got), len(want))
	}
	for i := range got {
		if !near(got[i], want[i], tolerance) {
			t.Fatalf("%s[%d] = %v, wants %v", what, i, got[i], want[i])
		}
	}
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// indices lists the set entries of a mask.
func indices(mask []bool) []int {
	var out []int
	for i, m := range mask {
		if m {
			out = append(out, i)
		}
	}
	return out
}

func unmarshal(text []byte, to any) error { return json.Unmarshal(text, to) }
