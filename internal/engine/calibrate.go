package engine

import (
	"context"
	"fmt"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// calibrationTokens is how many tokens thresholds are measured on unless told otherwise;
// a variable for tests.
var calibrationTokens = 20000

// Calibrate turns a transcoder into a jumprelu with one threshold (or one factor)
// a layer, so that each layer has the wanted number of active features.
func (s *Service) Calibrate(ctx context.Context, req wire.CalibrateRequest, report func(wire.Progress)) (out wire.CalibrateResponse, err error) {
	if req.Out == "" {
		return out, fmt.Errorf("engine: calibrate: no output folder; give one")
	}
	if req.Tokens, err = tokensOr("calibrate", req.Tokens, calibrationTokens); err != nil {
		return out, err
	}
	r, _, err := s.join(req.Setup)
	if err != nil {
		return out, err
	}
	windows, err := openText(ctx, r.LM, req.World, req.Texts, 1, report)
	if err != nil {
		return out, err
	}
	l0 := req.L0
	if len(l0) == 1 {
		l0 = make([]float64, r.CLT.Layers)
		for l := range l0 {
			l0[l] = req.L0[0]
		}
	}
	t, acts, err := calibrated(ctx, r.LM, r.CLT, windows.train, req.Tokens, l0, report)
	if err != nil {
		return out, err
	}
	before, err := clt.EvalActivations(ctx, r.LM.Backend, r.CLT, acts.InOrder(2048))
	if err != nil {
		return out, err
	}
	after, err := clt.EvalActivations(ctx, r.LM.Backend, t, acts.InOrder(2048))
	if err != nil {
		return out, err
	}
	t.Info.Metrics = nil
	if t.Info.Note != "" {
		t.Info.Note += "; "
	}
	t.Info.Note += fmt.Sprintf("%s turned into jumprelu on %d tokens", r.CLT.Activation, acts.Len())
	if err := t.Save(req.Out); err != nil {
		return out, err
	}
	out = wire.CalibrateResponse{Out: req.Out, Tokens: acts.Len(), Before: before.L0Layer, After: after.L0Layer, NMSEBefore: before.NMSE, NMSEAfter: after.NMSE}
	for l := range t.Layers {
		out.Threshold = append(out.Threshold, float64(t.Threshold[l][0]))
	}
	return out, nil
}

// calibrated finds thresholds on activations of fresh windows.
func calibrated(ctx context.Context, m *gpt2.Model, t *clt.Transcoder, windows gpt2.TokenSource, tokens int, l0 []float64, report func(wire.Progress)) (*clt.Transcoder, *clt.Activations, error) {
	acts, _, err := clt.Collect(ctx, m, t.Read, windows, 0, tokens, func(done int) {
		tell(report, wire.Progress{Phase: "calibrate", Done: min(done, tokens), Total: tokens})
	})
	if err != nil {
		return nil, nil, err
	}
	r, err := clt.ToJumpReLU(ctx, m.Backend, t, acts.InOrder(2048), l0)
	return r, acts, err
}
