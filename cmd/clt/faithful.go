package main

import (
	"flag"
	"fmt"

	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

func faithfulnessVerb(f *flag.FlagSet) func(c *call) error {
	set := setupFlags(f, hasCLT|hasDType)
	var req wire.FaithfulnessRequest
	var prompts list
	f.Var(&prompts, "prompt", "`text` of a prompt; may be repeated (default: prompts of the pocket world, or beginnings of held-out windows of the files)")
	f.IntVar(&req.N, "n", 20, "prompts of the pocket world or of the files")
	f.IntVar(&req.Features, "features", 64, "features taken out on each prompt; -1 for all")
	f.IntVar(&req.Draws, "draws", 2, "perturbations of each kind at each layer")
	f.Float64Var(&req.Size, "size", 0.1, "norm of a perturbation, as a fraction of the stream's")
	f.Uint64Var(&req.Seed, "seed", 1, "seed of the draws")
	f.StringVar(&req.Out, "o", "", "`file` (JSON) that holds everything, written after every prompt")
	f.BoolVar(&req.Resume, "resume", false, "go on with the prompts that -o lacks")
	asJSON := f.Bool("json", false, "everything as JSON")
	return func(c *call) error {
		switch {
		case len(prompts) > 0 && len(c.args) > 0:
			return badCall("-prompt and files are both given; give one")
		case req.N < 1:
			return badCall("-n %d; give 1 or more", req.N)
		case req.Features == 0 || req.Features < -1:
			return badCall("-features %d; give 1 or more, or -1 for all", req.Features)
		case req.Draws < 1 || !(req.Size > 0):
			return badCall("-draws %d -size %g; both must be positive", req.Draws, req.Size)
		case req.Resume && req.Out == "":
			return badCall("-resume without -o; name the file of the run before")
		}
		if err := output(req.Out); err != nil {
			return err
		}
		if req.Out != "" {
			c.saved = "the prompts done are in " + req.Out + "; -resume goes on"
		}
		req.Setup, req.Texts = *set, c.args
		for _, text := range prompts {
			req.Prompts = append(req.Prompts, wire.Prompt{Text: text})
		}
		res, err := c.service().Faithfulness(c.ctx, req, c.progress())
		if err != nil {
			return err
		}
		c.warn(res.Warnings)
		if *asJSON {
			return c.json(res)
		}
		c.printf("%s", faithfulnessText(res))
		return nil
	}
}

// faithfulnessText is the summary for people.
func faithfulnessText(r wire.FaithfulnessResponse) string {
	var rows [][]string
	for _, p := range append(r.Predictors, r.Feature) {
		log := number(p.LogPearson)
		if p.Name == r.Feature.Name {
			log = "-"
		}
		rows = append(rows, []string{p.Name, number(p.Spearman), log, fmt.Sprint(p.Pairs), fmt.Sprint(p.Prompts)})
	}
	text := table(fmt.Sprintf("%s with %s: what predicts the effect of taking a feature out (means over prompts)", r.Model, r.CLT),
		[]string{"predictor", "Spearman", "log-log Pearson", "pairs", "prompts"}, rows)
	rows = nil
	for _, x := range r.Ranges {
		rows = append(rows, []string{fmt.Sprint(x.Beyond), fmt.Sprint(x.Features), number(x.KL), number(x.Logit), fmt.Sprintf("%.0f %%", 100*x.Strongest), number(x.Spearman)})
	}
	text += "\n" + table("Constrained patching that ends so many layers behind the feature's own",
		[]string{"layers", "features", "mean KL", "mean |logit change|", "strongest here", "Spearman with influence"}, rows)
	rows = nil
	for _, d := range r.Depths {
		if d.N > 0 {
			rows = append(rows, []string{d.Kind, fmt.Sprint(d.Depth), fmt.Sprint(d.N), number(d.Cosine), number(d.NMSE), number(d.StreamCos), number(d.StreamNMSE)})
		}
	}
	return text + "\n" + table("The local replacement model's answer to a push against the model's own (medians)",
		[]string{"push", "layers on", "n", "cosine of MLP outputs", "NMSE", "cosine of streams", "NMSE "}, rows)
}
