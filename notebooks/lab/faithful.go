package lab

import (
	"fmt"

	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
	"github.com/etredal/cross-layer-transcoder/viz"
)

// Faithfulness asks over many prompts whether graphs tell the truth about the model:
// does influence predict what happens when a feature is taken out, and does the local
// replacement model answer a push as the model does? Without prompts it takes twenty
// of the pocket world.
func (s *Session) Faithfulness(prompts ...string) *Faithfulness {
	req := wire.FaithfulnessRequest{Setup: s.on()}
	for _, p := range prompts {
		req.Prompts = append(req.Prompts, wire.Prompt{Text: p})
	}
	f := &Faithfulness{}
	s.do("faithfulness", req, &f.FaithfulnessResponse, nil)
	return f
}

// Faithfulness is a verdict on the graphs of a transcoder.
type Faithfulness struct{ wire.FaithfulnessResponse }

// Output is three tables: what predicts the effect of an ablation, where constrained
// patching should end, and how the local replacement model answers with depth.
func (f *Faithfulness) Output() viz.Output {
	num := func(v float64) string { return fmt.Sprintf("%.3f", v) }
	var rows [][]string
	for _, p := range append(f.Predictors[:len(f.Predictors):len(f.Predictors)], f.Feature) {
		log := num(p.LogPearson)
		if p.Name == f.Feature.Name {
			log = ""
		}
		rows = append(rows, []string{p.Name, num(p.Spearman), log, fmt.Sprint(p.Pairs)})
	}
	predictors := viz.Table(fmt.Sprintf("What predicts the effect of taking a feature out: means over %d prompts", len(f.Prompts)),
		[]string{"predictor", "Spearman", "log-log Pearson", "pairs"}, rows)
	rows = nil
	for _, r := range f.Ranges {
		rows = append(rows, []string{fmt.Sprint(r.Beyond), fmt.Sprint(r.Features), fmt.Sprintf("%.2g", r.KL), num(r.Logit), fmt.Sprintf("%.0f %%", 100*r.Strongest), num(r.Spearman)})
	}
	ranges := viz.Table("Constrained patching that ends so many layers behind the feature's own",
		[]string{"layers", "features", "mean KL", "mean |logit change|", "strongest here", "Spearman with influence"}, rows)
	rows = nil
	for _, d := range f.Depths {
		if d.N > 0 {
			rows = append(rows, []string{d.Kind, fmt.Sprint(d.Depth), num(d.Cosine), fmt.Sprintf("%.2g", d.NMSE), num(d.StreamCos), fmt.Sprintf("%.2g", d.StreamNMSE)})
		}
	}
	depths := viz.Table("The local replacement model's answer to a push against the model's own (medians)",
		[]string{"push", "layers on", "cosine of MLP outputs", "NMSE", "cosine of streams", "NMSE of streams"}, rows)
	return withWarnings("faithfulness", f.Warnings, predictors, ranges, depths)
}
