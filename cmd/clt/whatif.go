package main

import (
	"flag"
	"fmt"

	"github.com/etredal/cross-layer-transcoder/clt/replacement"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

func whatIfVerb(f *flag.FlagSet) func(c *call) error {
	set := setupFlags(f, hasCLT|hasDType)
	p := addPrompt(f)
	o := addOther(f)
	var edits, track list
	f.Var(&edits, "edit", "`edit`: "+replacement.EditSyntax+"; may be repeated (default with -other: swap all features where the tokens differ)")
	f.Var(&track, "track", "`token` whose logit is followed; may be repeated (default: the likeliest five)")
	asJSON := f.Bool("json", false, "everything as JSON")
	return func(c *call) error {
		other, err := o.prompt(c, p.bos)
		if err != nil {
			return err
		}
		if len(edits) == 0 && other == nil {
			return badCall("no edit; give -edit L,P,F=VALUE or -edit L,P,F*FACTOR")
		}
		if err := checkEdits(edits); err != nil {
			return err
		}
		prompt, err := c.openPrompt(*set, true, p)
		if err != nil {
			return err
		}
		if err := c.checkOther(*set, other); err != nil {
			return err
		}
		res, err := c.service().WhatIf(c.ctx, wire.WhatIfRequest{Setup: *set, Prompt: prompt, Edits: edits, Other: other, Track: track}, c.progress())
		if err != nil {
			return err
		}
		c.warn(res.Warnings)
		if *asJSON {
			return c.json(res)
		}
		c.printf("%s", whatIfText(res))
		return nil
	}
}

// whatIfText is a prediction and two measurements for people.
func whatIfText(r wire.WhatIfResponse) string {
	var rows [][]string
	for _, t := range r.Targets {
		rows = append(rows, []string{fmt.Sprintf("%q", t.Token), number(t.Predicted), number(t.Local), number(t.Model), fmt.Sprintf("%.4f", t.ProbBefore), fmt.Sprintf("%.4f", t.ProbAfter)})
	}
	text := promptLine(r.TokensResponse) + "\n\n" + table("Change of the centred logit",
		[]string{"token", "predicted by the graph", "local replacement model", "the model itself", "p before", "p after"}, rows)
	agree := func(name string, a wire.Agreement) []string {
		if a.Features == 0 {
			return []string{name, "0", "-", "-", "-"}
		}
		return []string{name, fmt.Sprint(a.Features), number(a.Cosine), number(a.NMSE), fmt.Sprintf("%.1f %%", 100*a.Sign)}
	}
	return text + "\n" + table("Predicted against measured change of unedited features", []string{"in", "features", "cosine", "nmse", "same sign"},
		[][]string{agree("local replacement model", r.Local), agree("the model itself", r.Model)})
}
