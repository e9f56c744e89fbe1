package viz

import (
	"html"
	"regexp"
	"strings"
	"testing"
)

var (
	imgTag     = regexp.MustCompile(`<img alt="([^"]*)"[^>]*>`)
	tableTag   = regexp.MustCompile(`<table[^>]*>(<caption)?`)
	headTag    = regexp.MustCompile(`<th( scope="(?:col|row)")?[ >]`)
	detailsTag = regexp.MustCompile(`<details[^>]*>(<summary[^>]*>[^<]*)?`)
)

// TestEverythingHasAName: what a screen reader needs. Pictures say what they show in at most 250 characters, tables have a
// caption and headers with a scope, what is folded has a summary.
func TestEverythingHasAName(t *testing.T) {
	full := planted(1, 12, 1.5)
	g := pruned(t, full, 0.8, 0.98)
	graph, err := Graph(g, richOptions(full, g))
	if err != nil {
		t.Fatal(err)
	}
	other := planted(2, 12, 1.5)
	both, err := Compare(g, pruned(t, other, 0.8, 0.98), CompareOptions{A: "one prompt", B: "another", GraphA: GraphOptions{Full: full}, GraphB: GraphOptions{Full: other}})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range append(components(), FeatureCard(featureOf(" Texas")), graph, both) {
		still := o.Still().HTML
		named := 0
		for _, m := range imgTag.FindAllStringSubmatch(still, -1) {
			if n := len(graphemes(html.UnescapeString(m[1]))); n > 250 {
				t.Errorf("%s: alt of %d characters: %s", o.Kind, n, m[1])
			} else if n > 0 {
				named++
			}
		}
		if named == 0 && imgTag.MatchString(still) { // tiles on top of a named picture have an empty one
			t.Errorf("%s: no picture says what it shows", o.Kind)
		}
		if strings.Count(still, "<img ") != len(imgTag.FindAllString(still, -1)) {
			t.Errorf("%s: a picture without alt", o.Kind)
		}
		for _, m := range tableTag.FindAllStringSubmatch(still, -1) {
			if m[1] == "" {
				t.Errorf("%s: a table without caption: %s", o.Kind, m[0])
			}
		}
		for _, m := range headTag.FindAllStringSubmatch(still, -1) {
			if m[1] == "" {
				t.Errorf("%s: a header without scope", o.Kind)
			}
		}
		for _, m := range detailsTag.FindAllStringSubmatch(still, -1) {
			if m[1] == "" {
				t.Errorf("%s: folded, but no summary", o.Kind)
			}
		}
	}
}
