package lab

import (
	"fmt"
	"maps"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/viz"
)

// The button "Copy as Go" of a graph writes calls of these three verbs, so that work
// done with the mouse becomes part of the notebook.

// Pin rings nodes and always shows them. Nodes are named as in the picture's files:
// "f5/12@9" is feature 12 of layer 5 at position 9.
func (g *Graph) Pin(nodes ...string) *Graph {
	p := *g
	p.pins = append(append([]attribution.ID(nil), g.pins...), g.ids(nodes)...)
	return &p
}

// Named gives a node a name in pictures.
func (g *Graph) Named(node, text string) *Graph { return g.Label(g.ids([]string{node})[0], text) }

// Group draws nodes as one box with a label: a supernode.
func (g *Graph) Group(label string, nodes ...string) *Graph {
	p := *g
	p.groups = append(append([]attribution.Group(nil), g.groups...), attribution.Group{Label: label, Nodes: g.ids(nodes)})
	return &p
}

// Label names a feature in pictures.
func (g *Graph) Label(id attribution.ID, text string) *Graph {
	p := *g
	p.labels = map[attribution.ID]string{}
	maps.Copy(p.labels, g.labels)
	p.labels[id] = text
	return &p
}

// ids finds nodes by their names.
func (g *Graph) ids(names []string) []attribution.ID {
	whole := g.Graph
	if g.full != nil {
		whole = g.full
	}
	byName := make(map[string]attribution.ID, len(whole.Nodes))
	for _, n := range whole.Nodes {
		byName[n.ID.String()] = n.ID
	}
	var out []attribution.ID
	for _, name := range names {
		id, ok := byName[name]
		if !ok {
			fail("graph", fmt.Errorf("the graph has no node %q; write f5/12@9 for feature 12 of layer 5 at position 9", name))
		}
		out = append(out, id)
	}
	return out
}

// view is how the graph is drawn.
func (g *Graph) view() viz.GraphOptions {
	score := attribution.Score(g.Info.Score)
	return viz.GraphOptions{Full: g.full, Score: &score, Labels: g.labels, Pinned: g.pins, Groups: g.groups, Features: g.features}
}
