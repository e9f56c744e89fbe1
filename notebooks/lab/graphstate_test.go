package lab

import (
	"testing"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
)

// TestGraphState: what "Copy as Go" writes.
func TestGraphState(t *testing.T) {
	feature := attribution.ID{Kind: attribution.Feature, Layer: 1, Pos: 1, Index: 7}
	token := attribution.ID{Kind: attribution.Token, Pos: 1, Index: 4}
	g := &Graph{Graph: &attribution.Graph{Nodes: []attribution.Node{{ID: feature}, {ID: token}}}}
	o := g.Pin("f1/7@1").Named("f1/7@1", "old").Named("f1/7@1", "Texas").Group("both", "f1/7@1", "t4@1").view()
	if len(o.Pinned) != 1 || o.Pinned[0] != feature || o.Labels[feature] != "Texas" || len(o.Groups) != 1 || o.Groups[0].Label != "both" || len(o.Groups[0].Nodes) != 2 {
		t.Errorf("%+v", o)
	}
	if before := g.view(); len(before.Pinned)+len(before.Labels)+len(before.Groups) != 0 {
		t.Errorf("the graph itself changed: %+v", before)
	}
}
