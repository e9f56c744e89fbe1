package main

import (
	"flag"
	"fmt"
	"strconv"
	"strings"

	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

func weightsVerb(f *flag.FlagSet) func(c *call) error {
	set := setupFlags(f, hasCLT)
	t := addTexts(f)
	req := wire.WeightsRequest{}
	f.IntVar(&req.Tokens, "tokens", 0, "tokens of the texts to look at (default: what the engine takes)")
	f.IntVar(&req.Top, "top", topDefault, "of each list; 0 for all, which is the default with -json")
	f.StringVar(&req.Store, "store", "", "weigh by a feature store instead: its `folder`, or own for the transcoder's")
	asJSON := f.Bool("json", false, "everything as JSON")
	return func(c *call) error {
		if len(c.args) == 0 {
			return badCall("no feature; give it as L/F, such as 1/17")
		}
		var ok bool
		if req.Layer, req.Index, ok = parseFeature(c.args[0]); !ok {
			return badCall("%q is no feature; give it as L/F, such as 1/17", c.args[0])
		}
		c.args = c.args[1:] // texts may follow
		if len(t.files) > 0 || t.world || len(c.args) > 0 {
			var err error
			if req.Texts, req.World, err = t.check(c); err != nil {
				return err
			}
		}
		if err := c.positive(f, "tokens"); err != nil {
			return err
		}
		if req.Top < 0 {
			return badCall("-top %d; give 0 or more", req.Top)
		}
		if *asJSON && !c.given["top"] {
			req.Top = 0
		}
		info, err := c.open(*set, true)
		if err != nil {
			return err
		}
		if req.Layer >= info.CLT.Layers || req.Index >= info.CLT.Features {
			return badCall("%s has no feature %d/%d; layers are 0..%d and features 0..%d", info.CLT.Name, req.Layer, req.Index, info.CLT.Layers-1, info.CLT.Features-1)
		}
		req.Setup = *set
		res, err := c.service().Weights(c.ctx, req, c.progress())
		if err != nil {
			return err
		}
		if *asJSON {
			return c.json(res)
		}
		c.printf("%s", weightsText(res))
		return nil
	}
}

// parseFeature reads "1/17", and "L1/F17" as it is printed.
func parseFeature(s string) (layer, index int, ok bool) {
	a, b, ok := strings.Cut(s, "/")
	layer, err1 := strconv.Atoi(strings.TrimPrefix(a, "L"))
	index, err2 := strconv.Atoi(strings.TrimPrefix(b, "F"))
	return layer, index, ok && err1 == nil && err2 == nil && layer >= 0 && index >= 0
}

// weightsText is a feature's virtual weights for people.
func weightsText(r wire.WeightsResponse) string {
	list := func(title string, weights []wire.VirtualWeight) string {
		var rows [][]string
		for _, w := range weights {
			row := []string{fmt.Sprintf("L%d/F%d", w.Layer, w.Index), number(w.Virtual)}
			if r.Seen > 0 {
				row = append(row, number(w.ERA), number(w.TWERA))
			}
			rows = append(rows, row)
		}
		head := []string{"feature", "virtual weight"}
		if r.Seen > 0 {
			head = append(head, "ERA", "TWERA")
		}
		return table(title, head, rows)
	}
	tokens := func(title string, weights []wire.TokenWeight) string {
		var rows [][]string
		for _, w := range weights {
			rows = append(rows, []string{fmt.Sprintf("%q", w.Token), fmt.Sprint(w.ID), number(w.Weight)})
		}
		return table(title, []string{"token", "id", "weight"}, rows)
	}
	note := "by size of the virtual weight"
	if r.Seen > 0 {
		note = fmt.Sprintf("by size of TWERA, on %d tokens", r.Seen)
		if r.Store {
			note += " (of a store: 0 for features that are not among its companions)"
		}
	}
	return fmt.Sprintf("Feature L%d/F%d, through the residual stream alone, %s\n\n%s\n%s\n%s\n%s", r.Layer, r.Index, note,
		list("From features of earlier layers", r.Inputs), list("To features of later layers", r.Outputs),
		tokens("From token embeddings", r.Tokens), tokens("To logits, relative to their mean", r.Logits))
}
