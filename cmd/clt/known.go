package main

import (
	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
	"github.com/etredal/cross-layer-transcoder/viz"
)

// cardExamples is how many examples the card of a feature in a graph has.
const cardExamples = 4

// knownFeatures looks the features of a graph up in a store; nil without one.
func (c *call) knownFeatures(store string, g *attribution.Graph) (func(layer, index int) (viz.Feature, bool), error) {
	if store == "" {
		return nil, nil
	}
	place := map[wire.FeatureID]int{}
	req := wire.FeatureRequest{Store: store, Brief: cardExamples}
	for _, n := range g.Nodes {
		id := wire.FeatureID{Layer: n.Layer, Index: n.Index}
		if _, ok := place[id]; n.Kind == attribution.Feature && !ok {
			place[id] = len(req.Features)
			req.Features = append(req.Features, id)
		}
	}
	res, err := c.service().Feature(c.ctx, req, c.progress())
	if err != nil {
		return nil, err
	}
	list := make([]viz.Feature, len(res.Features))
	for i, data := range res.Features {
		if list[i], err = viz.ParseFeature(data); err != nil {
			return nil, err
		}
	}
	return func(layer, index int) (viz.Feature, bool) {
		i, ok := place[wire.FeatureID{Layer: layer, Index: index}]
		if !ok {
			return viz.Feature{}, false
		}
		return list[i], true
	}, nil
}
