package main

import (
	"flag"
	"fmt"
	"path/filepath"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/internal/engine"
)

// prunedNode is a kept node in the numbering of the unpruned graph.
type prunedNode struct {
	Number int `json:"node"`
	attribution.Node
	Influence float64 `json:"influence"`
}

// prunedEdge is a kept edge in the same numbering.
type prunedEdge struct {
	Target int     `json:"target"`
	Source int     `json:"source"`
	Weight float64 `json:"weight"`
	Score  float64 `json:"score"`
}

// prunedGraph is the JSON of prune.
type prunedGraph struct {
	Node       float64           `json:"node_threshold"`
	Edge       float64           `json:"edge_threshold"`
	TotalNodes int               `json:"total_nodes"`
	Nodes      []prunedNode      `json:"nodes"`
	Edges      []prunedEdge      `json:"edges"`
	Score      attribution.Score `json:"score"`
}

func pruneVerb(f *flag.FlagSet) func(c *call) error {
	cut := pruneFlags(f)
	var outs list
	f.Var(&outs, "o", "`file`: NAME.safetensors or NAME.json; may be repeated")
	compat := f.String("compat", "", "`name`: "+compatName+" writes JSON as that program does")
	asJSON := f.Bool("json", false, "kept nodes, edges and scores as JSON")
	return func(c *call) error {
		if err := cut.cfg.Validate(); err != nil {
			return usageError{err}
		}
		if *compat != "" && *compat != compatName {
			return badCall("-compat %s is not known; use %s", *compat, compatName)
		}
		if err := checkGraphOutputs(outs); err != nil {
			return err
		}
		g, err := c.oneGraph()
		if err != nil {
			return err
		}
		small, err := g.Prune(cut.cfg)
		if err != nil {
			return err
		}
		for _, path := range outs {
			if err := engine.SaveGraph(path, small, attribution.View{Compat: *compat != ""}); err != nil {
				return err
			}
			c.remark("wrote %s, %d of %d nodes", path, len(small.Nodes), len(g.Nodes))
		}
		if *asJSON {
			return c.pruneJSON(g, small, cut.cfg)
		}
		c.printf("%s", keptTable(g, small))
		return nil
	}
}

// oneGraph reads the only argument as a graph.
func (c *call) oneGraph() (*attribution.Graph, error) {
	if len(c.args) != 1 {
		return nil, badCall("%d graph files; give one", len(c.args))
	}
	return loadGraph(c.args[0])
}

func loadGraph(path string) (*attribution.Graph, error) {
	if err := checkFiles([]string{path}); err != nil {
		return nil, err
	}
	return engine.LoadGraph(path)
}

func (c *call) pruneJSON(g, small *attribution.Graph, cfg attribution.PruneConfig) error {
	kept, err := g.Select(cfg)
	if err != nil {
		return err
	}
	out := prunedGraph{Node: cfg.Node, Edge: cfg.Edge, TotalNodes: len(g.Nodes), Nodes: []prunedNode{}, Edges: []prunedEdge{}, Score: small.Score()}
	for i, ok := range kept.NodeMask {
		if ok {
			n := g.Nodes[i]
			n.Cumulative = kept.Cumulative[i]
			out.Nodes = append(out.Nodes, prunedNode{i, n, kept.NodeInfluence[i]})
		}
	}
	for i, e := range kept.Edges {
		out.Edges = append(out.Edges, prunedEdge{e[0], e[1], g.Weight(e[0], e[1]), kept.EdgeScore[i]})
	}
	return c.json(out)
}

// keptTable counts what is left by kind.
func keptTable(g, small *attribution.Graph) string {
	var rows [][]string
	for k := attribution.Feature; k <= attribution.Logit; k++ {
		rows = append(rows, []string{k.String(), fmt.Sprint(small.Count(k)), fmt.Sprint(g.Count(k))})
	}
	return table("", []string{"nodes", "kept", "of"}, rows)
}

func scoreVerb(f *flag.FlagSet) func(c *call) error {
	asJSON := f.Bool("json", false, "the scores as JSON")
	return func(c *call) error {
		g, err := c.oneGraph()
		if err != nil {
			return err
		}
		if err := g.Validate(); err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(c.args[0]), err)
		}
		s := g.Score()
		if *asJSON {
			return c.json(s)
		}
		c.printf("%s", table("", []string{"", ""}, [][]string{
			{"replacement", number(s.Replacement)},
			{"completeness", number(s.Completeness)},
			{"completeness as circuit-tracer counts", number(s.CompletenessCT)},
			{"mean path length", number(s.PathLength)},
			{"row identity, largest error", rowIdentity(g, s)},
		}))
		return nil
	}
}
