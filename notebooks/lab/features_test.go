package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/internal/engine/server"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// featureVerbs answer with what they were asked.
func featureVerbs() server.Table {
	store := wire.FeatureStore{Corpus: "the pocket world", Tokens: 1000, Features: 2048, Dead: 512, Bytes: 3 << 20}
	return server.Table{
		"features-build": server.Handle(func(_ context.Context, q wire.FeaturesBuildRequest, _ func(wire.Progress)) (wire.FeatureStore, error) {
			s := store
			s.Corpus = fmt.Sprint(q.World, len(q.Texts), q.Out != "")
			return s, nil
		}),
		"features": server.Handle(func(_ context.Context, q wire.FeaturesRequest, _ func(wire.Progress)) (wire.FeaturesResponse, error) {
			return wire.FeaturesResponse{Store: store, Total: 30, Hits: []wire.FeatureHit{
				{Layer: 1, Index: 17, Label: "asked " + q.Query, Guess: true, Active: 5, Density: .005, Max: 4.25, Tokens: []string{" Paris", " Rome"}, Logits: []string{" is"}, Why: "raises it, rank 1"}}}, nil
		}),
		"feature": server.Handle(func(_ context.Context, q wire.FeatureRequest, _ func(wire.Progress)) (wire.FeatureResponse, error) {
			r := wire.FeatureResponse{Store: store}
			for _, id := range q.Features {
				r.Features = append(r.Features, json.RawMessage(fmt.Sprintf(`{"layer":%d,"index":%d,"label":"capital %d","guess":true,"tokens":1000,"active":5,"max":4,"top":[{"id":3,"token":" is","value":2.5}],`+
					`"groups":[{"name":"Top examples","examples":[{"tokens":[" in"," Paris","\\xc3","\\xa9"],"values":[0,4,0,0],"peak":1,"value":4}]}]}`, id.Layer, id.Index, q.Brief)))
			}
			return r, nil
		}),
		"label": server.Handle(func(_ context.Context, q wire.LabelRequest, _ func(wire.Progress)) (wire.LabelResponse, error) {
			return wire.LabelResponse{Label: fmt.Sprintf("%s of %d/%d", q.Label, q.Layer, q.Index)}, nil
		}),
		"encode": server.Handle(func(_ context.Context, q wire.EncodeRequest, _ func(wire.Progress)) (wire.EncodeResponse, error) {
			return wire.EncodeResponse{TokensResponse: wire.TokensResponse{Tokens: []string{"<|endoftext|>", " The", " cat"}},
				Active: []wire.Activation{{Layer: 1, Pos: 2, Index: 17, Value: 3}, {Layer: 2, Pos: 1, Index: 17, Value: 9}}}, nil
		}),
	}
}

func TestFeatureVerbs(t *testing.T) {
	kernel(t)
	_, status := screen(t)
	s := Open()
	t.Cleanup(s.Stop)
	has(t, s.BuildFeatures(FeatureOptions{}), "table", "2048", "512 (25.0 %)", "true 0 false")
	has(t, s.BuildFeatures(FeatureOptions{Texts: []string{"a.txt", "b.txt"}, Out: "out/x"}), "table", "false 2 true")
	list := s.Features("Paris")
	has(t, list, "table", "30 features for “Paris”", "the first 1", "L1/F17", "guess: asked Paris", "0.50 %", "4.25", "Paris · Rome", "raises it")
	has(t, s.Features(""), "table", "the densest first")
	if h := list.Hits[0]; h.Max != 4.25 || h.Layer != 1 || h.Tokens[1] != " Rome" { // cells compute with it
		t.Errorf("hit %+v", h)
	}
	f := s.Feature(1, 17)
	has(t, f, "feature", "L1/F17", "guess: capital 0", "active on 5 of 1000", "⟦ Paris⟧é")
	if f.Top[0].Value != 2.5 || f.Groups[0].Examples[0].Value != 4 {
		t.Errorf("feature %+v", f.Feature)
	}
	if n := f.Name("capitals"); n.Label != "capitals of 1/17" || n.Guess || f.Label != "capital 0" {
		t.Errorf("named %q, a guess: %v; before %q", n.Label, n.Guess, f.Label)
	}
	on := f.On("The cat")
	if !slices.Equal(on.Values, []float64{0, 0, 3}) || on.Max != 4 {
		t.Errorf("on a text: %+v", on)
	}
	has(t, on, "tokens", "cat", "L1/F17", "3.00")
	if *status != 0 {
		t.Errorf("exit status %d", *status)
	}
}

// catGraph is a graph of three tokens, with a feature at two positions.
func catGraph() *attribution.Graph {
	g := &attribution.Graph{Tokens: []string{"<|endoftext|>", " The", " cat"}, IDs: []int32{0, 1, 2}, Settings: attribution.Settings{Layers: 2}}
	for _, n := range []attribution.ID{{Kind: attribution.Feature, Layer: 1, Pos: 1, Index: 17}, {Kind: attribution.Feature, Layer: 1, Pos: 2, Index: 17}, {Kind: attribution.Token, Pos: 1, Index: 1},
		{Kind: attribution.Token, Pos: 2, Index: 2}, {Kind: attribution.Logit, Layer: 2, Pos: 2, Index: 2}} {
		g.Nodes = append(g.Nodes, attribution.Node{ID: n, Prob: map[bool]float64{true: 1}[n.Kind == attribution.Logit]})
	}
	g.Weights = attribution.NewMatrix(len(g.Nodes), false)
	for _, e := range [][2]int{{4, 0}, {4, 1}, {0, 2}, {1, 3}} {
		g.Weights.F32[e[0]*g.Weights.N+e[1]] = 1
	}
	return g
}

// TestExplain: labels and cards come into the picture of a graph, each feature asked for
// once.
func TestExplain(t *testing.T) {
	kernel(t)
	_, status := screen(t)
	s := Open()
	t.Cleanup(s.Stop)
	g := catGraph()
	whole := &Graph{Graph: g, session: s}
	if strings.Contains(whole.Output().HTML, "capital 4") {
		t.Error("a graph has labels before it is explained")
	}
	o := whole.Explain()
	if f, ok := o.features(1, 17); !ok || f.Label != "capital 4" || len(f.Groups) != 1 {
		t.Errorf("feature %+v, %v", f, ok)
	}
	if _, ok := o.features(0, 17); ok {
		t.Error("a feature that is not in the graph is known")
	}
	if !strings.Contains(o.Output().Plain, "capital 4") {
		t.Errorf("no label in\n%s", o.Output().Plain)
	}
	if *status != 0 {
		t.Errorf("exit status %d", *status)
	}
}
