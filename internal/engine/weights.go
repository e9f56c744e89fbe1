package engine

import (
	"context"
	"fmt"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/clt/replacement"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// Weights lists a feature's virtual weights: from and to other features, token
// embeddings and logits; with texts, also weighed by how features are active
// together.
func (s *Service) Weights(ctx context.Context, req wire.WeightsRequest, report func(wire.Progress)) (out wire.WeightsResponse, err error) {
	if req.Top < 0 {
		return out, fmt.Errorf("engine: weights: the top %d; give 0 or more", req.Top)
	}
	if req.Tokens, err = tokensOr("weights", req.Tokens, evalTokens); err != nil {
		return out, err
	}
	r, _, err := s.join(req.Setup)
	if err != nil {
		return out, err
	}
	f := clt.Feature{Layer: req.Layer, Index: req.Index}
	logits, err := r.LogitWeights(f) // first, for it knows whether there is such a feature
	if err != nil {
		return out, err
	}
	tokens, err := r.TokenWeights(f)
	if err != nil {
		return out, err
	}
	stats, seen, err := s.coactivation(ctx, r, req, f, report)
	if err != nil {
		return out, err
	}
	inputs, err := r.VirtualInputs(f, stats)
	if err != nil {
		return out, err
	}
	outputs, err := r.VirtualOutputs(f, stats)
	if err != nil {
		return out, err
	}
	out = wire.WeightsResponse{Layer: f.Layer, Index: f.Index, Tokens: tokenWeights(r, tokens, req.Top), Logits: tokenWeights(r, logits, req.Top)}
	size := func(w replacement.GlobalWeight) float64 { return w.Virtual }
	if stats != nil {
		out.Seen, out.Store = seen, req.Store != ""
		size = func(w replacement.GlobalWeight) float64 { return w.TWERA }
	}
	out.Inputs = virtualWeights(inputs, req.Top, size, func(w replacement.GlobalWeight) clt.Feature { return w.Source })
	out.Outputs = virtualWeights(outputs, req.Top, size, func(w replacement.GlobalWeight) clt.Feature { return w.Target })
	return out, nil
}

// coactivation asks the store or runs texts, if there are any; it says on how many
// tokens it rests.
func (s *Service) coactivation(ctx context.Context, r *replacement.Model, req wire.WeightsRequest, f clt.Feature, report func(wire.Progress)) (replacement.Coactive, int, error) {
	texts := req.World || len(req.Texts) > 0
	switch {
	case req.Store != "" && texts:
		return nil, 0, fmt.Errorf("engine: weights: a store and texts are both given; give one")
	case req.Store != "":
		dir := req.Store
		if dir == OwnStore {
			dir = ""
		}
		store, _, err := s.openStore(ctx, req.Setup, dir, report)
		if err != nil {
			return nil, 0, err
		}
		c, err := store.Companions(f)
		return c, store.Manifest.Summary.Tokens, err
	case !texts:
		return nil, 0, nil
	}
	text, err := openText(ctx, r.LM, req.World, req.Texts, 1, report)
	if err != nil {
		return nil, 0, err
	}
	if r, err = s.running(ctx, req.Setup, report); err != nil {
		return nil, 0, err
	}
	c, err := clt.Coactivate(ctx, r.LM, r.CLT, text.held, req.Tokens, []clt.Feature{f}, func(done int) {
		tell(report, wire.Progress{Phase: "coactivation", Done: done, Total: req.Tokens})
	})
	if err != nil {
		return nil, 0, err
	}
	return c, c.Tokens(), nil
}

// OwnStore names the store that belongs to a transcoder by itself.
const OwnStore = "own"

func virtualWeights(list []replacement.GlobalWeight, top int, size func(replacement.GlobalWeight) float64, other func(replacement.GlobalWeight) clt.Feature) []wire.VirtualWeight {
	if top == 0 {
		top = len(list)
	}
	out := []wire.VirtualWeight{}
	for _, w := range replacement.Strongest(list, top, size) {
		out = append(out, wire.VirtualWeight{Layer: other(w).Layer, Index: other(w).Index, Virtual: w.Virtual, ERA: w.ERA, TWERA: w.TWERA})
	}
	return out
}

func tokenWeights(r *replacement.Model, weights []float64, top int) []wire.TokenWeight {
	if top == 0 {
		top = len(weights)
	}
	out := []wire.TokenWeight{}
	for _, i := range strongest(weights, top) {
		out = append(out, wire.TokenWeight{ID: int32(i), Token: r.LM.TokenText(int32(i)), Weight: weights[i]})
	}
	return out
}
