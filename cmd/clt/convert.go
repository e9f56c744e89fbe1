package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/etredal/cross-layer-transcoder/clt/convert"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
	"github.com/etredal/cross-layer-transcoder/internal/nearest"
)

func convertVerb(f *flag.FlagSet) func(c *call) error {
	req := wire.ConvertRequest{}
	var layouts []string
	for _, l := range convert.Layouts() {
		layouts = append(layouts, string(l))
	}
	f.StringVar(&req.From, "from", string(convert.Auto), "layout of the source: "+strings.Join(layouts, ", "))
	f.StringVar(&req.Read, "read", "", "what the encoders read, if the files do not say or are wrong: mlp.hook_in, ln2.hook_normalized or hook_resid_mid")
	f.StringVar(&req.Activation, "activation", "", "read the activation function as `relu or topk`, against the files")
	f.IntVar(&req.K, "k", 0, "with -activation topk, active features per layer and token")
	f.IntVar(&req.Layers, "layers", 0, "layers of the model, if a set of per-layer transcoders leaves some out")
	f.StringVar(&req.Model, "model", "", "model to check the reconstruction on: pocket, a directory, or a fetched name (default none)")
	f.StringVar(&req.Backend, "backend", "", "backend of that check: go, xla, xla:cpu, xla:cuda, or a plugin's path")
	asJSON := f.Bool("json", false, "what was read and written")
	return func(c *call) error {
		if len(c.args) != 2 {
			return badCall("%d folders are named, two are needed: clt convert SRC DST", len(c.args))
		}
		if !slices.Contains(layouts, req.From) {
			return badCall("-from %s is not a layout%s; choose one of %s", req.From, nearest.DidYouMean(req.From, layouts), strings.Join(layouts, ", "))
		}
		req.Src, req.Out = c.args[0], c.args[1]
		if info, err := os.Stat(req.Src); err != nil {
			return badCall("%w; check the path", err)
		} else if !info.IsDir() {
			return badCall("%s is a file; name the folder that holds the transcoder's files", req.Src)
		}
		if err := outputDir(req.Out); err != nil {
			return err
		}
		res, err := c.service().Convert(c.ctx, req, c.progress())
		if err != nil {
			return err
		}
		for _, r := range res.Remarks {
			c.remark("%s", r)
		}
		c.warn(res.Warnings)
		if *asJSON {
			return c.json(res)
		}
		c.printf("%s\n", convertLine(res))
		return nil
	}
}

func convertLine(res wire.ConvertResponse) string {
	kind, skip := "cross-layer", ""
	if res.CLT.PerLayer {
		kind = "per-layer"
	}
	if res.CLT.Skip {
		skip = ", skip"
	}
	text := fmt.Sprintf("%s: %s, %d layers of %d features, %s%s, reads %s", res.Out, kind, res.CLT.Layers, res.CLT.Features, res.CLT.Activation, skip, res.CLT.Read)
	if res.NMSE != nil {
		text += fmt.Sprintf(", reconstruction error %.3g of a text of a few words", *res.NMSE)
	}
	return text + " (from " + res.Layout + ")"
}
