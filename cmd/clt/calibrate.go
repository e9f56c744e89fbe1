package main

import (
	"flag"
	"fmt"
	"strconv"

	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

func calibrateVerb(f *flag.FlagSet) func(c *call) error {
	set := setupFlags(f, hasCLT)
	t := addTexts(f)
	var req wire.CalibrateRequest
	f.IntVar(&req.Tokens, "tokens", 0, "tokens to measure on (default: what the engine takes)")
	l0 := f.String("l0", "", "active features per token: one number, or one for each layer with commas (default: what the transcoder's k says)")
	f.StringVar(&req.Out, "o", "", "`folder` that is written")
	asJSON := f.Bool("json", false, "the result as JSON")
	return func(c *call) (err error) {
		if req.Texts, req.World, err = t.check(c); err != nil {
			return err
		}
		if err := outputDir(req.Out); err != nil {
			return err
		}
		if err := c.positive(f, "tokens"); err != nil {
			return err
		}
		if req.L0, err = numbers("l0", *l0); err != nil {
			return err
		}
		if _, err := c.open(*set, true); err != nil {
			return err
		}
		req.Setup = *set
		res, err := c.service().Calibrate(c.ctx, req, c.progress())
		if err != nil {
			return err
		}
		c.remark("wrote %s", req.Out)
		if *asJSON {
			return c.json(res)
		}
		rows := [][]string{}
		for l := range res.After {
			rows = append(rows, []string{strconv.Itoa(l), number(res.Before[l]), number(res.After[l]), number(res.Threshold[l])})
		}
		c.printf("%s", table(fmt.Sprintf("%d tokens; nmse %s before, %s after", res.Tokens, number(res.NMSEBefore), number(res.NMSEAfter)),
			[]string{"layer", "L0 before", "L0 after", "threshold"}, rows))
		return nil
	}
}
