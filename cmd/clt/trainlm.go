package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"

	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/gpt2/pocket"
	"github.com/etredal/cross-layer-transcoder/internal/engine"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
	"github.com/etredal/cross-layer-transcoder/internal/strictjson"
)

func trainLMVerb(f *flag.FlagSet) func(c *call) error {
	var req wire.TrainLMRequest
	d, shape := gpt2.DefaultTextConfig(), pocket.Config(0, -1)
	t := addTexts(f)
	f.StringVar(&req.Backend, "backend", "", "`backend`: go, xla, xla:cpu, xla:cuda or the absolute path of a plugin")
	f.StringVar(&req.Model, "model", "", "`model` to start from (fine-tuning): pocket, a Hugging Face folder, or a fetched name (default: new weights)")
	f.IntVar(&req.Layers, "layers", shape.Layers, "transformer blocks")
	f.IntVar(&req.DModel, "d-model", shape.DModel, "width of the residual stream")
	f.IntVar(&req.Heads, "heads", shape.Heads, "attention heads per block")
	f.IntVar(&req.Context, "context", shape.Context, "longest input, in tokens; with -model, tokens a window")
	f.IntVar(&req.Vocab, "vocab", 0, "tokens of the vocabulary (default: what suits the texts)")
	f.IntVar(&req.Steps, "steps", d.Steps, fmt.Sprintf("training steps; with -model %d", gpt2.DefaultFineTuneConfig().Steps))
	f.IntVar(&req.Batch, "batch", d.Batch, fmt.Sprintf("windows a step; with -model %d", gpt2.DefaultFineTuneConfig().Batch))
	f.Float64Var(&req.LR, "lr", d.LR, fmt.Sprintf("peak learning rate; with -model %g", gpt2.DefaultFineTuneConfig().LR))
	f.Uint64Var(&req.Seed, "seed", d.Seed, "of weights and data; not 0")
	accumulate := f.Int("accumulate", 1, "equal parts of a batch that run one after the other, to save memory")
	decay := f.Float64("weight-decay", d.WeightDecay, "AdamW's, of matrices; with -world 0")
	every := f.Int("eval-every", d.EvalEvery, "steps between validations on the last twentieth of the texts; 0: only at the end")
	config := f.String("config", "", "JSON `file` with any other training settings; flags win")
	f.StringVar(&req.Out, "o", "", "`folder` that is written, in Hugging Face layout, with metrics.jsonl")
	f.BoolVar(&req.Resume, "resume", false, "go on with an interrupted run")
	f.BoolVar(&req.Fresh, "fresh", false, "drop an interrupted run that -o holds, and start anew")
	asJSON := f.Bool("json", false, "the result as JSON")
	return func(c *call) (err error) {
		if req.Texts, req.World, err = t.check(c); err != nil {
			return err
		}
		if err := outputDir(req.Out); err != nil {
			return err
		}
		if req.Resume && req.Fresh {
			return badCall("-resume and -fresh are both given; give one")
		}
		if !knownBackend(req.Backend) {
			return badCall("-backend %s is not known; use go, xla, xla:cpu, xla:cuda or the absolute path of a PJRT plugin", req.Backend)
		}
		if err := c.positive(f, "layers", "d-model", "heads", "context", "vocab", "steps", "batch", "lr", "seed", "accumulate"); err != nil {
			return err
		}
		given := map[string]any{"accumulate": *accumulate, "weight-decay": *decay, "eval-every": *every}
		if err := lmSettings(c, &req, *config, given); err != nil {
			return err
		}
		if err := c.fineTune(&req); err != nil {
			return err
		}
		c.saved = fmt.Sprintf("what was learnt is kept in %s; clt train-lm with the same flags and -resume goes on", req.Out)
		res, err := c.service().TrainLM(c.ctx, req, c.progress())
		if err != nil {
			return c.unfinished(err)
		}
		c.remark("wrote %s", req.Out)
		if *asJSON {
			return c.json(res)
		}
		c.printf("%s: %d steps, loss %.4f nats/token", res.Out, res.Steps, res.Loss)
		if res.Validation != nil {
			c.printf(", %.4f on text held out", *res.Validation)
		}
		c.printf("\n")
		if len(res.Accuracy) > 0 {
			c.printf("%s", accuracyTable(res.Accuracy))
		}
		return nil
	}
}

// fineTune refuses a call that wants a model and another shape than its.
func (c *call) fineTune(req *wire.TrainLMRequest) error {
	for flagName, value := range map[string]*int{"layers": &req.Layers, "d-model": &req.DModel, "heads": &req.Heads, "vocab": &req.Vocab,
		"context": &req.Context, "steps": &req.Steps, "batch": &req.Batch} {
		if !c.given[flagName] {
			*value = 0 // the engine knows what suits
		}
	}
	if !c.given["lr"] {
		req.LR = 0
	}
	if req.Model == "" {
		return nil
	}
	for _, name := range []string{"layers", "d-model", "heads", "vocab"} {
		if c.given[name] {
			return badCall("-%s and -model are both given, but a model has its own; leave out one of the two", name)
		}
	}
	if _, err := engine.FindModel(req.Model); err != nil && req.Model != "pocket" {
		return usageError{err}
	}
	return nil
}

// lmSettings puts the settings of a file, and those flags over them that the wire
// has no field for, into the request.
func lmSettings(c *call, req *wire.TrainLMRequest, file string, given map[string]any) error {
	settings := map[string]json.RawMessage{}
	if file != "" {
		data, err := os.ReadFile(file)
		if err != nil {
			return badCall("-config: %w; check the path", err)
		}
		if err := strictjson.Decode(data, &gpt2.TrainConfig{}); err != nil {
			return badCall("-config %s: %w; mend the file", file, err)
		}
		if err := strictjson.Unmarshal(data, 1, &settings); err != nil {
			return badCall("-config %s: %w; give one JSON object", file, err)
		}
	}
	for name, key := range map[string]string{"accumulate": "accumulate", "weight-decay": "weight_decay", "eval-every": "eval_every"} {
		if c.given[name] {
			settings[key], _ = json.Marshal(given[name])
		}
	}
	if len(settings) == 0 {
		return nil
	}
	var err error
	req.Config, err = json.Marshal(settings)
	return err
}
