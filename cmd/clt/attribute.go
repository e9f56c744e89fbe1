package main

import (
	"flag"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/clt/replacement"
	"github.com/etredal/cross-layer-transcoder/internal/engine"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// compatName is the only other program whose conventions graphs can follow.
const compatName = "circuit-tracer"

func attributeVerb(f *flag.FlagSet) func(c *call) error {
	d := replacement.DefaultAttributeConfig()
	set := setupFlags(f, hasCLT|hasDType)
	p := addPrompt(f)
	cut := pruneFlags(f)
	var outs list
	var targets commaList
	f.Var(&targets, "targets", "`targets`: token texts, ids, A-B, feature:L/F@P, or [X,Y,...] for any direction of what is unembedded, each with @POS for another position; or @POS for the top logits there (default: the top logits)")
	f.Var(&outs, "o", "`file`: NAME.safetensors for the whole graph, NAME.json for the pruned one in the public schema; may be repeated")
	req := wire.AttributeRequest{}
	f.IntVar(&req.MaxLogits, "max-logits", d.MaxLogits, "most top logits")
	f.Float64Var(&req.LogitProb, "logit-prob", d.LogitProb, "probability mass of the top logits")
	f.IntVar(&req.MaxFeatures, "max-features", d.MaxFeatures, "cap on features, by influence; 0 for none")
	f.IntVar(&req.Batch, "batch", d.Batch, "targets per backward sweep")
	f.IntVar(&req.Interval, "update-interval", d.Interval, "with a cap: batches between two rankings of the features")
	f.StringVar(&req.Compat, "compat", d.Compat, "`name`: "+compatName+" leaves out position and bias nodes, as that program does")
	heads := f.Bool("heads", false, "also split the strongest edges into each target by attention head: through which head?")
	headEdges := f.Int("head-edges", topDefault, "with -heads: edges of each target")
	asJSON := f.Bool("json", false, "what was made, as JSON")
	return func(c *call) error {
		if err := c.positive(f, "head-edges"); err != nil {
			return err
		}
		if err := checkAttribute(c, f, req, cut.cfg, outs); err != nil {
			return err
		}
		prompt, err := c.openPrompt(*set, true, p)
		if err != nil {
			return err
		}
		req.Setup, req.Prompt, req.Targets = *set, prompt, targets
		whole, public := splitOutputs(outs)
		if len(whole) > 0 {
			req.Out = whole[0]
		}
		info, err := c.service().Attribute(c.ctx, req, c.progress())
		if err != nil {
			return err
		}
		c.warn(info.Warnings)
		g, err := engine.LoadGraph(info.Path)
		if err != nil {
			return err
		}
		var split wire.HeadsResponse
		if *heads {
			if split, err = c.heads(req, *headEdges); err != nil {
				return err
			}
		}
		for i, path := range whole {
			if i > 0 {
				if err := engine.SaveGraph(path, g, attribution.View{}); err != nil {
					return err
				}
			}
			c.remark("wrote %s, %d nodes", path, len(g.Nodes))
		}
		for _, path := range public {
			if err := c.savePruned(path, g, cut.cfg, req.Compat != ""); err != nil {
				return err
			}
		}
		if len(outs) == 0 {
			info.Path = "" // a file that is gone in a moment
		} else {
			info.Path = outs[0]
		}
		if *asJSON {
			return c.json(struct {
				wire.GraphInfo
				Heads []wire.HeadTarget `json:"heads,omitempty"`
			}{info, split.Targets})
		}
		c.printf("%s%s", graphText(g, cut.cfg), headsText(split.Targets))
		return nil
	}
}

func checkAttribute(c *call, f *flag.FlagSet, req wire.AttributeRequest, cut attribution.PruneConfig, outs []string) error {
	if err := c.positive(f, "max-logits", "logit-prob", "batch"); err != nil {
		return err
	}
	cfg := replacement.AttributeConfig{MaxLogits: req.MaxLogits, LogitProb: req.LogitProb, MaxFeatures: req.MaxFeatures, Batch: req.Batch, Interval: req.Interval, Compat: req.Compat}
	if err := cfg.Validate(); err != nil {
		return usageError{err}
	}
	if err := cut.Validate(); err != nil {
		return usageError{err}
	}
	return checkGraphOutputs(outs)
}

// checkGraphOutputs refuses files that a graph cannot be written to.
func checkGraphOutputs(outs []string) error {
	for _, path := range outs {
		switch strings.ToLower(filepath.Ext(path)) {
		case ".json", ".safetensors":
		default:
			return badCall("-o %s: a graph is written as .safetensors or .json; give one of these endings", path)
		}
		if err := output(path); err != nil {
			return err
		}
	}
	return nil
}

// splitOutputs sorts files by what is written to them.
func splitOutputs(outs []string) (whole, public []string) {
	for _, path := range outs {
		if strings.EqualFold(filepath.Ext(path), ".json") {
			public = append(public, path)
		} else {
			whole = append(whole, path)
		}
	}
	return whole, public
}

// savePruned writes the part of the graph that people look at.
func (c *call) savePruned(path string, g *attribution.Graph, cut attribution.PruneConfig, compat bool) error {
	small, err := g.Prune(cut)
	if err != nil {
		return err
	}
	if err := engine.SaveGraph(path, small, attribution.View{Compat: compat}); err != nil {
		return err
	}
	c.remark("wrote %s, %d of %d nodes", path, len(small.Nodes), len(g.Nodes))
	return nil
}

// cutFlags are the thresholds of pruning.
type cutFlags struct{ cfg attribution.PruneConfig }

func pruneFlags(f *flag.FlagSet) *cutFlags {
	d := attribution.DefaultPruneConfig()
	cut := &cutFlags{d}
	f.Float64Var(&cut.cfg.Node, "node", d.Node, "pruning: keep the top nodes with this `share` of all influence")
	f.Float64Var(&cut.cfg.Edge, "edge", d.Edge, "pruning: then the top edges with this `share` of all edge scores")
	f.BoolVar(&cut.cfg.Fold, "fold", d.Fold, "pruning: add what is dropped to error nodes, so that rows still add up")
	return cut
}

// graphText is a graph in words: what is in it, its proof, its story. The story is of the whole graph, since pruning changes what shares are of.
func graphText(g *attribution.Graph, cut attribution.PruneConfig) string {
	s := g.Score()
	small := g
	if !g.Cut() {
		if p, err := g.Prune(cut); err == nil {
			small = p
		}
	}
	text := fmt.Sprintf("%s\n\n%s", g.Caption(), table("", []string{"", ""}, [][]string{
		{"prompt", fmt.Sprintf("%q", g.Prompt)},
		{"nodes", fmt.Sprintf("%d, %d of them features (%d active)", len(g.Nodes), g.Count(attribution.Feature), g.Settings.Active)},
		{"after pruning", fmt.Sprintf("%d nodes", len(small.Nodes))},
		{"replacement score", number(s.Replacement)},
		{"completeness", number(s.Completeness)},
		{"row identity, largest error", rowIdentity(g, s)},
	}))
	for _, w := range g.Warnings() {
		text += "note: " + w + "\n"
	}
	return text
}

// rowIdentity is the graph's proof in words.
func rowIdentity(g *attribution.Graph, s attribution.Score) string {
	e := s.RowIdentityMaxError
	if e < 0 {
		e = g.Settings.RowIdentity
	}
	switch limit := replacement.RowTolerance(g.Settings.DType == "f64"); {
	case e < 0 && g.Count(attribution.Bias) > 0:
		return "no proof: the file does not say what rows add up to"
	case e < 0:
		return "no proof: the graph has no bias node"
	case e <= limit && s.RowIdentityMaxError < 0 && g.Cut():
		return fmt.Sprintf("%.2g before edges were dropped, limit %.0g: every row added up", e, limit)
	case e <= limit:
		return fmt.Sprintf("%.2g, limit %.0g: every row adds up", e, limit)
	default:
		return fmt.Sprintf("%.2g, ABOVE the limit %.0g", e, limit)
	}
}
