package main

import (
	"errors"
	"flag"
	"fmt"

	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

func doctorVerb(f *flag.FlagSet) func(c *call) error {
	asJSON := f.Bool("json", false, "a list of checks as JSON")
	return func(c *call) error {
		svc := c.service()
		svc.Log = nil // the report says it
		res, err := svc.Doctor(c.ctx, wire.Empty{}, nil)
		if err != nil {
			return err
		}
		failed := 0
		for _, k := range res.Checks {
			if k.Status == "fail" {
				failed++
			}
		}
		if *asJSON {
			if err := c.json(res); err != nil {
				return err
			}
		} else {
			for _, k := range res.Checks {
				c.printf("%-4s  %-16s %s\n", k.Status, k.Name, k.Detail)
				if k.Cure != "" {
					c.printf("%-4s  %-16s -> %s\n", "", "", k.Cure)
				}
			}
		}
		switch failed {
		case 0:
			return nil
		case 1:
			return errors.New("1 thing is broken; do what stands beside it")
		}
		return fmt.Errorf("%d things are broken; do what stands beside them", failed)
	}
}
