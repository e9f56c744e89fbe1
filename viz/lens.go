package viz

import (
	"fmt"
	"math"
	"strings"
)

// LensCell is what the residual stream after one layer would predict at one
// position, if the rest of the model were only the final norm and the unembedding.
type LensCell struct {
	Token string  // the most probable next token
	Prob  float64 // of that token, 0-1
	Rank  int     // of LensOptions.Target, 1 for the most probable; 0 if not known
}

// LensOptions set a logit lens; the zero value works.
type LensOptions struct {
	Target string   // the token whose rank is followed, usually the final answer
	Layers []string // names of the rows; default "layer 0", "layer 1" …
	Pos    int      // the position whose rank is drawn; 0 for the last
}

// lensWidth is the room for the table in pixels, lensCut the longest token in it.
const lensWidth, lensCut = 900.0, 9

// Lens draws the logit lens (nostalgebraist 2020): a table of the top token and
// its probability by layer, cells[layer][pos], the last layer on top, and the rank
// of the target token at one position as a line. tokens[pos] is the prompt. Of a
// long prompt the last positions are shown, and the card says so.
func Lens(title string, tokens []string, cells [][]LensCell, o LensOptions) Output {
	if o.Pos <= 0 || o.Pos >= len(tokens) {
		o.Pos = len(tokens) - 1
	}
	for l := len(o.Layers); l < len(cells); l++ {
		o.Layers = append(o.Layers[:l:l], layerName(l))
	}
	c := card{kind: "lens", title: title, finding: lensFinding(tokens, cells, o)}
	from := lensFrom(tokens, cells)
	if from > 0 {
		c.lines = append(c.lines, dim(fmt.Sprintf("The last %d of %d positions; the others do not fit.", len(tokens)-from, len(tokens))))
	}
	if len(cells) == 0 || len(tokens) == 0 {
		c.body = esc("no layers")
		c.markdown, c.plain = mdText(title), visible(title)
		return c.output()
	}
	c.body = lensTable(tokens, cells, o, from)
	ranks := lensRanks(cells, o.Pos)
	if _, _, ok := extent(ranks, nil); ok && o.Target != "" {
		curve := CurveOptions{XLabel: "layer", YLabel: "rank of " + quoted(o.Target) + " at position " + count(o.Pos) + ", 1 is best", LogY: true, Width: 720, Height: 200}
		svg, spots := curvePicture("rank by layer", []Series{{Name: glyph(o.Target, 1), Y: ranks}}, curve)
		c.body += figure(curve.Width, img(svg, "Rank of "+quoted(o.Target)+" by layer: "+curveAlt([]Series{{Name: "rank", Y: ranks}}), curve.Width, curve.Height)+spots)
	}
	head, rows := lensRows(tokens, cells, o, from)
	c.markdown = mdTable(title, head, rows)
	c.plain = visible(c.finding) + "\n" + plainTable(title, head, rows)
	return c.output()
}

func lensRanks(cells [][]LensCell, pos int) []float64 {
	ranks := make([]float64, len(cells))
	for l, row := range cells {
		ranks[l] = math.NaN()
		if pos < len(row) && row[pos].Rank > 0 {
			ranks[l] = float64(row[pos].Rank)
		}
	}
	return ranks
}

// lensFinding says from which layer on the target stays on top.
func lensFinding(tokens []string, cells [][]LensCell, o LensOptions) string {
	if o.Target == "" || o.Pos < 0 {
		return ""
	}
	since := len(cells)
	for l := len(cells) - 1; l >= 0; l-- {
		if o.Pos >= len(cells[l]) || cells[l][o.Pos].Rank != 1 {
			break
		}
		since = l
	}
	at := quoted(o.Target) + " at " + quoted(tokens[o.Pos])
	if since == len(cells) {
		return at + " is not the top prediction after the last layer."
	}
	return at + " is the top prediction from " + o.Layers[since] + " on."
}

// lensFrom is the first position whose column, with all after it, has room.
func lensFrom(tokens []string, cells [][]LensCell) int {
	room := lensWidth - 90
	for p := len(tokens) - 1; p >= 0; p-- {
		w := textWidth(cut(glyph(tokens[p], p), lensCut), 12)
		for _, row := range cells {
			if p < len(row) {
				w = math.Max(w, textWidth(cut(glyph(row[p].Token, 1), lensCut), 12))
			}
		}
		if room -= math.Max(44, w+12); room < 0 {
			return min(p+1, len(tokens)-1)
		}
	}
	return 0
}

func lensTable(tokens []string, cells [][]LensCell, o LensOptions, from int) string {
	cell := "border:1px solid #FFFFFF;padding:2px 5px;text-align:center;white-space:pre;font-size:12px;color:#1A1A1A;background:"
	var b strings.Builder
	b.WriteString(`<table dir="ltr" style="border-collapse:collapse;border:0"><caption style="text-align:left;` + dimStyle +
		`">Top token and its probability after each layer; darker is more probable (log steps), bold is the target</caption><tbody>`)
	for l := len(cells) - 1; l >= 0; l-- {
		b.WriteString(`<tr><th scope="row" style="` + cell + `#FFFFFF;text-align:left;font-weight:400">` + esc(cut(o.Layers[l], 20)) + `</th>`)
		for p := from; p < len(tokens); p++ {
			if p >= len(cells[l]) {
				b.WriteString(`<td style="` + cell + `#FFFFFF"></td>`)
				continue
			}
			x := cells[l][p]
			title := o.Layers[l] + " · " + quoted(tokens[p]) + " → " + quoted(x.Token) + " · " + pct(x.Prob)
			if x.Rank > 0 && o.Target != "" {
				title += " · " + quoted(o.Target) + " is rank " + count(x.Rank)
			}
			weight := ""
			if o.Target != "" && x.Token == o.Target {
				weight = ";font-weight:600"
			}
			b.WriteString(`<td title="` + esc(title) + `" style="` + cell + ramp(x.Prob, 1) + weight + `"><bdi>` + esc(cut(glyph(x.Token, 1), lensCut)) +
				`</bdi><br><span style="font-size:11px;font-weight:400">` + esc(pct(x.Prob)) + `</span></td>`)
		}
		b.WriteString("</tr>")
	}
	b.WriteString(`<tr><th scope="row" style="` + cell + `#FFFFFF;text-align:left;font-weight:400">prompt</th>`)
	for p := from; p < len(tokens); p++ {
		b.WriteString(`<td title="` + esc(quoted(tokens[p])+" · position "+count(p)) + `" style="` + cell + `#F5F6F8;font-weight:600"><bdi>` + esc(cut(glyph(tokens[p], p), lensCut)) + `</bdi></td>`)
	}
	b.WriteString("</tr></tbody></table>")
	return b.String()
}

// lensRows is the same table as text.
func lensRows(tokens []string, cells [][]LensCell, o LensOptions, from int) (head []string, rows [][]string) {
	head = []string{"layer"}
	for p := from; p < len(tokens); p++ {
		head = append(head, quoted(tokens[p]))
	}
	if o.Target != "" {
		head = append(head, "rank of "+quoted(o.Target))
	}
	ranks := lensRanks(cells, o.Pos)
	for l := len(cells) - 1; l >= 0; l-- {
		row := []string{o.Layers[l]}
		for p := from; p < len(tokens); p++ {
			text := ""
			if p < len(cells[l]) {
				text = quoted(cells[l][p].Token) + " " + pct(cells[l][p].Prob)
			}
			row = append(row, text)
		}
		if o.Target != "" {
			row = append(row, blankNaN(ranks[l], func(v float64) string { return count(int(v)) }))
		}
		rows = append(rows, row)
	}
	return head, rows
}
