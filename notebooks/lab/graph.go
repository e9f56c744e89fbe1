package lab

import (
	"fmt"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/internal/atomicfile"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
	"github.com/etredal/cross-layer-transcoder/viz"
)

// Graph is an attribution graph, whole or pruned.
type Graph struct {
	*attribution.Graph
	Prompt  string
	Info    wire.GraphInfo // of the whole graph
	targets []string
	full    *attribution.Graph // before pruning; nil if this is the whole
	session *Session
	labels  map[attribution.ID]string
	pins    []attribution.ID
	groups  []attribution.Group

	features func(layer, index int) (viz.Feature, bool) // see Explain
}

// Prune keeps the nodes that carry 80 % of the influence on the targets and the
// edges that carry 98 % of what is left.
func (g *Graph) Prune() *Graph { return g.PruneTo(attribution.DefaultPruneConfig()) }

// PruneTo is Prune with other thresholds.
func (g *Graph) PruneTo(cfg attribution.PruneConfig) *Graph {
	if g == nil {
		fail("prune", &wire.Error{Message: "lab: this graph is nil: variables end with their cell", Cure: "make it in the cell that prunes it"})
		return &Graph{Graph: &attribution.Graph{}}
	}
	p := *g
	var err error
	if p.Graph, err = g.Graph.Prune(cfg); err != nil {
		fail("prune", err)
	}
	if p.full == nil {
		p.full = g.Graph
	}
	return &p
}

// Caption says in words what feeds the target most. After pruning too, shares are those
// of the whole graph, as in its picture: what was cut must not make the rest look larger.
func (g *Graph) Caption() string {
	if g.full != nil {
		return g.full.Caption()
	}
	return g.Graph.Caption()
}

// Output is the picture with its proof. The whole graph is a picture alone; the
// pruned one can be explored.
func (g *Graph) Output() viz.Output {
	opts := g.view()
	opts.Static = static() || g.full == nil
	o, err := viz.Graph(g.Graph, opts)
	if err != nil {
		fail("graph", err)
	}
	return o
}

// Proven ends the cell unless every row of the whole graph adds up to its target's
// value, and says how well it does.
func (g *Graph) Proven() {
	worst := g.Info.Score.RowIdentityMaxError
	Check(worst >= 0 && worst <= 1e-4, "each row of the graph adds up to its target's value",
		fmt.Sprintf("largest error %.1e of max(1, |value|) over %d rows, limit 1e-4", worst, g.Info.Nodes))
}

// Export writes the graph as a page that needs nothing else, relative to the
// clone, and shows where.
func (g *Graph) Export(file string) {
	if file == "" {
		fail("export", &wire.Error{Message: "lab: the file has no name", Cure: "give one, such as out/graph.html"})
		return
	}
	page, err := viz.GraphPage(g.Graph, viz.PageOptions{Graph: g.view(), Provenance: viz.Provenance{Graphs: []viz.GraphMade{g.made().GraphMade}}})
	if err != nil {
		fail("export", err)
	}
	if err := atomicfile.Write(g.session.path(file), page); err != nil {
		fail("export", cannotWrite(relative(file, g.session.place.root), err))
		return
	}
	Show(viz.Check("wrote "+file, true, fmt.Sprintf("%d KB, opens in any browser without a network", (len(page)+1023)/1024)))
}
