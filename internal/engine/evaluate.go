package engine

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/clt/replacement"
	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/gpt2/pocket"
	"github.com/etredal/cross-layer-transcoder/gpt2/pocket/world"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// evalTokens is how many held-out tokens an evaluation uses unless told otherwise; a
// variable for tests.
var evalTokens = 20000

// Eval evaluates a transcoder on text that it was not trained on: reconstruction,
// sparsity, the full replacement model with baselines, and graphs if asked.
func (s *Service) Eval(ctx context.Context, req wire.EvalRequest, report func(wire.Progress)) (out wire.Evaluation, err error) {
	if req.Graphs < 0 {
		return out, fmt.Errorf("engine: eval: %d graphs; give 0 or more", req.Graphs)
	}
	if req.Tokens, err = tokensOr("eval", req.Tokens, evalTokens); err != nil {
		return out, err
	}
	r, err := s.running(ctx, req.Setup, report)
	if err != nil {
		return out, err
	}
	key, fixed := evalKey{r, req.Tokens}, req.World && len(req.Texts) == 0
	if e, ok := s.evaluated(key); ok && fixed && req.Graphs == 0 && req.Card == "" {
		return e, nil
	}
	windows, err := openText(ctx, r.LM, req.World, req.Texts, 1, report)
	if err != nil {
		return out, err
	}
	e, err := evaluateJoined(ctx, r, windows.held, req.Tokens, true, report)
	if err != nil {
		return out, err
	}
	if fixed {
		s.keepEvaluation(key, *e)
	}
	if req.Graphs > 0 {
		err = scoreGraphs(ctx, r, windows.held, req, e, report)
	}
	if err == nil && req.Card != "" {
		err = writeFile(req.Card, []byte(card(r.ID.Name, r.CLT, *e)))
	}
	return *e, err
}

// tokensOr is how many tokens of text a verb measures on: the usual number for 0.
func tokensOr(verb string, tokens, usual int) (int, error) {
	if tokens < 0 {
		return 0, fmt.Errorf("engine: %s: %d tokens; give 0 or more", verb, tokens)
	}
	return cmp.Or(tokens, usual), nil
}

// evalKey is what an evaluation on the pocket world depends on: a joined model stands
// for the bytes of model and transcoder, on one backend.
type evalKey struct {
	model  *replacement.Model
	tokens int
}

func (s *Service) evaluated(key evalKey) (wire.Evaluation, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.evals[key]
	return e, ok
}

func (s *Service) keepEvaluation(key evalKey, e wire.Evaluation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.evals[key] = e
}

// evaluate joins a fresh transcoder with its model and evaluates it.
func evaluate(ctx context.Context, m *gpt2.Model, t *clt.Transcoder, held gpt2.TokenSource, tokens int, report func(wire.Progress)) (*wire.Evaluation, error) {
	r, err := replacement.New(m, t, attribution.Artifact{Name: "trained"})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return evaluateJoined(ctx, r, held, tokens, false, report)
}

func evaluateJoined(ctx context.Context, r *replacement.Model, held gpt2.TokenSource, tokens int, byLayer bool, report func(wire.Progress)) (*wire.Evaluation, error) {
	acts, steps, err := clt.Collect(ctx, r.LM, r.CLT.Read, held, 0, tokens, func(done int) {
		tell(report, wire.Progress{Phase: "collect", Done: min(done, tokens), Total: tokens})
	})
	if err != nil {
		return nil, err
	}
	m, err := clt.EvalActivations(ctx, r.LM.Backend, r.CLT, acts.InOrder(2048))
	if err != nil {
		return nil, err
	}
	stats, err := clt.Measure(r.CLT.Config, []clt.Batch{acts.Batch})
	if err != nil {
		return nil, err
	}
	base := replacement.Baselines{MeanOut: stats.MeanOut}
	if byLayer {
		if base.Neurons, err = r.NeuronThresholds(ctx, held, 0, steps, m.L0Layer, func(done, total int) {
			tell(report, wire.Progress{Phase: "neurons", Done: done, Total: total})
		}); err != nil {
			return nil, err
		}
	}
	c, err := r.Compare(ctx, held, 0, steps, base, byLayer, func(done, total int) {
		tell(report, wire.Progress{Phase: "compare", Done: done, Total: total})
	})
	if err != nil {
		return nil, err
	}
	r.CLT.Info.Metrics = &m
	return &wire.Evaluation{NMSE: m.NMSE, NMSELayer: m.NMSELayer, NMSEDim: m.NMSEDim, L0: m.L0 / float64(r.CLT.Layers), L0Layer: m.L0Layer,
		Dead: m.Dead, DeadLayer: m.DeadLayer, CE: c.CE, CEReplaced: c.CEReplaced, CEZero: c.CEZero, CEMean: c.CEMean,
		KL: c.KL, Top1: c.Top1, Tokens: m.Tokens, NMSEDimLayer: m.NMSEDimL, Density: densities(m), DensityAt: clt.DensityQuantiles,
		MeanActive: m.MeanActive, LossRecovered: recovered(c.CEZero, c.CEReplaced, c.CE), OverMean: recovered(c.CEMean, c.CEReplaced, c.CE),
		KLLayer: c.KLLayer, Cosine: c.Cosine, MSE: c.MSE, CENeurons: c.CENeurons, NeuronThresholds: base.Neurons}, nil
}

func densities(m clt.Metrics) (list [][]float64) {
	for l := range m.Frequency {
		list = append(list, m.DensityAt(l))
	}
	return list
}

// recovered is the part of the loss of a baseline that the replacement takes away;
// 1 where the baseline loses nothing.
func recovered(baseline, replaced, original float64) float64 {
	if baseline == original {
		return 1
	}
	return (baseline - replaced) / (baseline - original)
}

// scoreGraphs means the scores of graphs: of the world's demonstration prompts,
// or of the beginnings of held-out windows.
func scoreGraphs(ctx context.Context, r *replacement.Model, held gpt2.TokenSource, req wire.EvalRequest, e *wire.Evaluation, report func(wire.Progress)) error {
	prompts, err := graphPrompts(r.LM, held, req)
	if err != nil {
		return err
	}
	var replacementScore, completeness float64
	for i, ids := range prompts {
		local, err := r.Localize(ids)
		if err != nil {
			return err
		}
		g, err := local.Attribute(ctx, replacement.DefaultAttributeConfig(), nil)
		if err != nil {
			return err
		}
		sc := g.Score()
		e.GraphScores = append(e.GraphScores, wire.GraphScore{Prompt: strings.Join(r.LM.TokenTexts(ids), ""), Replacement: sc.Replacement,
			Completeness: sc.Completeness, Active: g.Count(attribution.Feature)})
		replacementScore += sc.Replacement / float64(len(prompts))
		completeness += sc.Completeness / float64(len(prompts))
		tell(report, wire.Progress{Phase: "graphs", Done: i + 1, Total: len(prompts)})
	}
	e.Replacement, e.Completeness, e.Graphs = &replacementScore, &completeness, len(prompts)
	return nil
}

func graphPrompts(m *gpt2.Model, held gpt2.TokenSource, req wire.EvalRequest) ([][]int32, error) {
	var prompts [][]int32
	if req.World {
		for _, p := range world.New(pocket.WorldSeed).Prompts() {
			ids, err := m.Encode(p.Text, true)
			if err != nil {
				return nil, err
			}
			if prompts = append(prompts, ids); len(prompts) == req.Graphs {
				return prompts, nil
			}
		}
		return prompts, nil
	}
	for step := 0; len(prompts) < req.Graphs; step++ {
		batch, err := held(step)
		if err != nil {
			return nil, err
		}
		for _, w := range batch {
			if prompts = append(prompts, w[:min(len(w), 16)]); len(prompts) == req.Graphs {
				break
			}
		}
	}
	return prompts, nil
}

// Accuracy asks a model every question of the pocket world.
func (s *Service) Accuracy(ctx context.Context, req wire.AccuracyRequest, report func(wire.Progress)) (out wire.AccuracyResponse, err error) {
	m, _, err := s.model(req.Setup)
	if err != nil {
		return out, err
	}
	out.Accuracy, err = accuracies(m, world.New(pocket.WorldSeed))
	return out, err
}

func accuracies(m *gpt2.Model, w *world.World) ([]wire.Accuracy, error) {
	list, err := pocket.Evaluate(m, w)
	if err != nil {
		return nil, err
	}
	var out []wire.Accuracy
	for _, a := range list {
		out = append(out, wire.Accuracy(a))
	}
	return out, nil
}

// Prompts lists the demonstration prompts of the pocket world.
func (s *Service) Prompts(ctx context.Context, req wire.Empty, report func(wire.Progress)) (out wire.PromptsResponse, err error) {
	for _, p := range world.New(pocket.WorldSeed).Prompts() {
		out.Prompts = append(out.Prompts, wire.DemoPrompt(p))
	}
	return out, nil
}
