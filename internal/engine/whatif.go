package engine

import (
	"context"
	"math"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/clt/replacement"
	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// WhatIf predicts from the graph what edits will do, and then makes them: in the
// local replacement model, where the prediction is exact until a feature crosses
// its threshold, and in the model itself, with nothing frozen.
func (s *Service) WhatIf(ctx context.Context, req wire.WhatIfRequest, report func(wire.Progress)) (out wire.WhatIfResponse, err error) {
	local, err := s.runningLocal(ctx, req.Setup, req.Prompt, report)
	if err != nil {
		return out, err
	}
	edits, other, err := s.edits(local, req.Edits, req.Other)
	if err != nil {
		return out, err
	}
	targets, err := trackTargets(local, other, req.Track, 5)
	if err != nil {
		return out, err
	}
	g, p, err := predicted(ctx, local, targets, edits)
	if err != nil {
		return out, err
	}
	frozen, err := local.Intervene(ctx, replacement.InterveneConfig{Mode: replacement.Iterative, To: local.CLT.Layers, FreezeAttention: true, FreezeLN: true}, edits...)
	if err != nil {
		return out, err
	}
	live, err := local.Intervene(ctx, replacement.InterveneConfig{Mode: replacement.Live}, edits...)
	if err != nil {
		return out, err
	}
	off, on := frozen.Switched()
	out = wire.WhatIfResponse{TokensResponse: tokensOf(local.LM, local.Tokens), Warned: s.warnings(local), Edits: editTexts(edits), Crossing: nodeNames(p.Crossing),
		Off: len(off), On: len(on), Local: agreement(local, g, p, frozen, edits), Model: agreement(local, g, p, live, edits)}
	out.Warnings = append(out.Warnings, crossingWarnings(p.Crossing, out.Off, out.On)...)
	for i, at := range targetNodes(g, targets) {
		t := targets[i]
		id, before := t.Tokens[0].ID, logitRow(local.Logits, t.Pos)
		a, b := logitRow(frozen.Logits, t.Pos), logitRow(live.Logits, t.Pos)
		out.Targets = append(out.Targets, wire.WhatIf{ID: id, Token: t.Label, Predicted: p.Value[at], Local: centredChange(before, a, id), Model: centredChange(before, b, id),
			ProbBefore: math.Exp(gpt2.LogProbs(before)[id]), ProbAfter: math.Exp(gpt2.LogProbs(b)[id])})
	}
	return out, nil
}

// agreement compares the predicted change of every unedited feature's
// pre-activation with the measured one. Features that should move a millionth of
// the most that any does are noise.
func agreement(local *replacement.Local, g *attribution.Graph, p *replacement.Prediction, e *replacement.Effect, edits []replacement.Edit) wire.Agreement {
	clean := local.Preactivations()
	largest := 0.0
	for i, n := range g.Nodes {
		if n.Kind == attribution.Feature {
			largest = max(largest, math.Abs(p.Value[i]))
		}
	}
	var a wire.Agreement
	var product, predicted, measured, missed float64
	same := 0
	for i, n := range g.Nodes {
		if n.Kind != attribution.Feature || math.Abs(p.Value[i]) <= 1e-6*largest || isEdited(n.ID, edits) {
			continue
		}
		at := n.Pos*local.CLT.Features + n.Index
		x, y := p.Value[i], e.Pre[n.Layer].At(at)-clean[n.Layer].At(at)
		product, predicted, measured, missed = product+x*y, predicted+x*x, measured+y*y, missed+(x-y)*(x-y)
		a.Features++
		if x*y > 0 {
			same++
		}
	}
	if a.Features > 0 {
		a.Sign = float64(same) / float64(a.Features)
	}
	if predicted > 0 && measured > 0 {
		a.Cosine, a.NMSE = product/math.Sqrt(predicted*measured), missed/measured
	}
	return a
}

func isEdited(id attribution.ID, edits []replacement.Edit) bool {
	for _, e := range edits {
		if e.Add == nil && e.Layer == id.Layer && e.Index == id.Index && (e.Pos == id.Pos || e.Open && e.Pos < id.Pos) {
			return true
		}
	}
	return false
}
