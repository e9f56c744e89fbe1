package viz

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	at "github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/internal/testenv"
)

// TestWritePictures writes the pages that tests/test_pictures.py opens in a
// browser: every component, with hostile text too, graphs of several sizes; and
// the outputs that tests/test_outputs.py puts into notebooks.
func TestWritePictures(t *testing.T) {
	dir := os.Getenv("CLT_PICTURES")
	if dir == "" {
		testenv.Skip(t, "CLT_PICTURES names no folder; tests/test_pictures.py does")
	}
	write := func(name string, page []byte, err error) {
		t.Helper()
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), page, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	page := func(name string, outs []Output) {
		t.Helper()
		var s []Section
		for _, o := range outs {
			s = append(s, Section{Title: o.Kind, Output: o})
		}
		p, err := Page(s, PageOptions{Title: name})
		write(name+".html", p, err)
	}
	outputs := func(name string, outs []Output) {
		t.Helper()
		b, err := json.Marshal(outs)
		write(name+".json", b, err)
	}
	page("components", components())
	var hostileOutputs []Output
	for i, h := range hostile {
		if i%6 != 1 {
			continue // each text makes 14 frames; all texts in all figures are in tests of this package
		}
		hostileOutputs = append(hostileOutputs, componentsOf(h, wave(len(hostile), func(x float64) float64 { return x - 3 }))...)
	}
	page("hostile", hostileOutputs)
	full := planted(1, 12, 1.5)
	g := pruned(t, full, 0.8, 0.98)
	o := richOptions(full, g)
	p, err := GraphPage(g, PageOptions{Graph: o})
	write("graph.html", p, err)
	graph, err := Graph(g, o)
	if err != nil {
		t.Fatal(err)
	}
	other := planted(2, 12, 1.5)
	both, err := Compare(g, pruned(t, other, 0.8, 0.98), CompareOptions{A: "one prompt", B: "another", GraphA: GraphOptions{Full: full}, GraphB: GraphOptions{Full: other}})
	if err != nil {
		t.Fatal(err)
	}
	page("compare", []Output{both})
	outputs("components", append(components(), FeatureCard(featureOf(" Texas")), graph, graph, both)) // one of them twice
	bad, badOptions := hostileGraph()
	badOptions.Features = func(layer, index int) (Feature, bool) { return featureOf(hostile[index%len(hostile)]), true }
	badGraph, err := Graph(bad, badOptions)
	if err != nil {
		t.Fatal(err)
	}
	all := hostileComponents()
	outputs("hostile", append(append(componentsOf(hostile[1], []float64{1, -2}), all[len(all)-6:]...), badGraph)) // each of the six holds every text
	p, err = GraphPage(bad, PageOptions{Title: hostile[1], Graph: badOptions})
	write("hostile-graph.html", p, err)
	p, err = GraphPage(wide(2012, 28), PageOptions{Title: "2000 nodes", Graph: GraphOptions{All: true, Inputs: true}})
	write("big.html", p, err)
}

// richOptions have everything that a graph can have: groups, pins, names, cards.
func richOptions(full, g *at.Graph) GraphOptions {
	o := GraphOptions{Full: full, Labels: map[at.ID]string{}}
	var group at.Group
	for _, n := range g.Nodes {
		if n.Kind == at.Feature && n.Label == "say Austin" {
			group.Label = "say Austin"
			group.Nodes = append(group.Nodes, n.ID)
		}
		if n.Kind == at.Feature && n.Label == "Texas cities" {
			o.Pinned = append(o.Pinned, n.ID)
			o.Labels[n.ID] = "cities in Texas"
		}
	}
	o.Groups = []at.Group{group}
	o.Features = func(layer, index int) (Feature, bool) {
		f := featureOf(" Texas")
		f.Layer, f.Index, f.Label = layer, index, ""
		return f, true
	}
	return o
}
