package main

import (
	"flag"
	"fmt"
	"strings"

	"github.com/etredal/cross-layer-transcoder/clt/replacement"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

func interveneVerb(f *flag.FlagSet) func(c *call) error {
	set := setupFlags(f, hasCLT|hasDType)
	p := addPrompt(f)
	o := addOther(f)
	var edits, track, groups list
	var req wire.InterveneRequest
	f.Var(&edits, "edit", "`edit`: "+replacement.EditSyntax+"; may be repeated (default with -other: swap all features where the tokens differ)")
	f.Var(&groups, "group", "`NAME=L/F@P,L/F@P`: a supernode whose activation is read out before and after; may be repeated")
	f.StringVar(&req.Layers, "layers", "", "`a:b`: carry the edits out in layers a to b-1 (default: all)")
	f.StringVar(&req.Freeze, "freeze", "", "what stays as in the clean run: attention, ln, attention,ln or none (default: what fits the mode)")
	f.StringVar(&req.Mode, "mode", replacement.Constrained, "`mode`: constrained, iterative or live")
	f.IntVar(&req.Control, "control", wire.DefaultControl, "also so many random edits of as many features and the same total activation; 0 for none")
	f.Uint64Var(&req.Seed, "seed", 1, "of the random edits")
	f.Var(&track, "track", "`token` whose logit is followed; may be repeated (default: the likeliest)")
	f.IntVar(&req.Top, "top", topDefault, "predictions to show")
	f.StringVar(&req.Out, "o", "", "safetensors `file` with logits_before, logits_after, preact_before, preact_after")
	asJSON := f.Bool("json", false, "everything as JSON")
	return func(c *call) error {
		var err error
		if req.Other, err = o.prompt(c, p.bos); err != nil {
			return err
		}
		if req.Groups, err = parseGroups(groups); err != nil {
			return err
		}
		if err := checkIntervene(&req, edits); err != nil {
			return err
		}
		prompt, err := c.openPrompt(*set, true, p)
		if err != nil {
			return err
		}
		if err := c.checkOther(*set, req.Other); err != nil {
			return err
		}
		req.Setup, req.Prompt, req.Edits, req.Track = *set, prompt, edits, track
		res, err := c.service().Intervene(c.ctx, req, c.progress())
		if err != nil {
			return err
		}
		c.warn(res.Warnings)
		if req.Out != "" {
			c.remark("wrote %s", req.Out)
		}
		if *asJSON {
			return c.json(res)
		}
		c.printf("%s", interventionText(res))
		return nil
	}
}

func checkIntervene(req *wire.InterveneRequest, edits []string) error {
	if len(edits) == 0 && req.Other == nil {
		return badCall("no edit; give -edit L,P,F=VALUE or -edit L,P,F*FACTOR")
	}
	switch req.Mode {
	case replacement.Constrained, replacement.Iterative, replacement.Live:
	default:
		return badCall("-mode %s is not known; use %s, %s or %s", req.Mode, replacement.Constrained, replacement.Iterative, replacement.Live)
	}
	if req.Layers != "" {
		var a, b int
		if n, _ := fmt.Sscanf(req.Layers, "%d:%d", &a, &b); n != 2 || a < 0 || b <= a {
			return badCall("-layers %s; give a:b with 0 <= a < b", req.Layers)
		}
	}
	for _, word := range strings.Split(req.Freeze, ",") {
		switch strings.TrimSpace(word) {
		case "attention", "ln", "none", "":
		default:
			return badCall("-freeze %s is not known; use attention, ln, attention,ln or none", word)
		}
	}
	if req.Control < 0 {
		return badCall("-control %d; give 0 or more", req.Control)
	}
	if err := checkTop(req.Top); err != nil {
		return err
	}
	if err := checkEdits(edits); err != nil {
		return err
	}
	return output(req.Out)
}

// checkEdits refuses edits that cannot be read.
func checkEdits(edits []string) error {
	for _, e := range edits {
		if _, err := replacement.ParseEdit(e); err != nil {
			return usageError{err}
		}
	}
	return nil
}

// parseGroups reads supernodes.
func parseGroups(texts []string) ([]wire.Group, error) {
	var groups []wire.Group
	for _, text := range texts {
		name, members, ok := strings.Cut(text, "=")
		g := wire.Group{Name: strings.TrimSpace(name), Features: strings.FieldsFunc(members, func(r rune) bool { return r == ',' || r == ' ' })}
		for _, m := range g.Features {
			var l, f, p int
			if n, _ := fmt.Sscanf(m, "%d/%d@%d", &l, &f, &p); n != 3 {
				ok = false
			}
		}
		if !ok || g.Name == "" || len(g.Features) == 0 {
			return nil, badCall("-group %s; give NAME=L/F@P,L/F@P", text)
		}
		groups = append(groups, g)
	}
	return groups, nil
}

func frozenText(list []string) string {
	if len(list) == 0 {
		return "nothing"
	}
	return strings.Join(list, ", ")
}
