package viz

import (
	"fmt"
	"math"
	"strings"
)

const (
	exampleBefore = 10 // tokens shown before the peak; the rest is folded
	exampleAfter  = 5
	openExamples  = 8 // of the top group, the others are folded
	cardLogits    = 10
)

// FeatureCard is a feature's dashboard: what it writes, how strongly it is active
// and how often, and text on which it is, with folds for what it reads, what it
// writes layer by layer, and the features that go with it. It needs no script.
func FeatureCard(f Feature) Output {
	c := card{kind: "feature", title: f.title(), lines: []string{f.headLine()}}
	var b strings.Builder
	b.WriteString(`<div style="display:flex;flex-wrap:wrap;gap:4px 28px">`)
	if len(f.Top)+len(f.Bottom) > 0 {
		scale := scoreScale(f.Top, f.Bottom)
		b.WriteString(`<div>` + barList("Logits raised, over all layers", f.Top, cardLogits, scale) + `</div>`)
		b.WriteString(`<div>` + barList("Logits lowered", f.Bottom, cardLogits, scale) + `</div>`)
	}
	if len(f.Histogram) > 0 {
		w, h := 300.0, 190.0
		b.WriteString(`<div style="width:300px;max-width:100%">` + figure(w, img(f.histogram(w, h), f.title()+": histogram of activations, "+f.facts(), w, h)) + `</div>`)
	}
	b.WriteString(`</div>`)
	for i, g := range f.Groups {
		if i == 0 {
			n := min(openExamples, len(g.Examples))
			b.WriteString(`<div style="font-weight:600;margin:8px 0 2px 0">` + esc(g.Name) + `</div>` + f.examples(g.Examples[:n]))
			if rest := g.Examples[n:]; len(rest) > 0 {
				b.WriteString(fold(fmt.Sprintf("%d more", len(rest)), f.examples(rest)))
			}
			b.WriteString(f.legend())
			continue
		}
		c.details = append(c.details, fold(f.groupName(g), f.examples(g.Examples)))
	}
	c.body = b.String()
	c.details = append(c.details, f.folds()...)
	head, rows := f.table()
	c.markdown = "**" + mdText(f.title()) + "**\n\n" + mdText(f.facts()) + "\n\n" + mdTable("", head, rows)
	c.plain = visible(f.title()) + "\n" + f.facts() + "\n" + plainTable("", head, rows)
	return c.output()
}

// FeatureBrief is a small card without a frame of its own, for the inside of other
// figures: its colours hold on light and on dark ground.
func FeatureBrief(f Feature) string {
	var b strings.Builder
	b.WriteString(`<div class="clt-feature-brief"><div style="font-weight:600">` + esc(f.title()) + `</div><div>` + f.headLine() + `</div>`)
	for _, l := range []struct {
		name string
		list []TokenScore
	}{{"raises", f.Top}, {"lowers", f.Bottom}} {
		if len(l.list) > 0 {
			b.WriteString(`<div>` + l.name + ` ` + tokenChips(l.list, 5) + `</div>`)
		}
	}
	if len(f.Groups) > 0 {
		b.WriteString(f.examples(f.Groups[0].Examples[:min(4, len(f.Groups[0].Examples))]))
	}
	b.WriteString(`</div>`)
	return b.String()
}

// headLine is the facts, or that the feature is dead.
func (f Feature) headLine() string {
	if f.dead() {
		return themed(lightTheme.Fail, darkTheme.Fail, "dead") + dim(" · "+f.facts()+"; what it would write is shown all the same")
	}
	return dim(f.facts())
}

func (f Feature) groupName(g ExampleGroup) string {
	s := fmt.Sprintf("%s: activation %s to %s", g.Name, num(g.Low), num(g.High))
	if g.Low == 0 {
		s = fmt.Sprintf("%s: activation up to %s", g.Name, num(g.High))
	}
	return s
}

// examples is one line of text each.
func (f Feature) examples(list []FeatureExample) string {
	var b strings.Builder
	for _, e := range list {
		lo, hi := max(0, e.Peak-exampleBefore), min(len(e.Tokens), e.Peak+exampleAfter+1)
		line := f.exampleText(e, lo, hi)
		number := `<span style="display:inline-block;width:48px;padding:0 8px 0 0;text-align:right;font-family:monospace;opacity:0.78">` + num(e.Value) + `</span>`
		if lo > 0 || hi < len(e.Tokens) {
			b.WriteString(`<details style="margin:0"><summary style="cursor:pointer;line-height:1.7">` + number + line + `</summary><div style="margin:0 0 4px 56px">` + f.exampleText(e, 0, len(e.Tokens)) + `</div></details>`)
			continue
		}
		b.WriteString(`<div style="line-height:1.7;margin:0 0 0 16px">` + number + line + `</div>`)
	}
	return b.String()
}

func (e FeatureExample) place() string {
	s := fmt.Sprintf("activation %s at position %d of window %d", num(e.Value), e.Pos, e.Window)
	if e.Repeats > 0 {
		s += fmt.Sprintf(", and %d more places with the same text up to here", e.Repeats)
	}
	return s
}

// exampleText colours tokens lo to hi-1 of an example; the peak has a border.
func (f Feature) exampleText(e FeatureExample, lo, hi int) string {
	if lo >= hi {
		return ""
	}
	scale := f.Max
	if scale <= 0 {
		scale = e.Value
	}
	var b strings.Builder
	b.WriteString(`<span dir="ltr" style="white-space:pre-wrap">`)
	if lo > 0 {
		b.WriteString(`<span style="opacity:0.78">…</span>`)
	}
	row := Row{Values: e.Values[min(lo, len(e.Values)):]}
	for _, t := range tokenBoxes(e.Tokens[lo:hi]) {
		v := t.value(row)
		peak := e.Peak >= lo+t.from && e.Peak < lo+t.to
		if e.Tokens[lo+t.from] == endOfText {
			t.text = glyph(endOfText, e.Pos-e.Peak+lo+t.from)
		}
		if !(v > 0) && !peak { // most tokens: a span each would double the page
			b.WriteString(bdi(t.text))
			continue
		}
		style := "border-radius:3px;padding:1px 0;background:" + glow(v, scale)
		title := quoted(strings.Join(e.Tokens[lo+t.from:lo+t.to], "")) + " · " + num(v)
		if peak {
			style += ";font-weight:600;border:1px solid #8A5A00"
			title = e.place()
		}
		b.WriteString(`<span title="` + esc(title) + `" style="` + style + `">` + t.html() + `</span>`)
	}
	if hi < len(e.Tokens) {
		b.WriteString(`<span style="opacity:0.78">…</span>`)
	}
	b.WriteString(`</span>`)
	if e.Repeats > 0 {
		b.WriteString(` <span style="opacity:0.78;font-size:12px">×` + count(e.Repeats+1) + `</span>`)
	}
	return b.String()
}

// glow is the background of a positive activation, translucent: text stays legible
// on a light and on a dark ground.
func glow(v, scale float64) string {
	return fmt.Sprintf("rgba(230,159,0,%s)", css(0.1*float64(level(v, scale))))
}

// legend states the scale of the examples.
func (f Feature) legend() string {
	var b strings.Builder
	b.WriteString(`<div style="` + dimStyle + `;margin:2px 0 0 0">0 `)
	for k := 1; k <= 5; k++ {
		fmt.Fprintf(&b, `<span style="display:inline-block;width:14px;height:10px;border:1px solid #D0D0D0;background:rgba(230,159,0,%s)"></span>`, css(0.1*float64(k)))
	}
	return b.String() + ` ` + num(f.Max) + ` · log steps · scale: all tokens looked at · the framed token is the one that counts</div>`
}

// scoreScale is the largest magnitude.
func scoreScale(lists ...[]TokenScore) float64 {
	m := 0.0
	for _, l := range lists {
		for _, t := range l {
			m = math.Max(m, math.Abs(t.Value))
		}
	}
	return m
}

// barList is tokens with bars of one scale.
func barList(caption string, list []TokenScore, n int, scale float64) string {
	var b strings.Builder
	b.WriteString(`<table style="` + tableStyle + `"><caption style="text-align:left;font-weight:600;font-size:13px;color:#1A1A1A">` + esc(caption) + `</caption><tbody>`)
	for _, t := range list[:min(n, len(list))] {
		colour, w := lightTheme.Pos, 0.0
		if t.Value < 0 {
			colour = lightTheme.Neg
		}
		if scale > 0 {
			w = 90 * math.Abs(t.Value) / scale
		}
		b.WriteString(`<tr style="` + rowStyle + `"><th scope="row" title="` + esc(fmt.Sprintf("%s, token %d", quoted(t.Token), t.ID)) + `" style="` + cellStyle + `;text-align:left;font-weight:400;white-space:pre"><bdi>` +
			esc(cut(glyph(t.Token, 1), 20)) + `</bdi></th><td style="` + cellStyle + `;width:90px;vertical-align:middle"><div style="height:8px;border-radius:2px;background:` + colour + `;width:` + css(w) + `px"></div></td><td style="` +
			cellStyle + align(true) + `">` + signed(t.Value) + `</td></tr>`)
	}
	b.WriteString(`</tbody></table>`)
	return b.String()
}

// tokenChips is the first tokens of a list in a line.
func tokenChips(list []TokenScore, n int) string {
	var parts []string
	for _, t := range list[:min(n, len(list))] {
		parts = append(parts, `<span title="`+esc(quoted(t.Token)+" "+signed(t.Value))+`" style="border:1px solid #767676;border-radius:3px;padding:0 3px;white-space:pre"><bdi>`+esc(cut(glyph(t.Token, 1), 16))+`</bdi></span>`)
	}
	return strings.Join(parts, " ")
}
