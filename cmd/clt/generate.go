package main

import (
	"flag"

	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

func generateVerb(f *flag.FlagSet) func(c *call) error {
	d := gpt2.DefaultGenerateConfig()
	set := setupFlags(f, hasCLT|hasDType)
	p := addPrompt(f)
	var edits list
	n := f.Int("n", d.N, "new tokens")
	temperature := f.Float64("temperature", d.Temperature, "0 takes the likeliest token")
	topK := f.Int("top-k", d.TopK, "draw from so many likeliest tokens; 0 for all")
	topP := f.Float64("top-p", d.TopP, "draw from the likeliest tokens that hold this probability; 0 for all")
	seed := f.Uint64("seed", d.Seed, "of the draws")
	f.Var(&edits, "edit", "`edit` of a feature, L,P,F=VALUE or L,P,F*FACTOR, P may be a: for position a and all later; may be repeated")
	asJSON := f.Bool("json", false, "ids, text and log-probabilities as JSON")
	return func(c *call) error {
		replaced := c.given["clt"] && len(edits) == 0
		switch {
		case *n < 1:
			return badCall("-n %d; give 1 or more", *n)
		case !(*temperature >= 0):
			return badCall("-temperature %g; give 0 or more", *temperature)
		case *topK < 0:
			return badCall("-top-k %d; give 0 or more", *topK)
		case !(*topP >= 0 && *topP <= 1):
			return badCall("-top-p %g; give a probability", *topP)
		}
		if err := checkEdits(edits); err != nil {
			return err
		}
		prompt, err := c.openPrompt(*set, replaced || len(edits) > 0, p)
		if err != nil {
			return err
		}
		res, err := c.service().Generate(c.ctx, wire.GenerateRequest{Setup: *set, Prompt: prompt, N: *n, Temperature: *temperature,
			TopK: *topK, TopP: *topP, Seed: *seed, Edits: edits, Replacement: replaced}, c.progress())
		if err != nil {
			return err
		}
		if *asJSON {
			return c.json(res)
		}
		if res.Text == "" {
			ids := idList(res.IDs)
			c.printf("%s\n", ids.String())
			return nil
		}
		c.printf("%s\n", res.Text)
		return nil
	}
}
