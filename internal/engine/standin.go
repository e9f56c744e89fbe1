package engine

import (
	"context"
	"fmt"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/clt/replacement"
	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/gpt2/pocket"
	"github.com/etredal/cross-layer-transcoder/gpt2/pocket/world"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// standInTokens is how much of the pocket world thresholds are measured on.
const standInTokens = 4000

// running is join for what replaces MLPs while the model runs. A transcoder with
// top-k over all layers cannot, because what is on in a layer depends on later ones: a
// jumprelu stands in for it, of the same weights and thresholds that give each layer
// its number of active features. It is measured on the pocket world, on a few sentences
// or, without a tokenizer, on what the model says; the log and results tell.
func (s *Service) running(ctx context.Context, set wire.Setup, report func(wire.Progress)) (*replacement.Model, error) {
	r, _, err := s.join(set)
	if err != nil || r.CLT.Activation != clt.ActGlobalTopK {
		return r, err
	}
	key := fmt.Sprintf("stand-in|%p", r)
	s.mu.Lock()
	m := s.joined[key]
	s.mu.Unlock()
	if m != nil {
		return m, nil
	}
	windows, tokens, err := ownText(ctx, r.LM)
	if err != nil {
		return nil, err
	}
	t, acts, err := calibrated(ctx, r.LM, r.CLT, windows, tokens, nil, report)
	if err != nil {
		return nil, err
	}
	if m, err = replacement.New(r.LM, t, r.ID); err != nil {
		return nil, err
	}
	text := fmt.Sprintf("%s keeps the top %d of all layers together, which cannot be told while the model runs: here it has thresholds, measured on %d tokens; clt calibrate makes a transcoder of that, with your texts",
		r.ID.Name, r.CLT.K*r.CLT.Layers, acts.Len())
	s.mu.Lock()
	defer s.mu.Unlock()
	if other := s.joined[key]; other != nil { // somebody was faster
		return other, nil
	}
	s.joined[key], s.standIns[m] = m, text
	s.log("transcoder %s", text)
	return m, nil
}

// ownText gives windows of text that suits a model, and how many tokens to take.
func ownText(ctx context.Context, m *gpt2.Model) (gpt2.TokenSource, int, error) {
	if m.Name == pocket.Name {
		return pocket.Windows(world.New(pocket.WorldSeed), m.Tokenizer, windowsPerStep, min(m.Config.Context, longestWindow), 1), standInTokens, nil
	}
	var ids []int32
	if m.Config.BOS >= 0 {
		ids = append(ids, m.Config.BOS)
	}
	if m.Tokenizer != nil {
		ids = append(ids, m.Tokenizer.Encode(fitWords)...)
	} else {
		cfg := gpt2.DefaultGenerateConfig()
		cfg.N, cfg.Sampler = min(longestWindow, m.Config.Context)-1, gpt2.Sampler{Temperature: 1}
		g, err := m.Generate(ctx, gpt2.Program{}, []int32{max(0, m.Config.BOS)}, cfg, nil)
		if err != nil {
			return nil, 0, err
		}
		ids = append(g.Prompt, g.Tokens...)
	}
	ids = ids[:min(len(ids), m.Config.Context)]
	return func(int) ([][]int32, error) { return [][]int32{ids}, nil }, 1, nil
}

// runningLocal is local on what running opens.
func (s *Service) runningLocal(ctx context.Context, set wire.Setup, p wire.Prompt, report func(wire.Progress)) (*replacement.Local, error) {
	r, err := s.running(ctx, set, report)
	if err != nil {
		return nil, err
	}
	return localize(r, p)
}
