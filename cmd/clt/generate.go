package main

import (
	"flag"

	"github.com/etredal/cross-layer-transcoder/clt/replacement"
	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

func generateVerb(f *flag.FlagSet) func(c *call) error {
	d := gpt2.DefaultGenerateConfig()
	set := setupFlags(f, hasCLT|hasDType)
	p := addPrompt(f)
	o := addOther(f)
	var edits list
	n := f.Int("n", d.N, "new tokens")
	temperature := f.Float64("temperature", d.Temperature, "0 takes the likeliest token")
	topK := f.Int("top-k", d.TopK, "draw from so many likeliest tokens; 0 for all")
	topP := f.Float64("top-p", d.TopP, "draw from the likeliest tokens that hold this probability; 0 for all")
	seed := f.Uint64("seed", d.Seed, "of the draws")
	f.Var(&edits, "edit", "`edit`: "+replacement.EditSyntax+"; may be repeated")
	asJSON := f.Bool("json", false, "ids, text and log-probabilities as JSON")
	return func(c *call) error {
		other, err := o.prompt(c, p.bos)
		if err != nil {
			return err
		}
		edited := len(edits) > 0 || other != nil
		replaced := c.given["clt"] && !edited
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
		prompt, err := c.openPrompt(*set, replaced || edited, p)
		if err != nil {
			return err
		}
		if err := c.checkOther(*set, other); err != nil {
			return err
		}
		res, err := c.service().Generate(c.ctx, wire.GenerateRequest{Setup: *set, Prompt: prompt, N: *n, Temperature: *temperature,
			TopK: *topK, TopP: *topP, Seed: *seed, Edits: edits, Other: other, Replacement: replaced}, c.progress())
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
