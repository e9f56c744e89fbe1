package viz

import (
	"fmt"
	"math"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
)

// GraphOptions say how a graph is drawn; the zero value works.
type GraphOptions struct {
	Title   string // default: the prompt
	Finding string // one or two sentences above the picture; default: written from the graph
	// Full is the graph before pruning. With it, shares and influence are those
	// of the whole graph and the head line counts what was left out; without it
	// the drawn graph is all there is.
	Full   *attribution.Graph
	Score  *attribution.Score        // shown instead of the score of the unpruned graph
	Labels map[attribution.ID]string // names given by people, set upright; guesses are italic
	Pinned []attribution.ID          // always shown, ringed and labelled
	// All also draws features that are active on more than two thirds of the
	// tokens and features at position 0, which are left out by default.
	All      bool
	Inputs   bool    // draw position and bias nodes
	MaxNodes int     // 0 for 400; the rest of each cell becomes one "+k" node
	Width    float64 // pixels; 0 for 960
	Theme    string  // "light" (default) or "dark", for GraphSVG
	Static   bool    // leave out the interactive frame
	// Groups are supernodes, drawn as boxes; those marked as guesses are only
	// suggested in the interactive frame.
	Groups []attribution.Group
	// Features tells what is known of a feature, false for nothing: its label
	// stands in for a missing one, and the interactive frame shows small cards of
	// the most influential features.
	Features func(layer, index int) (Feature, bool)
	// Other is another graph; features that are in both are filled.
	Other *attribution.Graph
}

const (
	defaultNodes = 400
	defaultWidth = 960
	staticNodes  = 150 // in notebooks that are committed
)

func (o GraphOptions) withDefaults() GraphOptions {
	if o.MaxNodes <= 0 {
		o.MaxNodes = defaultNodes
		if o.Static {
			o.MaxNodes = staticNodes
		}
	}
	if o.Width <= 0 {
		o.Width = defaultWidth
	}
	return o
}

// Graph draws an attribution graph: tokens along the bottom, layers above,
// targets on top, edges by their effect on the targets. The card holds a head
// line with the graph's proof, the picture with hover texts, the strongest
// paths, a table, and a script for the interactive frame.
func Graph(g *attribution.Graph, o GraphOptions) (Output, error) {
	o = o.withDefaults()
	v, err := newView(g, o)
	if err != nil {
		return Output{}, err
	}
	v.layout()
	return v.output()
}

// GraphSVG is the picture alone, as a file for papers: no script, no style
// sheet, nothing outside it.
func GraphSVG(g *attribution.Graph, o GraphOptions) (string, error) {
	o = o.withDefaults()
	v, err := newView(g, o)
	if err != nil {
		return "", err
	}
	v.layout()
	return v.svg(theme(o.Theme)), nil
}

// checkGraph refuses what cannot be drawn, before any index is used.
func checkGraph(g *attribution.Graph) error {
	switch {
	case g == nil || len(g.Nodes) == 0:
		return fmt.Errorf("viz: draw graph: it has no nodes; attribute a prompt first")
	case g.Weights.N != len(g.Nodes):
		return fmt.Errorf("viz: draw graph: %d nodes but a %d-node matrix", len(g.Nodes), g.Weights.N)
	case len(g.Tokens) == 0:
		return fmt.Errorf("viz: draw graph: it has no tokens; the file must keep them")
	}
	layers := g.Settings.Layers
	for _, n := range g.Nodes {
		if n.Pos < 0 || n.Pos >= len(g.Tokens) {
			return fmt.Errorf("viz: draw graph: node %v is at position %d of %d tokens", n.ID, n.Pos, len(g.Tokens))
		}
		if (n.Kind == attribution.Feature || n.Kind == attribution.Error) && (n.Layer < 0 || layers > 0 && n.Layer >= layers) {
			return fmt.Errorf("viz: draw graph: node %v is in layer %d of %d", n.ID, n.Layer, layers)
		}
		if n.Kind == attribution.Logit && (math.IsNaN(n.Prob) || n.Prob < 0) {
			return fmt.Errorf("viz: draw graph: target %v has probability %v", n.ID, n.Prob)
		}
	}
	return nil
}
