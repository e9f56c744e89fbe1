package engine

import (
	"context"
	"fmt"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/clt/replacement"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// predictTotal adds to an intervention what the graph says over all paths through
// features, and warns where it stops being exact. A graph that is too large to make
// costs the prediction, not the result.
func predictTotal(ctx context.Context, local *replacement.Local, targets []replacement.Target, edits []replacement.Edit, out *wire.InterveneResponse) error {
	g, p, err := predicted(ctx, local, targets, edits)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		out.Warnings = append(out.Warnings, "no prediction from the graph: "+err.Error())
		return nil
	}
	for i, at := range targetNodes(g, targets) {
		v := p.Value[at]
		out.Tracked[i].PredictedTotal = &v
	}
	out.Crossing = nodeNames(p.Crossing)
	out.Warnings = append(out.Warnings, crossingWarnings(p.Crossing, out.Off, out.On)...)
	return nil
}

// predicted makes the graph of the targets and predicts from it.
func predicted(ctx context.Context, local *replacement.Local, targets []replacement.Target, edits []replacement.Edit) (*attribution.Graph, *replacement.Prediction, error) {
	cfg := replacement.DefaultAttributeConfig()
	cfg.Targets = targets
	g, err := local.Attribute(ctx, cfg, nil)
	if err != nil {
		return nil, nil, err
	}
	p, err := local.Predict(ctx, g, edits, targets...)
	return g, p, err
}

// targetNodes are the nodes of single-token targets.
func targetNodes(g *attribution.Graph, targets []replacement.Target) []int {
	list := make([]int, len(targets))
	for i, t := range targets {
		for n := range g.Nodes {
			if id := g.Nodes[n].ID; id.Kind == attribution.Logit && id.Pos == t.Pos && id.Index == int(t.Tokens[0].ID) {
				list[i] = n
			}
		}
	}
	return list
}

func nodeNames(ids []attribution.ID) []string {
	list := make([]string, len(ids))
	for i, id := range ids {
		list[i] = id.String()
	}
	return list
}

// crossingWarnings say where a prediction stops being exact.
func crossingWarnings(crossing []attribution.ID, off, on int) []string {
	var list []string
	if n := len(crossing); n > 0 {
		list = append(list, fmt.Sprintf("the edits send %d features to their threshold, %v the first; the graph's prediction is exact only up to there", n, crossing[0]))
	}
	if off+on > 0 {
		list = append(list, fmt.Sprintf("the edits switched %d features off and %d on, which the graph's prediction does not know", off, on))
	}
	return list
}
