package viz

import (
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Row is one value per token: a feature's activation, a loss, a divergence.
// NaN stands for "no value here". Max is the value drawn in the strongest
// colour, 0 for the largest magnitude in the row.
type Row struct {
	Name   string
	Values []float64
	Max    float64
}

func (r Row) scale() float64 {
	if r.Max > 0 {
		return r.Max
	}
	m := 0.0
	for _, v := range r.Values {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			m = math.Max(m, math.Abs(v))
		}
	}
	return m
}

func (r Row) at(i int) float64 {
	if i < len(r.Values) {
		return r.Values[i]
	}
	return math.NaN()
}

const maxTokenRows = 5

// Tokens colours text by values: orange above zero, blue below, on a log
// scale so that weak activations stay visible. One row colours the running
// text; up to five rows give a grid, or one text each where the prompt is
// long. Further rows are dropped, and the card says so.
func Tokens(tokens []string, rows []Row) Output {
	c := card{kind: "tokens"}
	dropped := len(rows) - maxTokenRows
	if dropped > 0 {
		rows = rows[:maxTokenRows]
	}
	boxes := tokenBoxes(tokens)
	switch {
	case len(rows) == 0:
		c.body = tokenText(boxes, Row{})
	case len(rows) > 1 && gridWidth(boxes) <= 900:
		c.body = tokenGrid(boxes, rows)
	default:
		for _, r := range rows {
			if r.Name != "" {
				c.body += `<div style="font-weight:600;margin:4px 0 0 0">` + esc(r.Name) + `</div>`
			}
			c.body += tokenText(boxes, r)
		}
	}
	for _, r := range rows {
		c.body += tokenLegend(r, len(rows) > 1)
	}
	if dropped > 0 {
		c.body += `<div style="` + dimStyle + `">` + esc(many(dropped, "more row")+" not shown") + `</div>`
	}
	head, table := tokenTable(tokens, rows)
	if len(rows) > 0 {
		c.details = append(c.details, fold("Data: the strongest tokens", htmlTable("Tokens by largest magnitude", false, head, table)))
	}
	c.markdown = mdTable(rowNames(rows), head, table)
	c.plain = plainText(tokens) + "\n" + plainTable(rowNames(rows), head, table)
	return c.output()
}

// tokenBox is what is drawn as one piece: a token, or several that only
// together are valid UTF-8.
type tokenBox struct {
	text     string // glyphs
	title    string
	from, to int
	newline  bool
}

func tokenBoxes(tokens []string) []tokenBox {
	var out []tokenBox
	for i := 0; i < len(tokens); {
		n := joined(tokens[i:])
		whole := strings.Join(tokens[i:i+n], "")
		b := tokenBox{text: short(glyph(whole, i)), from: i, to: i + n, newline: strings.HasSuffix(whole, "\n")}
		b.title = fmt.Sprintf("%s · position %d", quoted(whole), i)
		if n > 1 {
			b.title = fmt.Sprintf("%s · positions %d to %d · bytes % X", quoted(whole), i, i+n-1, whole[:min(len(whole), 16)])
		} else if !utf8.ValidString(whole) {
			b.title += fmt.Sprintf(" · bytes % X", whole[:min(len(whole), 16)])
		}
		out = append(out, b)
		i += n
	}
	return out
}

// joined is how many of the first tokens form one box: 1, or up to 4 that are
// byte fragments of one or more characters.
func joined(tokens []string) int {
	if utf8.ValidString(tokens[0]) {
		return 1
	}
	s := ""
	for n, t := range tokens[:min(4, len(tokens))] {
		s += t
		if n > 0 && utf8.ValidString(s) {
			return n + 1
		}
	}
	return 1
}

func (b tokenBox) value(r Row) float64 {
	best := math.NaN()
	for i := b.from; i < b.to; i++ {
		if v := r.at(i); math.IsNaN(best) || math.Abs(v) > math.Abs(best) {
			best = v
		}
	}
	return best
}

// html is the text of the box: isolated, so that right-to-left scripts keep
// position order, with a count where several tokens share it.
func (b tokenBox) html() string {
	s := `<bdi>` + esc(b.text) + `</bdi>`
	if n := b.to - b.from; n > 1 {
		s += `<sub style="color:#595959">` + strconv.Itoa(n) + `</sub>`
	}
	return s
}

func tokenText(boxes []tokenBox, r Row) string {
	scale := r.scale()
	var b strings.Builder
	b.WriteString(`<div dir="ltr" style="font-size:14px;line-height:1.9;white-space:pre-wrap">`)
	for _, t := range boxes {
		v := t.value(r)
		title := t.title
		if len(r.Values) > 0 {
			title += " · " + num(v)
		}
		style := "background:" + ramp(v, scale) + ";border-radius:3px;padding:2px 0;border:1px solid #E6E6E6"
		if scale > 0 && math.Abs(v) >= scale {
			style += ";font-weight:600"
		}
		b.WriteString(`<span title="` + esc(title) + `" style="` + style + `">` + t.html() + `</span>`)
		if t.newline {
			b.WriteString("<br>")
		}
	}
	b.WriteString("</div>")
	return b.String()
}

func gridWidth(boxes []tokenBox) float64 {
	w := 140.0
	for _, b := range boxes {
		w += math.Max(26, textWidth(b.text, 12)+10)
	}
	return w
}

func tokenGrid(boxes []tokenBox, rows []Row) string {
	var b strings.Builder
	cell := "border:0;border-right:1px solid #FFFFFF;border-bottom:1px solid #FFFFFF;padding:3px 5px;text-align:center;white-space:pre;font-size:12px;color:#1A1A1A;background:"
	b.WriteString(`<table dir="ltr" style="border-collapse:collapse;border:0"><caption style="text-align:left;` + dimStyle + `">Rows by token position</caption><thead><tr><td style="` + cell + `#FFFFFF"></td>`)
	for _, t := range boxes {
		b.WriteString(`<th scope="col" title="` + esc(t.title) + `" style="` + cell + `#F5F6F8;font-weight:600">` + t.html() + `</th>`)
	}
	b.WriteString("</tr></thead><tbody>")
	for _, r := range rows {
		scale := r.scale()
		b.WriteString(`<tr><th scope="row" style="` + cell + `#FFFFFF;text-align:left;font-weight:400"><bdi>` + esc(cut(r.Name, 40)) + `</bdi></th>`)
		for _, t := range boxes {
			v, text := t.value(r), ""
			if v != 0 && !math.IsNaN(v) {
				text = brief(v)
			}
			b.WriteString(`<td title="` + esc(r.Name+" · "+t.title+" · "+num(v)) + `" style="` + cell + ramp(v, scale) + `">` + text + `</td>`)
		}
		b.WriteString("</tr>")
	}
	b.WriteString("</tbody></table>")
	return b.String()
}

// tokenLegend states the scale: six swatches and the value of the last.
func tokenLegend(r Row, withName bool) string {
	scale := r.scale()
	if scale == 0 {
		if len(r.Values) == 0 {
			return ""
		}
		return `<div style="` + dimStyle + `">` + esc(r.Name+" is zero everywhere") + `</div>`
	}
	neg, pos := false, false
	for _, v := range r.Values {
		neg, pos = neg || v < 0, pos || v > 0
	}
	sw := func(c string) string {
		return `<span style="display:inline-block;width:14px;height:10px;border:1px solid #D0D0D0;background:` + c + `"></span>`
	}
	s := ""
	if withName && r.Name != "" {
		s += esc(cut(r.Name, 40)) + ": "
	}
	if neg {
		s += minus + num(scale) + " "
		for i := len(coldRamp) - 1; i > 0; i-- {
			s += sw(coldRamp[i])
		}
	}
	s += " 0 "
	if pos || !neg {
		for _, c := range warmRamp[1:] {
			s += sw(c)
		}
		s += " " + num(scale)
	}
	of := "scale: this text"
	if r.Max > 0 {
		of = "scale: given"
	}
	return `<div style="` + dimStyle + `">` + s + " · log steps · " + of + `</div>`
}

func rowNames(rows []Row) string {
	var names []string
	for _, r := range rows {
		if r.Name != "" {
			names = append(names, r.Name)
		}
	}
	return strings.Join(names, ", ")
}

// tokenTable lists the 20 tokens with the largest magnitudes in any row,
// relative to the row's scale.
func tokenTable(tokens []string, rows []Row) (head []string, table [][]string) {
	head = []string{"position", "token"}
	for i, r := range rows {
		if r.Name == "" {
			r.Name = "value " + strconv.Itoa(i+1)
		}
		head = append(head, r.Name)
	}
	order := make([]int, len(tokens))
	weight := make([]float64, len(tokens))
	for i := range tokens {
		order[i] = i
		for _, r := range rows {
			if s, v := r.scale(), math.Abs(r.at(i)); s > 0 && v/s > weight[i] {
				weight[i] = v / s
			}
		}
	}
	sort.SliceStable(order, func(a, b int) bool { return weight[order[a]] > weight[order[b]] })
	for _, i := range order[:min(20, len(order))] {
		row := []string{strconv.Itoa(i), quoted(tokens[i])}
		for _, r := range rows {
			row = append(row, num(r.at(i)))
		}
		table = append(table, row)
	}
	return head, table
}

// plainText joins tokens as glyphs, for terminals.
func plainText(tokens []string) string {
	var b strings.Builder
	for _, t := range tokenBoxes(tokens) {
		b.WriteString(t.text)
	}
	return b.String()
}
