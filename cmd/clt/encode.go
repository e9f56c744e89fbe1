package main

import (
	"flag"
	"fmt"
	"strings"

	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

func encodeVerb(f *flag.FlagSet) func(c *call) error {
	set := setupFlags(f, hasCLT|hasDType)
	p := addPrompt(f)
	asJSON := f.Bool("json", false, "a list of layer, pos, index, value, in that order")
	return func(c *call) error {
		prompt, err := c.openPrompt(*set, true, p)
		if err != nil {
			return err
		}
		res, err := c.service().Encode(c.ctx, wire.EncodeRequest{Setup: *set, Prompt: prompt}, c.progress())
		if err != nil {
			return err
		}
		c.warn(res.Warnings)
		if *asJSON {
			return c.json(res.Active)
		}
		rows := make([][]string, len(res.Active))
		for i, a := range res.Active {
			rows[i] = []string{fmt.Sprint(a.Layer), fmt.Sprint(a.Pos), fmt.Sprintf("%q", strings.TrimSpace(res.Tokens[a.Pos])), fmt.Sprint(a.Index), number(a.Value)}
		}
		c.printf("%s\n%s", promptLine(res.TokensResponse), table(fmt.Sprintf("%d active features", len(rows)),
			[]string{"layer", "pos", "token", "feature", "activation"}, rows))
		return nil
	}
}
