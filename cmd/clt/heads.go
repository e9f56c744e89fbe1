package main

import (
	"fmt"
	"strings"

	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// heads asks for the split of a graph's edges by attention head.
func (c *call) heads(req wire.AttributeRequest, top int) (wire.HeadsResponse, error) {
	return c.service().Heads(c.ctx, wire.HeadsRequest{Setup: req.Setup, Prompt: req.Prompt, Targets: req.Targets,
		MaxLogits: req.MaxLogits, LogitProb: req.LogitProb, Top: top}, c.progress())
}

// headsText is the split for people.
func headsText(list []wire.HeadTarget) string {
	var b strings.Builder
	for _, t := range list {
		var rows [][]string
		for _, e := range t.Edges {
			var parts []string
			for _, p := range e.Parts[:min(4, len(e.Parts))] {
				parts = append(parts, fmt.Sprintf("%s %s", headName(p), number(p.Weight)))
			}
			if more := len(e.Parts) - len(parts); more > 0 {
				parts = append(parts, fmt.Sprintf("%d more", more))
			}
			rows = append(rows, []string{nodeText(e.Source), number(e.Weight), strings.Join(parts, ", ")})
		}
		b.WriteString("\n" + table(fmt.Sprintf("Into %s: the strongest edges, and the last head that each part crosses", t.Label), []string{"source", "edge", "parts"}, rows))
		var heads []string
		for _, h := range t.Heads[:min(6, len(t.Heads))] {
			heads = append(heads, fmt.Sprintf("%s %s", headName(h), number(h.Abs)))
		}
		fmt.Fprintf(&b, "all edges by size: %s\n", strings.Join(heads, ", "))
	}
	return b.String()
}

func headName(h wire.HeadShare) string {
	if h.Layer < 0 {
		return "residual"
	}
	return fmt.Sprintf("L%d/H%d", h.Layer, h.Head)
}
