package viz

import (
	"math"
	"strings"
)

// Bar is one line of a bar chart.
type Bar struct {
	Name  string
	Value float64
	Note  string // after the number, for instance what is compared
}

// BarOptions set a bar chart; the zero value works.
type BarOptions struct {
	Label   string // what the values are, with their unit
	Percent bool   // values are fractions
	Note    string // one line under the title
}

const maxBars = 60

// Bars draws named values as bars from a common zero: blue to the right above
// it, orange to the left below. At most 60 are drawn; the card counts the rest.
func Bars(title string, bars []Bar, o BarOptions) Output {
	write := num
	if o.Percent {
		write = pct
	}
	c := card{kind: "bars", title: title}
	if o.Note != "" {
		c.lines = append(c.lines, dim(o.Note))
	}
	if n := len(bars) - maxBars; n > 0 {
		c.lines = append(c.lines, dim(count(n)+" more bars not shown"))
		bars = bars[:maxBars]
	}
	lo, hi, noted := 0.0, 0.0, false
	for _, b := range bars {
		if finite(b.Value) {
			lo, hi = math.Min(lo, b.Value), math.Max(hi, b.Value)
		}
		noted = noted || b.Note != ""
	}
	head := []string{"name", "value"}
	if o.Label != "" {
		head[1] = o.Label
	}
	if noted {
		head = append(head, "note")
	}
	var rows [][]string
	var s strings.Builder
	cell, number := cellStyle+";text-align:left;vertical-align:middle", cellStyle+align(true)
	s.WriteString(`<table style="` + tableStyle + `;width:100%;max-width:760px"><caption style="text-align:left;` + dimStyle + `">` + esc(barCaption(o.Label, lo, hi, write)) + `</caption><tbody>`)
	for _, b := range bars {
		row := []string{b.Name, write(b.Value)}
		s.WriteString(`<tr style="` + rowStyle + `"><th scope="row" title="` + esc(cut(b.Name, 200)) + `" style="` + cell + `;font-weight:400;white-space:pre">` + bdi(short(b.Name)) + `</th><td style="` + cell + `;width:50%">` +
			bar(b.Value, lo, hi) + `</td><td style="` + number + `">` + esc(write(b.Value)) + `</td>`)
		if noted {
			s.WriteString(`<td style="` + cell + `">` + bdi(cut(b.Note, 80)) + `</td>`)
			row = append(row, b.Note)
		}
		s.WriteString("</tr>")
		rows = append(rows, row)
	}
	c.body = s.String() + "</tbody></table>"
	c.markdown, c.plain = mdTable(title, head, rows), plainTable(title, head, rows)
	return c.output()
}

func barCaption(label string, lo, hi float64, write func(float64) string) string {
	if label != "" {
		label += ", "
	}
	return label + "bars from " + write(lo) + " to " + write(hi)
}

// bar is one bar between lo <= 0 and hi >= 0, as wide as its cell.
func bar(v, lo, hi float64) string {
	if !finite(v) || hi <= lo {
		return ""
	}
	left, width, colour := -lo/(hi-lo), v/(hi-lo), lightTheme.Pos
	if v < 0 {
		left, width, colour = (v-lo)/(hi-lo), -v/(hi-lo), lightTheme.Neg
	}
	zero := -lo / (hi - lo)
	s := `<div style="position:relative;height:12px;width:100%"><div style="position:absolute;left:` + css(100*left) + `%;top:1px;width:` + css(100*math.Max(width, 0.004)) +
		`%;height:10px;border-radius:2px;background:` + colour + `"></div>`
	if lo < 0 {
		s += `<div style="position:absolute;left:` + css(100*zero) + `%;top:0;width:1px;height:12px;background:#767676"></div>`
	}
	return s + "</div>"
}
