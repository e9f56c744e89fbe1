package main

import (
	"flag"
	"fmt"
	"strings"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// unfinished keeps the promise of a resumable run only if there is one.
func (c *call) unfinished(err error) error {
	if !strings.Contains(err.Error(), "-resume") {
		c.saved = ""
	}
	return err
}

// accuracyTable shows what the model can do; a dash where nothing is held out.
func accuracyTable(list []wire.Accuracy) string {
	part := func(v float64, n int) string {
		if v < 0 {
			return "-"
		}
		return fmt.Sprintf("%.3f of %d", v, n)
	}
	var rows [][]string
	for _, a := range list {
		rows = append(rows, []string{a.Behaviour, fmt.Sprintf("%.3f", a.Chance), part(a.Seen, a.SeenN), part(a.HeldOut, a.HeldOutN)})
	}
	return table("Accuracy", []string{"behaviour", "chance", "seen", "held out"}, rows)
}

// positive refuses numbers given on the command line that are not above zero.
func (c *call) positive(f *flag.FlagSet, names ...string) error {
	for _, n := range names {
		if v := f.Lookup(n).Value.String(); c.given[n] && (strings.HasPrefix(v, "-") || v == "0" || v == "NaN") {
			return badCall("-%s %s; give a number above 0", n, v)
		}
	}
	return nil
}

// trainFlags declares the flags of a training run and returns what checks them and
// makes its request, with the backend and the model opened.
func trainFlags(f *flag.FlagSet) func(c *call) (wire.TrainRequest, error) {
	set := setupFlags(f, 0)
	var req wire.TrainRequest
	shape, d := clt.DefaultConfig(1, 1), clt.DefaultTrainConfig()
	t := addTexts(f)
	f.IntVar(&req.Features, "features", shape.Features, "features per layer")
	f.StringVar(&req.Activation, "activation", shape.Activation, "`function`: relu, jumprelu, topk, tokentopk (over all layers) or batchtopk")
	f.IntVar(&req.K, "k", shape.K, "active features per layer and token, for topk, tokentopk and batchtopk")
	f.Float64Var(&req.Lambda, "lambda", d.Lambda, "weight of the sparsity penalty")
	f.Float64Var(&req.C, "c", d.TanhScale, "scale inside the tanh of the penalty")
	f.IntVar(&req.Batch, "batch", d.Batch, "tokens a step")
	f.IntVar(&req.Steps, "steps", d.Steps, "training steps")
	f.Float64Var(&req.LR, "lr", d.LR, "peak learning rate")
	f.Uint64Var(&req.Seed, "seed", d.Seed, "of weights and data")
	f.BoolVar(&req.PerLayer, "per-layer", shape.PerLayer, "each layer's features write to that layer alone")
	f.BoolVar(&req.Skip, "skip", shape.Skip, "add a linear map from what is read to what is written")
	f.StringVar(&req.Read, "read", string(shape.Read), "what encoders read: "+siteNames())
	gib := dataFlags(f, &req.TrainData)
	config := f.String("config", "", "JSON `file` with training settings, and the flags above by their names; flags win")
	f.StringVar(&req.Out, "o", "", "`folder` that is written")
	f.BoolVar(&req.Resume, "resume", false, "go on with an interrupted run")
	f.BoolVar(&req.Fresh, "fresh", false, "drop an interrupted run that -o holds, and start anew")
	return func(c *call) (wire.TrainRequest, error) {
		settings, err := configFile(c, f, *config)
		if err != nil {
			return req, err
		}
		if req.Texts, req.World, err = t.check(c); err != nil {
			return req, err
		}
		if err := outputDir(req.Out); err != nil {
			return req, err
		}
		if req.Resume && req.Fresh {
			return req, badCall("-resume and -fresh are both given; give one")
		}
		if err := c.positive(f, "features", "k", "c", "batch", "steps", "lr", "cache-gib", "data-tokens", "shuffle-mib", "data-seed"); err != nil {
			return req, err
		}
		if err := checkData(&req.TrainData, *gib); err != nil {
			return req, err
		}
		if err := checkTraining(&req); err != nil {
			return req, err
		}
		if err := trainSettings(c, &req, settings); err != nil {
			return req, err
		}
		if _, err := c.open(*set, false); err != nil {
			return req, err
		}
		set.CLT, req.Setup = "", *set
		return req, nil
	}
}

func trainVerb(f *flag.FlagSet) func(c *call) error {
	request := trainFlags(f)
	asJSON := f.Bool("json", false, "the result as JSON")
	return func(c *call) error {
		req, err := request(c)
		if err != nil {
			return err
		}
		c.saved = fmt.Sprintf("what was learnt is kept in %s; clt train with the same flags and -resume goes on", req.Out)
		res, err := c.service().Train(c.ctx, req, c.progress())
		if err != nil {
			return c.unfinished(err)
		}
		c.remark("wrote %s", req.Out)
		if *asJSON {
			return c.json(res)
		}
		c.printf("%s: %d steps\n", res.Out, res.Steps)
		if res.Metrics != nil {
			c.printf("%s", evaluationTable(*res.Metrics))
		}
		return nil
	}
}

func siteNames() string {
	var names []string
	for _, s := range clt.ReadSites() {
		names = append(names, string(s))
	}
	return strings.Join(names, ", ")
}

// checkTraining refuses words that are not known, with the library's words.
func checkTraining(req *wire.TrainRequest) error {
	cfg := clt.DefaultConfig(1, 1)
	cfg.Activation = req.Activation
	if req.Read != "" {
		cfg.Read = gpt2.Site(req.Read)
	}
	if cfg.K = req.K; cfg.K == 0 && clt.TakesK(cfg.Activation) {
		cfg.K = 1 // the engine has a default
	}
	cfg.Features = max(req.Features, cfg.K)
	if err := cfg.Validate(); err != nil {
		return usageError{err}
	}
	if clt.TakesK(req.Activation) && req.K > req.Features {
		return badCall("-k %d is more than -features %d; give less", req.K, req.Features)
	}
	return nil
}
