package main

import (
	"flag"
	"fmt"
	"strings"

	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

func qkVerb(f *flag.FlagSet) func(c *call) error {
	set := setupFlags(f, hasCLT|hasDType)
	p := addPrompt(f)
	var req wire.QKRequest
	f.IntVar(&req.Layer, "layer", 0, "`layer` of the head")
	f.IntVar(&req.Head, "head", 0, "`head` in the layer")
	query := f.Int("query", -1, "`position` that looks; negative from the end (default: the last)")
	key := f.Int("key", 0, "`position` that is looked at; negative from the end (default: where the query looks most)")
	f.IntVar(&req.Top, "top", 20, "pairs and sources to show")
	asJSON := f.Bool("json", false, "everything as JSON")
	return func(c *call) error {
		if err := checkTop(req.Top); err != nil {
			return err
		}
		if err := c.positive(f, "top"); err != nil {
			return err
		}
		prompt, err := c.openPrompt(*set, true, p)
		if err != nil {
			return err
		}
		info, err := c.open(*set, true)
		if err != nil {
			return err
		}
		if req.Layer < 0 || req.Layer >= info.Layers || req.Head < 0 || req.Head >= info.Heads {
			return badCall("-layer %d -head %d; %s has layers 0..%d and heads 0..%d", req.Layer, req.Head, info.Name, info.Layers-1, info.Heads-1)
		}
		req.Setup, req.Prompt, req.Query = *set, prompt, query
		if c.given["key"] {
			req.Key = key
		}
		res, err := c.service().QK(c.ctx, req, c.progress())
		if err != nil {
			return err
		}
		c.warn(res.Warnings)
		if *asJSON {
			return c.json(res)
		}
		c.printf("%s", qkText(res))
		return nil
	}
}

// qkText is an attention score and its parts for people.
func qkText(r wire.QKResponse) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nlayer %d, head %d: position %d (%q) looks at position %d (%q) with score %s, attention %.4f\n\n", promptLine(r.TokensResponse),
		r.Layer, r.Head, r.Query, r.TokensResponse.Tokens[r.Query], r.Key, r.TokensResponse.Tokens[r.Key], number(r.Score), r.Prob)
	var rows [][]string
	for _, p := range r.Pairs {
		rows = append(rows, []string{nodeText(p.Query), nodeText(p.Key), number(p.Weight)})
	}
	b.WriteString(table(fmt.Sprintf("Strongest pairs; all pairs add up to %s", number(r.Sum)), []string{"query side", "key side", "part of the score"}, rows) + "\n")
	rows = nil
	for i := range max(len(r.QuerySide), len(r.KeySide)) {
		row := []string{"", "-", "", "-"}
		if i < len(r.QuerySide) {
			row[0], row[1] = nodeText(r.QuerySide[i].Source), number(r.QuerySide[i].Weight)
		}
		if i < len(r.KeySide) {
			row[2], row[3] = nodeText(r.KeySide[i].Source), number(r.KeySide[i].Weight)
		}
		rows = append(rows, row)
	}
	b.WriteString(table("Each source with everything on the other side", []string{"query side", "", "key side", ""}, rows))
	return b.String()
}

// nodeText is a node for people.
func nodeText(n wire.Node) string {
	switch n.Kind {
	case "feature":
		return fmt.Sprintf("L%d/F%d at %d %q", n.Layer, n.Index, n.Pos, n.Token)
	case "error":
		return fmt.Sprintf("error of L%d at %d %q", n.Layer, n.Pos, n.Token)
	case "token":
		return fmt.Sprintf("token %d %q", n.Pos, n.Token)
	case "position":
		return fmt.Sprintf("position %d", n.Pos)
	case "logit":
		return fmt.Sprintf("logit %q", n.Token)
	}
	return n.Kind
}
