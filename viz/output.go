package viz

import (
	"fmt"
	"strings"
)

// Output is one result in the three forms a reader may meet: HTML for
// notebooks and pages, Markdown for exports and screen readers, plain text for
// terminals. Kind says what it is: "graph", "tokens", "curve" and so on.
//
// The HTML survives a front end that removes scripts, styles and inline SVG:
// pictures are data URIs, hover texts are titles, numbers are in a table.
type Output struct {
	HTML, Markdown, Plain string
	Kind                  string
}

// OutputVersion is the form of outputs, in the metadata of those that notebooks save. It
// rises when older ones no longer look or mean as those of now.
const OutputVersion = 1

// many counts things: "1 feature", "12 features".
func many(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return count(n) + " " + noun
}

// Join puts several outputs into one, in order.
func Join(kind string, outs ...Output) Output {
	j := Output{Kind: kind}
	for i, o := range outs {
		if i > 0 {
			j.HTML += `<div style="height:8px"></div>` + "\n"
			j.Markdown += "\n\n"
			j.Plain += "\n"
		}
		j.HTML += o.HTML
		j.Markdown += o.Markdown
		j.Plain += o.Plain
	}
	return j
}

const (
	cardStyle = "background:#FFFFFF;color:#1A1A1A;border:1px solid #D0D0D0;border-radius:6px;padding:10px 12px;" +
		"max-width:1080px;box-sizing:border-box;font-family:" + sans + ";font-size:13px;line-height:1.45;text-align:left"
	dimStyle = "opacity:0.78;font-size:12px" // second text colour, whatever the first is
)

// card is the skeleton every component fills: a head, the static body, folded
// details, and a script where there is something to explore.
type card struct {
	kind, title string
	finding     string   // one sentence, plain text
	lines       []string // HTML, see dim
	body        string   // HTML
	details     []string
	note        string // plain text, hidden by the script
	script      string // JavaScript, run after the card is in the page
	markdown    string
	plain       string
}

func (c card) output() Output {
	var b strings.Builder
	fmt.Fprintf(&b, `<div class="clt-out clt-%s tex2jax_ignore mathjax_ignore" lang="en" style="%s">`, c.kind, cardStyle)
	if c.title != "" || c.finding != "" || len(c.lines) > 0 {
		b.WriteString(`<div class="clt-head" style="margin:0 0 8px 0">`)
		if c.title != "" {
			b.WriteString(`<div style="font-weight:600;font-size:15px">` + esc(c.title) + `</div>`)
		}
		if c.finding != "" {
			b.WriteString(`<div>` + esc(c.finding) + `</div>`)
		}
		for _, l := range c.lines {
			b.WriteString(`<div style="font-size:12px">` + l + `</div>`)
		}
		b.WriteString(`</div>`)
	}
	b.WriteString(`<div class="clt-static" style="overflow-x:auto">` + c.body + `</div>`)
	for _, d := range c.details {
		b.WriteString(d)
	}
	if c.note != "" {
		b.WriteString(`<p class="clt-note" style="` + dimStyle + `;margin:6px 0 0 0">` + esc(c.note) + `</p>`)
	}
	if readable[c.kind] && strings.Contains(c.body, ` title="`) {
		c.script = alive(c.title)
	}
	if c.script != "" {
		b.WriteString("<script>" + c.script + "</script>")
	}
	b.WriteString("</div>\n")
	return Output{HTML: b.String(), Markdown: c.markdown, Plain: c.plain, Kind: c.kind}
}

// readable are the kinds whose hover texts are also read out in a frame.
var readable = map[string]bool{"tokens": true, "heat": true, "attention": true, "lens": true, "curve": true, "hist": true, "scatter": true, "operands": true, "diff": true, "coactivation": true}

// dim is a text in the second colour.
func dim(text string) string { return `<span style="` + dimStyle + `">` + esc(text) + `</span>` }

// leastScale is how far a picture shrinks where the page is narrow; below that its
// letters of 11 px cannot be read, and the block around it scrolls.
const leastScale = 0.7

// figure wraps a picture and whatever lies on it; lengths inside are percent.
func figure(width float64, inner string) string {
	return fmt.Sprintf(`<div style="position:relative;width:100%%;min-width:%spx;max-width:%spx">%s</div>`, css(leastScale*width), css(width), inner)
}

// spot is an invisible rectangle with a hover text, x to h in pixels of a
// picture of size W by H.
func spot(title string, x, y, w, h, W, H float64) string {
	return fmt.Sprintf(`<span title="%s" style="position:absolute;left:%s%%;top:%s%%;width:%s%%;height:%s%%"></span>`,
		esc(title), css(100*x/W), css(100*y/H), css(100*w/W), css(100*h/H))
}

// fold is a closed <details>; summary is plain text, body HTML.
func fold(summary, body string) string {
	return `<details style="margin:6px 0 0 0"><summary style="cursor:pointer;` + dimStyle + `">` + esc(summary) + `</summary>` + body + `</details>`
}

// statement is a check mark with its word: "✓ ok", "! warn", "✗ fail".
func statement(state string) (glyph, colour string) {
	switch state {
	case "ok":
		return "✓", lightTheme.OK
	case "warn":
		return "!", lightTheme.Warn
	}
	return "✗", lightTheme.Fail
}
