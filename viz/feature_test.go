package viz

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// sampleFeature is a feature that likes Texas, with every part of the card.
func sampleFeature() Feature {
	text := append(prompt[:10:10], " is", " Austin", ".", " It", " is", " hot", "\n", " He", " lives", " in", " Houston")
	f := Feature{Layer: 3, Index: 128, Label: "Dallas, Houston", Guess: true, Tokens: 200_000, Active: 843, Density: 843.0 / 200_000, Max: 9.25, Mean: 3.1, BinWidth: 0.25}
	for i := range 37 {
		f.Histogram = append(f.Histogram, int(400*math.Exp(-float64(i)/6)))
	}
	f.Histogram = append(f.Histogram, make([]int, 27)...)
	example := func(value float64, k int) FeatureExample {
		e := FeatureExample{Tokens: text, Values: make([]float64, len(text)), Peak: 9, Value: value, Window: 17 * k, Pos: 9 + k%2}
		e.Values[9], e.Values[10], e.Values[20] = value, value/4, value/2
		if k%3 > 0 {
			e.Tokens, e.Values, e.Repeats = text[4:13], e.Values[4:13], k
			e.Peak = 5
		}
		return e
	}
	for g := range 4 {
		high := f.Max * float64(4-g) / 3
		group := ExampleGroup{Name: fmt.Sprintf("Interval %d", g), Low: high - f.Max/3, High: high}
		if g == 0 {
			group = ExampleGroup{Name: "Top examples", Low: 5, High: f.Max}
		}
		for k := range 12 - 3*g {
			group.Examples = append(group.Examples, example(high*(1-float64(k)/40), k+g))
		}
		f.Groups = append(f.Groups, group)
	}
	for i, t := range []string{" Austin", " Texas", " Houston", " TX", "\n", " Dallas", " oil", " cowboy", " the", " Antonio", " El"} {
		f.Top = append(f.Top, TokenScore{i, t, 3.2 - 0.25*float64(i)})
		f.Bottom = append(f.Bottom, TokenScore{40 + i, " no" + t, -2.1 + 0.15*float64(i)})
	}
	f.Embeddings, f.Extended = f.Bottom[:4], f.Top[:5]
	for l := 3; l < 6; l++ {
		f.Targets = append(f.Targets, TargetLayer{Layer: l, Norm: 1.5 / float64(l), Top: f.Top[l-3:], Bottom: f.Bottom[l-3:]})
	}
	f.Coactive = []CoactiveEntry{{2, 17, "states", 0.83, 700}, {3, 4, "", 0.11, 93}}
	return f
}

// hostileFeature has the corpus in every text.
func hostileFeature(i int) Feature {
	f := sampleFeature()
	at := func(k int) string { return hostile[(i*7+k)%len(hostile)] }
	f.Label, f.Guess = at(0), i%2 == 0
	for g := range f.Groups {
		f.Groups[g].Name = at(g + 1)
		for e := range f.Groups[g].Examples {
			x := &f.Groups[g].Examples[e]
			x.Tokens = append([]string{}, x.Tokens...)
			for k := range x.Tokens {
				x.Tokens[k] = at(k + e)
			}
		}
	}
	for k := range f.Top {
		f.Top[k].Token, f.Bottom[k].Token = at(k), at(k+11)
	}
	f.Coactive[0].Label = at(3)
	return f
}

func deadFeature() Feature {
	f := sampleFeature()
	f.Label, f.Active, f.Density, f.Max, f.Mean, f.Groups, f.Histogram, f.Coactive = "", 0, 0, 0, 0, nil, nil, nil
	return f
}

func TestGoldenFeature(t *testing.T) {
	page := "<!doctype html><meta charset=\"utf-8\"><title>Features</title>\n" + FeatureCard(sampleFeature()).HTML + FeatureCard(deadFeature()).HTML +
		"<div style=\"background:#111111;color:#E0E0E0;padding:12px\">" + FeatureBrief(sampleFeature()) + "</div>\n"
	golden(t, "feature.html", []byte(page))
	o := FeatureCard(sampleFeature())
	golden(t, "feature.md", []byte(o.Plain+"\n\n"+o.Markdown))
	if n := len(o.HTML); n > 60<<10 {
		t.Errorf("the card is %d bytes, the budget is 60 KB", n)
	}
	if o.HTML != FeatureCard(sampleFeature()).HTML {
		t.Error("two cards of one feature differ")
	}
}

// TestFeatureSurvives: the cards keep to what an untrusted notebook shows, with any
// text in them.
func TestFeatureSurvives(t *testing.T) {
	for i := range hostile {
		f := hostileFeature(i)
		o := FeatureCard(f)
		checkHTML(t, "feature", o.HTML)
		checkHTML(t, "brief", FeatureBrief(f))
		for _, s := range []string{payload.ReplaceAllString(o.HTML, ""), o.Plain, FeatureBrief(f)} {
			checkText(t, "feature", s)
		}
		checkMarkdown(t, "feature", o.Markdown)
	}
	for name, f := range map[string]Feature{"empty": {}, "dead": deadFeature(), "odd": {Active: 3, Groups: []ExampleGroup{{}, {Examples: []FeatureExample{{Peak: 4}, {Peak: -1, Tokens: []string{"a"}}}}}}} {
		checkHTML(t, name, FeatureCard(f).HTML)
		checkHTML(t, name, FeatureBrief(f))
	}
}

// TestFeatureSays: dead features say so, guesses say so, the peak is framed once an
// example, long contexts can be opened.
func TestFeatureSays(t *testing.T) {
	f := sampleFeature()
	o := FeatureCard(f)
	if !strings.Contains(o.Plain, "guess: Dallas") || !strings.Contains(FeatureCard(deadFeature()).HTML, ">dead<") || strings.Contains(o.HTML, ">dead<") {
		t.Error("the card does not say what is a guess and what is dead")
	}
	n := 0
	for _, g := range f.Groups {
		for _, e := range g.Examples {
			n++
			if e.Peak+exampleAfter+1 < len(e.Tokens) {
				n++ // shown short and whole
			}
		}
	}
	if got := len(regexp.MustCompile(`1px solid #8A5A00`).FindAllString(o.HTML, -1)); got != n {
		t.Errorf("%d framed tokens, want %d", got, n)
	}
	data, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := ParseFeature(data); err != nil || !reflect.DeepEqual(back, f) {
		t.Errorf("a feature changes on its way through JSON: %v", err)
	}
	if _, err := ParseFeature([]byte("{")); err == nil {
		t.Error("broken JSON is read")
	}
}
