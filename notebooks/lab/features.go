package lab

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
	"github.com/etredal/cross-layer-transcoder/viz"
)

// FeatureOptions say how BuildFeatures looks at features; zero values take the
// defaults.
type FeatureOptions struct {
	Texts  []string // files, relative to the clone; none for the pocket world
	Tokens int      // stop after so many
	Out    string   // folder of the store, relative to the clone; default: features in the transcoder's folder, or the cache for a shipped one
}

// BuildFeatures makes the feature store of the session's transcoder: one pass over
// texts, after which Features and Feature know every feature. The stop button keeps
// what was seen; running the cell again goes on from there. The store of a shipped
// transcoder is built by itself when it is first asked for.
func (s *Session) BuildFeatures(o FeatureOptions) *FeatureStore {
	req := wire.FeaturesBuildRequest{Setup: s.on(), World: len(o.Texts) == 0, Tokens: o.Tokens}
	for _, t := range o.Texts {
		req.Texts = append(req.Texts, s.path(t))
	}
	if o.Out != "" {
		req.Out = s.path(o.Out)
	}
	f := &FeatureStore{}
	s.do("features-build", req, &f.FeatureStore, nil)
	return f
}

// FeatureStore says what a store holds.
type FeatureStore struct{ wire.FeatureStore }

// Output is a table.
func (f *FeatureStore) Output() viz.Output {
	return viz.Table("Feature store", []string{"what", "value"}, [][]string{
		{"features", fmt.Sprint(f.Features)},
		{"never active", fmt.Sprintf("%d (%.1f %%)", f.Dead, 100*float64(f.Dead)/float64(max(1, f.Features)))},
		{"tokens looked at", fmt.Sprintf("%d of %s", f.Tokens, f.Corpus)},
		{"size", fmt.Sprintf("%.1f MiB", float64(f.Bytes)/(1<<20))},
	})
}

// Features searches the feature store by what people called features, by the tokens
// on which they are active and by the logits that they move: "Paris", "logit: Paris",
// "token:Paris", "label:capital", "dead"; "" lists all, the densest first.
func (s *Session) Features(query string) *FeatureList {
	f := &FeatureList{Query: query}
	s.do("features", wire.FeaturesRequest{Setup: s.on(), Query: query, Top: -1}, &f.FeaturesResponse, nil)
	return f
}

// FeatureList is what a search found, the best first.
type FeatureList struct {
	Query string
	wire.FeaturesResponse
}

// shownHits is how many of them a table shows.
const shownHits = 20

// Output is a table of the first hits.
func (f *FeatureList) Output() viz.Output {
	var rows [][]string
	for _, h := range f.Hits[:min(shownHits, len(f.Hits))] {
		rows = append(rows, []string{fmt.Sprintf("L%d/F%d", h.Layer, h.Index), labelText(h.Label, h.Guess), fmt.Sprintf("%.2f %%", 100*h.Density), fmt.Sprintf("%.2f", h.Max),
			words(h.Tokens, 4), words(h.Logits, 3), h.Why})
	}
	title := fmt.Sprintf("%d features for “%s”", f.Total, f.Query)
	if f.Query == "" {
		title = fmt.Sprintf("%d features, the densest first", f.Total)
	}
	if f.Total > len(rows) {
		title += fmt.Sprintf(", the first %d", len(rows))
	}
	return viz.Table(fmt.Sprintf("%s (on %d tokens of %s)", title, f.Store.Tokens, f.Store.Corpus),
		[]string{"feature", "label", "density", "max", "active on", "raises", "why"}, rows)
}

func labelText(label string, guess bool) string {
	if guess {
		return "guess: " + label
	}
	return label
}

func words(tokens []string, n int) string {
	var list []string
	for _, t := range tokens[:min(n, len(tokens))] {
		if t = strings.TrimSpace(t); t != "" {
			list = append(list, t)
		}
	}
	return strings.Join(list, " · ")
}

// Feature is one feature's dashboard: examples, histogram, logits, what goes with it.
// Its fields are plain numbers and texts.
func (s *Session) Feature(layer, index int) *Feature {
	list := s.known([]wire.FeatureID{{Layer: layer, Index: index}}, 0)
	return &Feature{Feature: list[0], session: s}
}

// Feature is what the store knows of one feature.
type Feature struct {
	viz.Feature
	session *Session
}

// Output is the card.
func (f *Feature) Output() viz.Output { return viz.FeatureCard(f.Feature) }

// Name calls the feature by a name, in its store; "" takes the name away. The name
// outlives a rebuild of the store.
func (f *Feature) Name(label string) *Feature {
	var r wire.LabelResponse
	f.session.do("label", wire.LabelRequest{Setup: f.session.setup, FeatureID: wire.FeatureID{Layer: f.Layer, Index: f.Index}, Label: label}, &r, nil)
	named := *f
	named.Label, named.Guess = r.Label, r.Guess
	return &named
}

// On runs the feature on a text of one's own.
func (f *Feature) On(text string) *Firing {
	e := f.session.Encode(text)
	r := &Firing{Name: fmt.Sprintf("L%d/F%d", f.Layer, f.Index), Tokens: e.Tokens, Values: make([]float64, len(e.Tokens)), Max: f.Max}
	for _, a := range e.Active {
		if a.Layer == f.Layer && a.Index == f.Index {
			r.Values[a.Pos] = a.Value
		}
	}
	return r
}

// Firing is one feature on one text; Max is the largest activation in the store.
type Firing struct {
	Name   string
	Tokens []string
	Values []float64
	Max    float64
}

// Output colours the tokens, on the scale of the store.
func (f *Firing) Output() viz.Output {
	return viz.Tokens(f.Tokens, []viz.Row{{Name: f.Name, Values: f.Values, Max: f.Max}})
}

// known asks for features; brief keeps only so many examples of each.
func (s *Session) known(ids []wire.FeatureID, brief int) []viz.Feature {
	var r wire.FeatureResponse
	s.do("feature", wire.FeatureRequest{Setup: s.on(), Features: ids, Brief: brief}, &r, nil)
	list := make([]viz.Feature, len(ids))
	for i, data := range r.Features[:min(len(ids), len(r.Features))] {
		f, err := viz.ParseFeature(json.RawMessage(data))
		if err != nil {
			fail("feature", err)
			continue
		}
		list[i] = f
	}
	return list
}

const briefExamples = 4 // in the cards of a graph

// Explain looks the graph's features up in the feature store: their labels name the
// nodes, and the interactive picture shows their cards.
func (g *Graph) Explain() *Graph {
	at := map[wire.FeatureID]int{}
	var ids []wire.FeatureID
	for _, n := range g.Nodes {
		id := wire.FeatureID{Layer: n.Layer, Index: n.Index}
		if _, ok := at[id]; n.Kind == attribution.Feature && !ok {
			at[id] = len(ids)
			ids = append(ids, id)
		}
	}
	list := g.session.known(ids, briefExamples)
	p := *g
	p.features = func(layer, index int) (viz.Feature, bool) {
		i, ok := at[wire.FeatureID{Layer: layer, Index: index}]
		if !ok {
			return viz.Feature{}, false
		}
		return list[i], true
	}
	return &p
}
