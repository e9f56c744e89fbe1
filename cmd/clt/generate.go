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
	samples := f.Int("samples", 1, "continuations")
	penalty := f.Float64("repetition-penalty", d.RepetitionPenalty, "above 1 makes tokens of the text so far less likely")
	slide := f.Bool("slide", false, "let the text be longer than the context: go on with its last half")
	var stop idList
	f.Var(&stop, "stop", "token `ids` after which it ends")
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
		case *samples < 1:
			return badCall("-samples %d; give 1 or more", *samples)
		case !(*penalty > 0):
			return badCall("-repetition-penalty %g; give a number above 0", *penalty)
		case *slide && (edited || replaced):
			return badCall("-slide goes with the model itself, not with edits or -clt; leave out one of the two")
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
			TopK: *topK, TopP: *topP, Seed: *seed, Samples: *samples, Penalty: *penalty, Slide: *slide, Stop: stop, Edits: edits, Other: other, Replacement: replaced}, c.progress())
		if err != nil {
			return err
		}
		for _, r := range append([]wire.GenerateResponse{res}, res.More...) {
			if d := r.Diverges; d != nil && d.Pos >= 0 {
				c.remark("the replacement model leaves the model at position %d: %q, where the model has %q", d.Pos, d.Token, d.Model)
			} else if d != nil {
				c.remark("the replacement model gives the model's own %d new tokens", r.New)
			}
		}
		if *asJSON {
			return c.json(res)
		}
		for i, r := range append([]wire.GenerateResponse{res}, res.More...) {
			if i > 0 {
				c.printf("---\n")
			}
			if r.Text == "" {
				ids := idList(r.IDs)
				c.printf("%s\n", ids.String())
				continue
			}
			c.printf("%s\n", r.Text)
		}
		return nil
	}
}
