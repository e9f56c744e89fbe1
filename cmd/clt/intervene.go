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
	var edits, track list
	var req wire.InterveneRequest
	f.Var(&edits, "edit", "`edit` of a feature, L,P,F=VALUE or L,P,F*FACTOR, P may be a: for position a and all later; may be repeated")
	f.StringVar(&req.Layers, "layers", "", "`a:b`: carry the edits out in layers a to b-1 (default: all)")
	f.StringVar(&req.Freeze, "freeze", "", "what stays as in the clean run: attention, ln, attention,ln or none (default: what fits the mode)")
	f.StringVar(&req.Mode, "mode", replacement.Constrained, "`mode`: constrained, iterative or live")
	f.IntVar(&req.Control, "control", 0, "also so many random edits of as many features and the same total activation")
	f.Uint64Var(&req.Seed, "seed", 1, "of the random edits")
	f.Var(&track, "track", "`token` whose logit is followed; may be repeated (default: the likeliest)")
	f.IntVar(&req.Top, "top", topDefault, "predictions to show")
	f.StringVar(&req.Out, "o", "", "safetensors `file` with logits_before, logits_after, preact_before, preact_after")
	asJSON := f.Bool("json", false, "everything as JSON")
	return func(c *call) error {
		if err := checkIntervene(&req, edits); err != nil {
			return err
		}
		prompt, err := c.openPrompt(*set, true, p)
		if err != nil {
			return err
		}
		req.Setup, req.Prompt, req.Edits, req.Track = *set, prompt, edits, track
		res, err := c.service().Intervene(c.ctx, req, c.progress())
		if err != nil {
			return err
		}
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
	if len(edits) == 0 {
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

// interventionText is an intervention for people.
func interventionText(r wire.InterveneResponse) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nmode %s, layers %d to %d, frozen: %s\n\n", promptLine(r.TokensResponse), r.Mode, r.Layers[0], r.Layers[1]-1, frozenText(r.Frozen))
	var rows [][]string
	for i := range max(len(r.Before), len(r.After)) {
		row := []string{"", "", "", ""}
		if i < len(r.Before) {
			row[0], row[1] = fmt.Sprintf("%q", r.Before[i].Token), fmt.Sprintf("%.4f", r.Before[i].Prob)
		}
		if i < len(r.After) {
			row[2], row[3] = fmt.Sprintf("%q", r.After[i].Token), fmt.Sprintf("%.4f", r.After[i].Prob)
		}
		rows = append(rows, row)
	}
	b.WriteString(table("Predictions", []string{"before", "p", "after", "p"}, rows) + "\n")
	rows = nil
	for _, t := range r.Tracked {
		row := []string{fmt.Sprintf("%q", t.Token), number(t.LogitBefore), number(t.LogitAfter), number(t.Measured), number(t.Predicted), "-", "-"}
		if t.Control != nil {
			row[5], row[6] = number(t.Control.MeanAbs), number(t.Control.MaxAbs)
		}
		rows = append(rows, row)
	}
	b.WriteString(table("Followed", []string{"token", "logit before", "after", "change, centred", "predicted by the edges", "control, mean size", "largest"}, rows))
	if len(r.Changed) > 0 {
		rows = nil
		for _, ch := range r.Changed[:min(10, len(r.Changed))] {
			rows = append(rows, []string{fmt.Sprintf("L%d/F%d at %d", ch.Layer, ch.Index, ch.Pos), number(ch.Before), number(ch.After)})
		}
		b.WriteString("\n" + table(fmt.Sprintf("Features that changed most, of %d", len(r.Changed)), []string{"feature", "before", "after"}, rows))
	}
	return b.String()
}

func frozenText(list []string) string {
	if len(list) == 0 {
		return "nothing"
	}
	return strings.Join(list, ", ")
}
