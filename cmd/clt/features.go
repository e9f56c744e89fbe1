package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
	"github.com/etredal/cross-layer-transcoder/internal/nearest"
	"github.com/etredal/cross-layer-transcoder/viz"
)

// featuresVerb is clt features build, show, search and label.
func featuresVerb(f *flag.FlagSet) func(c *call) error {
	v := &featuresCall{set: setupFlags(f, hasCLT), texts: addTexts(f)}
	f.IntVar(&v.tokens, "tokens", 0, "build: stop after so many `tokens` (default: all of the texts, 200,000 of the world)")
	f.StringVar(&v.config, "config", "", "build: `file` with settings as JSON, keys as in store.json")
	f.StringVar(&v.store, "store", "", "show, search, label: `folder` of the store (default: features in the transcoder's folder; the pocket model's is built on first use)")
	f.StringVar(&v.out, "o", "", "build: `folder` to write; show: file to write, .html or .json")
	f.IntVar(&v.top, "top", 20, "search: hits; 0 for all")
	f.BoolVar(&v.json, "json", false, "show, search, build: the result as JSON")
	f.BoolVar(&v.html, "html", false, "show: the card as a page")
	return func(c *call) error {
		if len(c.args) == 0 {
			return badCall("what to do with features; give build, show L/F, search TEXT or label L/F TEXT")
		}
		v.call = c
		what := c.args[0]
		c.args = c.args[1:]
		switch what {
		case "build":
			return v.build()
		case "show":
			return v.show()
		case "search":
			return v.search()
		case "label":
			return v.label()
		}
		return badCall("features %s is not known%s; give build, show, search or label", what, nearest.DidYouMean(what, []string{"build", "show", "search", "label"}))
	}
}

// featuresCall is one call of the verb.
type featuresCall struct {
	*call
	set                *wire.Setup
	texts              *textFlags
	tokens, top        int
	config, store, out string
	json, html         bool
}

func (v *featuresCall) build() error {
	files, world, err := v.texts.check(v.call)
	if err != nil {
		return err
	}
	if v.tokens < 0 {
		return badCall("-tokens %d; give 0 or more", v.tokens)
	}
	if v.out != "" {
		if err := outputDir(v.out); err != nil {
			return err
		}
	}
	req := wire.FeaturesBuildRequest{World: world, Texts: files, Tokens: v.tokens, Out: v.out}
	if v.config != "" {
		if req.Config, err = os.ReadFile(v.config); err != nil {
			return err
		}
	}
	if _, err := v.open(*v.set, true); err != nil {
		return err
	}
	req.Setup = *v.set
	v.saved = "the same call goes on from where it was"
	res, err := v.service().FeaturesBuild(v.ctx, req, v.progress())
	if err != nil {
		return err
	}
	if v.json {
		return v.call.json(res)
	}
	v.printf("%d features on %d tokens of %s, %d of them (%.1f %%) never active\n%s, %s, %.0f s (%.0f tokens/s)\n", res.Features, res.Tokens, res.Corpus, res.Dead,
		100*float64(res.Dead)/float64(res.Features), res.Path, size(res.Bytes), res.Seconds, float64(res.Tokens)/res.Seconds)
	return nil
}

// setup is what a store must belong to: nothing if only the store is named.
func (v *featuresCall) setup() (wire.Setup, error) {
	for i, a := range v.args { // a folder with a store may stand among the arguments
		if _, err := os.Stat(filepath.Join(a, "store.json")); err == nil && v.store == "" {
			v.store = a
			v.args = append(v.args[:i:i], v.args[i+1:]...)
			break
		}
	}
	if v.store != "" && !v.given["model"] && !v.given["clt"] {
		return wire.Setup{}, nil
	}
	_, err := v.open(*v.set, true)
	return *v.set, err
}

// feature takes the first argument.
func (v *featuresCall) feature() (id wire.FeatureID, err error) {
	if len(v.args) == 0 {
		return id, badCall("no feature; give it as L/F, such as 1/17")
	}
	var ok bool
	if id.Layer, id.Index, ok = parseFeature(v.args[0]); !ok {
		return id, badCall("%q is no feature; give it as L/F, such as 1/17", v.args[0])
	}
	v.args = v.args[1:]
	return id, nil
}

func (v *featuresCall) show() error {
	set, err := v.setup()
	if err != nil {
		return err
	}
	id, err := v.feature()
	if err != nil {
		return err
	}
	if len(v.args) > 0 {
		return badCall("%q is not expected", v.args[0])
	}
	if err := output(v.out); err != nil {
		return err
	}
	res, err := v.service().Feature(v.ctx, wire.FeatureRequest{Setup: set, Store: v.store, Features: []wire.FeatureID{id}}, v.progress())
	if err != nil {
		return err
	}
	asJSON := v.json || strings.HasSuffix(v.out, ".json")
	if asJSON {
		return v.write(v.out, append(res.Features[0], '\n'))
	}
	f, err := viz.ParseFeature(res.Features[0])
	if err != nil {
		return err
	}
	if !v.html && v.out == "" {
		v.printf("%s", featureText(f))
		return nil
	}
	card := viz.FeatureCard(f)
	page, err := viz.Page([]viz.Section{{Output: card}}, viz.PageOptions{Title: fmt.Sprintf("Feature L%d/F%d", f.Layer, f.Index), Subtitle: fmt.Sprintf("%d tokens of %s", res.Store.Tokens, res.Store.Corpus)})
	if err != nil {
		return err
	}
	return v.write(v.out, page)
}

func (v *featuresCall) search() error {
	set, err := v.setup()
	if err != nil {
		return err
	}
	if v.top < 0 {
		return badCall("-top %d; give 0 or more", v.top)
	}
	top := v.top
	if top == 0 {
		top = -1
	}
	res, err := v.service().Features(v.ctx, wire.FeaturesRequest{Setup: set, Store: v.store, Query: strings.Join(v.args, " "), Top: top}, v.progress())
	if err != nil {
		return err
	}
	if v.json {
		return v.call.json(res)
	}
	var rows [][]string
	for _, h := range res.Hits {
		rows = append(rows, []string{featureName(h.Layer, h.Index), labelText(h.Label, h.Guess), number(100 * h.Density), number(h.Max), tokenList(h.Tokens, 4), tokenList(h.Logits, 3), number(h.Score), h.Why})
	}
	v.printf("%s", table(fmt.Sprintf("%d of %d features, on %d tokens of %s", len(res.Hits), res.Total, res.Store.Tokens, res.Store.Corpus),
		[]string{"feature", "label", "density %", "max", "active on", "raises", "score", "why"}, rows))
	return nil
}

func (v *featuresCall) label() error {
	set, err := v.setup()
	if err != nil {
		return err
	}
	id, err := v.feature()
	if err != nil {
		return err
	}
	res, err := v.service().Label(v.ctx, wire.LabelRequest{Setup: set, Store: v.store, FeatureID: id, Label: strings.Join(v.args, " ")}, v.progress())
	if err != nil {
		return err
	}
	v.printf("%s: %s\n", featureName(id.Layer, id.Index), labelText(res.Label, res.Guess))
	return nil
}

func featureName(layer, index int) string { return fmt.Sprintf("L%d/F%d", layer, index) }

// labelText marks guesses.
func labelText(label string, guess bool) string {
	if guess {
		return "guess: " + plainLine(label)
	}
	return plainLine(label)
}

// plainLine keeps a label to one line of a terminal.
func plainLine(s string) string {
	q := fmt.Sprintf("%q", s)
	return q[1 : len(q)-1]
}

func tokenList(tokens []string, n int) string {
	var words []string
	for _, t := range tokens[:min(n, len(tokens))] {
		words = append(words, fmt.Sprintf("%q", t))
	}
	return strings.Join(words, " ")
}

// featureText is a feature for terminals.
func featureText(f viz.Feature) string {
	var b strings.Builder
	name := featureName(f.Layer, f.Index)
	if f.Label != "" {
		name += "  " + labelText(f.Label, f.Guess)
	}
	b.WriteString(name + "\n")
	if f.Active == 0 {
		fmt.Fprintf(&b, "dead: never active on %d tokens\n", f.Tokens)
	} else {
		fmt.Fprintf(&b, "active on %d of %d tokens (%s %%), largest activation %s, mean when active %s\n", f.Active, f.Tokens, number(100*f.Density), number(f.Max), number(f.Mean))
	}
	list := func(what string, l []viz.TokenScore) {
		if len(l) > 0 {
			var words []string
			for _, t := range l {
				words = append(words, fmt.Sprintf("%q %s", t.Token, number(t.Value)))
			}
			fmt.Fprintf(&b, "%-9s %s\n", what, strings.Join(words, ", "))
		}
	}
	list("raises", f.Top)
	list("lowers", f.Bottom)
	list("reads", f.Embeddings)
	list("extended", f.Extended)
	for _, t := range f.Targets {
		fmt.Fprintf(&b, "to layer %d: norm %s\n", t.Layer, number(t.Norm))
		list("  raises", t.Top)
	}
	var with []string
	for _, o := range f.Coactive[:min(8, len(f.Coactive))] {
		with = append(with, fmt.Sprintf("L%d/F%d %.0f %%", o.Layer, o.Index, 100*o.Share))
	}
	if len(with) > 0 {
		fmt.Fprintf(&b, "%-9s %s\n", "with", strings.Join(with, ", "))
	}
	for _, g := range f.Groups {
		fmt.Fprintf(&b, "\n%s\n", plainLine(g.Name))
		for _, e := range g.Examples {
			line := ""
			for i, t := range e.Tokens {
				if i == e.Peak {
					t = "⟦" + t + "⟧"
				}
				line += plainLine(t)
			}
			if e.Repeats > 0 {
				line += fmt.Sprintf("  ×%d", e.Repeats+1)
			}
			fmt.Fprintf(&b, "%8s  %s\n", number(e.Value), line)
		}
	}
	return b.String()
}
