package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/etredal/cross-layer-transcoder/clt/replacement"
	"github.com/etredal/cross-layer-transcoder/internal/atomicfile"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// faithfulPrompts is how many prompts a faithfulness run has unless told otherwise.
const faithfulPrompts = 20

// Faithfulness asks over many prompts whether what graphs hold for important matters
// to the model: influence against the effect of ablations, the local replacement
// model's answer to a push against the model's own, and where constrained patching
// should end. With Out a run that was stopped goes on.
func (s *Service) Faithfulness(ctx context.Context, req wire.FaithfulnessRequest, report func(wire.Progress)) (out wire.FaithfulnessResponse, err error) {
	_, info, err := s.join(req.Setup)
	if err != nil {
		return out, err
	}
	r, err := s.running(ctx, req.Setup, report)
	if err != nil {
		return out, err
	}
	cfg := faithfulConfig(req)
	if err := cfg.Validate(); err != nil {
		return out, err
	}
	prompts, err := faithfulnessPrompts(ctx, r, req, report)
	if err != nil {
		return out, err
	}
	out = wire.FaithfulnessResponse{Model: r.LM.Name, CLT: r.ID.Name, CLTSHA256: r.ID.SHA256, Settings: wire.FaithfulSettings{Features: cfg.Features,
		Draws: cfg.Draws, Size: cfg.Size, Seed: cfg.Seed, Backend: info.Name, DType: cmpOr(req.DType, "f32")}}
	had, err := resumedPrompts(req, out)
	if err != nil {
		return out, err
	}
	for i, ids := range prompts {
		p, ok := had[fmt.Sprint(ids)]
		if !ok {
			if p, err = s.faithfulPrompt(ctx, r, ids, cfg, &out.Warned, func(done, total int) {
				tell(report, wire.Progress{Phase: "faithfulness", Done: i*100 + 100*done/total, Total: 100 * len(prompts)})
			}); err != nil {
				return out, err
			}
		}
		out.Prompts = append(out.Prompts, p)
		out.Complete = len(out.Prompts) == len(prompts)
		summarise(&out, r.CLT.Layers)
		if req.Out != "" && !ok {
			if err := saveFaithfulness(req.Out, out); err != nil {
				return out, err
			}
		}
		tell(report, wire.Progress{Phase: "faithfulness", Done: 100 * (i + 1), Total: 100 * len(prompts)})
	}
	if req.Out != "" { // also where everything was there
		err = saveFaithfulness(req.Out, out)
	}
	return out, err
}

func cmpOr(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

func faithfulConfig(req wire.FaithfulnessRequest) replacement.FaithfulnessConfig {
	cfg := replacement.DefaultFaithfulnessConfig()
	if req.Features != 0 {
		cfg.Features = max(0, req.Features)
	}
	if req.Draws != 0 {
		cfg.Draws = req.Draws
	}
	if req.Size != 0 {
		cfg.Size = req.Size
	}
	if req.Seed != 0 {
		cfg.Seed = req.Seed
	}
	return cfg
}

func faithfulnessPrompts(ctx context.Context, r *replacement.Model, req wire.FaithfulnessRequest, report func(wire.Progress)) (prompts [][]int32, err error) {
	if req.N < 0 {
		return nil, fmt.Errorf("engine: faithfulness: %d prompts; give 1 or more", req.N)
	}
	if req.N == 0 {
		req.N = faithfulPrompts
	}
	for i, p := range req.Prompts {
		ids, err := encode(r.LM, p)
		if err != nil {
			return nil, fmt.Errorf("engine: faithfulness: prompt %d: %w", i+1, err)
		}
		prompts = append(prompts, ids)
	}
	switch {
	case len(prompts) > 0 && len(req.Texts) > 0:
		return nil, fmt.Errorf("engine: faithfulness: prompts and texts are both given; give one")
	case len(prompts) > 0:
		return prompts, nil
	case len(req.Texts) == 0:
		return graphPrompts(r.LM, nil, wire.EvalRequest{World: true, Graphs: req.N})
	}
	windows, err := openText(ctx, r.LM, false, req.Texts, 1, report)
	if err != nil {
		return nil, err
	}
	return graphPrompts(r.LM, windows.held, wire.EvalRequest{Graphs: req.N})
}

func (s *Service) faithfulPrompt(ctx context.Context, r *replacement.Model, ids []int32, cfg replacement.FaithfulnessConfig, warned *wire.Warned, report func(done, total int)) (p wire.FaithfulPrompt, err error) {
	local, err := r.Localize(ids)
	if err != nil {
		return p, err
	}
	if len(warned.Warnings) == 0 {
		*warned = s.warnings(local)
	}
	f, err := local.Faithful(ctx, cfg, report)
	if err != nil {
		return p, err
	}
	p = wire.FaithfulPrompt{TokensResponse: tokensOf(r.LM, ids), Pairs: f.Pairs, Spearman: f.Spearman, Agree: []wire.PushAnswer{}}
	for _, a := range f.Ablations {
		p.Ablations = append(p.Ablations, wire.Ablation(a))
	}
	for _, a := range f.Agree {
		p.Agree = append(p.Agree, wire.PushAnswer(a))
	}
	return p, nil
}

// resumedPrompts reads the prompts that an earlier run has done, by their ids.
func resumedPrompts(req wire.FaithfulnessRequest, want wire.FaithfulnessResponse) (map[string]wire.FaithfulPrompt, error) {
	had := map[string]wire.FaithfulPrompt{}
	if !req.Resume {
		return had, nil
	}
	if req.Out == "" {
		return nil, fmt.Errorf("engine: faithfulness: nothing to resume; name the file of the run before")
	}
	data, err := os.ReadFile(req.Out)
	if errors.Is(err, fs.ErrNotExist) {
		return had, nil
	}
	if err != nil {
		return nil, fmt.Errorf("engine: faithfulness: %w", err)
	}
	var before wire.FaithfulnessResponse
	if err := json.Unmarshal(data, &before); err != nil {
		return nil, fmt.Errorf("engine: faithfulness: %s: %w; give another file, or do not resume", filepath.Base(req.Out), err)
	}
	if before.Model != want.Model || before.CLTSHA256 != want.CLTSHA256 || before.Settings != want.Settings {
		return nil, fmt.Errorf("engine: faithfulness: %s is of another model, transcoder or setting; give another file, or do not resume", filepath.Base(req.Out))
	}
	for _, p := range before.Prompts {
		had[fmt.Sprint(p.IDs)] = p
	}
	return had, nil
}

func saveFaithfulness(path string, out wire.FaithfulnessResponse) error {
	data, err := json.Marshal(out)
	if err != nil {
		return fmt.Errorf("engine: faithfulness: %w", err)
	}
	return atomicfile.Write(path, append(data, '\n'))
}

// summarise fills in what is over all prompts so far.
func summarise(out *wire.FaithfulnessResponse, layers int) {
	out.Predictors, out.Ranges, out.Depths = nil, nil, nil
	for _, by := range []struct {
		name  string
		value func(wire.Ablation) float64
	}{{"influence", func(a wire.Ablation) float64 { return a.Influence }}, {"direct edge", func(a wire.Ablation) float64 { return a.Direct }},
		{"activation", func(a wire.Ablation) float64 { return a.Activation }}} {
		p := wire.Predictor{Name: by.name}
		for _, prompt := range out.Prompts {
			var x, y []float64
			for _, a := range prompt.Ablations {
				x, y = append(x, by.value(a)), append(y, aboveNoise(slices.Max(a.KL)))
			}
			rank, log := replacement.Correlations(x, y)
			p.Spearman, p.LogPearson = p.Spearman+rank, p.LogPearson+log
			p.Pairs, p.Prompts = p.Pairs+len(x), p.Prompts+1
		}
		out.Predictors = append(out.Predictors, overPrompts(p))
	}
	out.Feature = wire.Predictor{Name: "influence on a feature"}
	for _, prompt := range out.Prompts {
		if prompt.Pairs > 2 {
			out.Feature.Spearman += prompt.Spearman
			out.Feature.Pairs, out.Feature.Prompts = out.Feature.Pairs+prompt.Pairs, out.Feature.Prompts+1
		}
	}
	out.Feature = overPrompts(out.Feature)
	for beyond := range layers {
		out.Ranges = append(out.Ranges, rangeEffect(out.Prompts, beyond))
	}
	for _, kind := range []string{replacement.PushEncoder, replacement.PushFeature, replacement.PushRandom} {
		for depth := 1; depth < layers; depth++ {
			out.Depths = append(out.Depths, depthAgreement(out.Prompts, kind, depth))
		}
	}
}

// aboveNoise is a divergence, or 0 where float32 logits cannot tell it from none.
func aboveNoise(kl float64) float64 {
	if kl < 1e-9 {
		return 0
	}
	return kl
}

func overPrompts(p wire.Predictor) wire.Predictor {
	n := float64(max(1, p.Prompts))
	p.Spearman, p.LogPearson = p.Spearman/n, p.LogPearson/n
	return p
}

func rangeEffect(prompts []wire.FaithfulPrompt, beyond int) wire.RangeEffect {
	r := wire.RangeEffect{Beyond: beyond}
	var influence, kl []float64
	for _, p := range prompts {
		for _, a := range p.Ablations {
			if beyond >= len(a.KL) {
				continue
			}
			r.Features++
			r.KL, r.Logit = r.KL+a.KL[beyond], r.Logit+max(a.Logit[beyond], -a.Logit[beyond])
			influence, kl = append(influence, a.Influence), append(kl, aboveNoise(a.KL[beyond]))
			if a.KL[beyond] == slices.Max(a.KL) {
				r.Strongest++
			}
		}
	}
	if n := float64(r.Features); n > 0 {
		r.KL, r.Logit, r.Strongest = r.KL/n, r.Logit/n, r.Strongest/n
	}
	r.Spearman, _ = replacement.Correlations(influence, kl)
	return r
}

func depthAgreement(prompts []wire.FaithfulPrompt, kind string, depth int) wire.DepthAgreement {
	var columns [4][]float64
	for _, p := range prompts {
		for _, a := range p.Agree {
			if a.Kind == kind && a.Depth == depth {
				for i, v := range []float64{a.Cosine, a.NMSE, a.StreamCos, a.StreamNMSE} {
					columns[i] = append(columns[i], v)
				}
			}
		}
	}
	return wire.DepthAgreement{Kind: kind, Depth: depth, N: len(columns[0]), Cosine: median(columns[0]), NMSE: median(columns[1]),
		StreamCos: median(columns[2]), StreamNMSE: median(columns[3])}
}

// median is the middle value, 0 of none: an error that is unbounded has no useful
// mean.
func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}
