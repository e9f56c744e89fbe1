package viz

import (
	"fmt"
	"math"
	"strings"
)

// folds are the details below a feature's examples.
func (f Feature) folds() []string {
	var out []string
	if len(f.Targets) > 0 {
		out = append(out, fold("What it writes, layer by layer ("+many(len(f.Targets), "layer")+")", f.targetTable()))
	}
	if len(f.Embeddings)+len(f.Extended) > 0 {
		var b strings.Builder
		b.WriteString(`<div style="display:flex;flex-wrap:wrap;gap:4px 28px">`)
		for _, l := range []struct {
			name string
			list []TokenScore
		}{{"Token embeddings, raw", f.Embeddings}, {"Extended by the first MLP", f.Extended}} {
			if len(l.list) > 0 {
				b.WriteString(`<div>` + barList(l.name, l.list, cardLogits, scoreScale(l.list)) + `</div>`)
			}
		}
		b.WriteString(`</div><div style="` + dimStyle + `">` + esc("Embedding and unembedding share their weights, so the raw list can mislead: the first MLP changes a token before this layer reads it.") + `</div>`)
		out = append(out, fold("What it reads: tokens whose embedding points its way", b.String()))
	}
	if len(f.Coactive) > 0 {
		head := []string{"feature", "label", "active together", "of this one's tokens"}
		var rows [][]string
		for _, c := range f.Coactive {
			rows = append(rows, []string{fmt.Sprintf("L%d/F%d", c.Layer, c.Index), cut(c.Label, 60), count(c.Count), pct(c.Share)})
		}
		out = append(out, fold("Active on the same tokens: "+many(len(rows), "feature"), htmlTable("Features most often active together with this one", false, head, rows)))
	}
	return out
}

// targetTable is norms as bars, and the tokens that each part of the decoder moves.
func (f Feature) targetTable() string {
	most := 0.0
	for _, t := range f.Targets {
		most = math.Max(most, t.Norm)
	}
	th := func(s string) string {
		return `<th scope="col" style="` + cellStyle + `;text-align:left;font-weight:600">` + s + `</th>`
	}
	var b strings.Builder
	b.WriteString(`<table style="` + tableStyle + `"><caption style="text-align:left;` + dimStyle + `">Decoder norms by layer written to, and the logits that each part raises and lowers most</caption><thead><tr style="` + rowStyle + `">` +
		th("layer") + th("decoder norm") + th("") + th("raises") + th("lowers") + `</tr></thead><tbody>`)
	for _, t := range f.Targets {
		w := 0.0
		if most > 0 {
			w = 90 * t.Norm / most
		}
		b.WriteString(`<tr style="` + rowStyle + `"><th scope="row" style="` + cellStyle + `;font-weight:400` + align(true) + `">` + fmt.Sprint(t.Layer) + `</th><td style="` + cellStyle + `;width:90px;vertical-align:middle"><div style="height:8px;border-radius:2px;background:#595959;width:` + css(w) +
			`px"></div></td><td style="` + cellStyle + align(true) + `">` + num(t.Norm) + `</td><td style="` + cellStyle + `;text-align:left">` + tokenChips(t.Top, 5) + `</td><td style="` + cellStyle + `;text-align:left">` + tokenChips(t.Bottom, 5) + `</td></tr>`)
	}
	b.WriteString(`</tbody></table>`)
	return b.String()
}

// table is the top examples as text, the peak in brackets, for readers without HTML.
func (f Feature) table() (head []string, rows [][]string) {
	head = []string{"activation", "text, the token that counts in ⟦ ⟧"}
	if len(f.Groups) > 0 {
		for _, e := range f.Groups[0].Examples {
			rows = append(rows, []string{num(e.Value), e.plain()})
		}
	}
	list := func(name string, l []TokenScore) {
		if len(l) == 0 {
			return
		}
		var words []string
		for _, t := range l[:min(5, len(l))] {
			words = append(words, strings.TrimSpace(short(glyph(t.Token, 1))))
		}
		rows = append([][]string{{name, "· " + strings.Join(words, " · ")}}, rows...)
	}
	list("lowers", f.Bottom)
	list("raises", f.Top)
	return head, rows
}

// plain is an example as one line of text.
func (e FeatureExample) plain() string {
	if e.Peak < 0 || e.Peak >= len(e.Tokens) {
		return plainText(e.Tokens)
	}
	lo, hi := max(0, e.Peak-exampleBefore), min(len(e.Tokens), e.Peak+exampleAfter+1)
	return plainText(e.Tokens[lo:e.Peak]) + "⟦" + plainText(e.Tokens[e.Peak:e.Peak+1]) + "⟧" + plainText(e.Tokens[e.Peak+1:hi])
}

// histogram draws counts on a log scale.
func (f Feature) histogram(w, h float64) string {
	s := newPicture(w, h, lightTheme, "activations of "+f.name())
	bins, most := len(f.Histogram), 0
	for bins > 1 && f.Histogram[bins-1] == 0 {
		bins--
	}
	for _, n := range f.Histogram {
		most = max(most, n)
	}
	if most == 0 || f.BinWidth <= 0 {
		s.text(w/2, h/2, "middle", 13, s.p.Dim, "", "never active")
		return s.String()
	}
	ax := newAxis(0, float64(bins)*f.BinWidth, 5, 44, w-12, false)
	ay := newAxis(0, math.Log1p(float64(most)), 4, h-36, 18, false)
	at := func(n float64) float64 { return ay.at(math.Log1p(n)) }
	s.open(`fill="none" stroke-width="2"`)
	for t := 1.0; t <= float64(most); t *= 10 {
		s.line(ax.from, at(t), ax.to, at(t), "#E6E6E6", "")
	}
	s.close()
	for t := 1.0; t <= float64(most); t *= 10 {
		s.text(ax.from-5, at(t)+4, "end", 11, s.p.Dim, "", tick(t))
	}
	for k, n := range f.Histogram[:bins] {
		if n > 0 {
			x0, x1 := ax.at(float64(k)*f.BinWidth), ax.at(float64(k+1)*f.BinWidth)
			s.rect(x0, at(float64(n)), math.Max(1, x1-x0-0.5), ay.from-at(float64(n)), "#E69F00", "")
		}
	}
	s.line(ax.from, ay.from, ax.to, ay.from, "#767676", `stroke-width="2"`)
	for _, t := range ax.ticks {
		s.text(ax.at(t), ay.from+16, "middle", 11, s.p.Dim, "", tick(t))
	}
	s.text((ax.from+ax.to)/2, h-5, "middle", 11, s.p.Dim, "", "activation; zeros left out")
	s.text(8, 11, "start", 11, s.p.Dim, "", "tokens (log)")
	return s.String()
}
