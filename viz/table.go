package viz

import "strings"

// Front ends style tables on their own (JupyterLab stripes rows, aligns right,
// fixes the layout), so what matters is said here: colours on table and row,
// alignment and padding on cells.
const (
	tableStyle = "border-collapse:collapse;table-layout:auto;margin:4px 0;font-size:12px;border:0;color:#1A1A1A"
	rowStyle   = "background:#FFFFFF;border-bottom:1px solid #E6E6E6"
	cellStyle  = "padding:2px 10px 2px 0"
)

// Table shows rows of text under a title and a head. Columns of numbers are
// set in a monospace font and aligned to the right. Cells are plain text.
func Table(title string, head []string, rows [][]string) Output {
	c := card{kind: "table", body: htmlTable(title, true, head, rows), markdown: mdTable(title, head, rows)}
	c.plain = plainTable(title, head, rows)
	return c.output()
}

// htmlTable is a table with a caption, written large if it is the title of a
// whole output.
func htmlTable(caption string, isTitle bool, head []string, rows [][]string) string {
	var b strings.Builder
	b.WriteString(`<table style="` + tableStyle + `">`)
	if caption != "" {
		style := dimStyle
		if isTitle {
			style = "font-weight:600;font-size:15px;color:#1A1A1A;padding:0 0 4px 0"
		}
		b.WriteString(`<caption style="text-align:left;` + style + `">` + esc(caption) + `</caption>`)
	}
	right := numericColumns(len(head), rows)
	if len(head) > 0 {
		b.WriteString(`<thead><tr style="` + rowStyle + `">`)
		for j, h := range head {
			b.WriteString(`<th scope="col" style="` + cellStyle + ";font-weight:600;text-align:" + side(right[j]) + `">` + esc(h) + `</th>`)
		}
		b.WriteString("</tr></thead>")
	}
	b.WriteString("<tbody>")
	for _, row := range rows {
		b.WriteString(`<tr style="` + rowStyle + `">`)
		for j, v := range row {
			style := cellStyle
			if j < len(right) {
				style += align(right[j])
			}
			b.WriteString(`<td style="` + style + `">` + bdi(v) + `</td>`)
		}
		b.WriteString("</tr>")
	}
	b.WriteString("</tbody></table>")
	return b.String()
}

func align(right bool) string {
	if right {
		return ";text-align:right;font-family:monospace"
	}
	return ";text-align:left"
}

// side is where the head of a column stands.
func side(right bool) string {
	if right {
		return "right"
	}
	return "left"
}

// bdi escapes a text and, where it may hold right-to-left letters, isolates it.
func bdi(s string) string {
	for _, r := range s {
		if r >= 0x590 && r < 0x2000 || r >= 0xFB1D {
			return "<bdi>" + esc(s) + "</bdi>"
		}
	}
	return esc(s)
}

// numericColumns says which columns hold nothing but numbers and units.
func numericColumns(n int, rows [][]string) []bool {
	out := make([]bool, n)
	for j := range out {
		seen := false
		out[j] = true
		for _, r := range rows {
			if j >= len(r) || r[j] == "" {
				continue
			}
			seen = true
			if !looksNumeric(r[j]) {
				out[j] = false
				break
			}
		}
		out[j] = out[j] && seen
	}
	return out
}

func looksNumeric(s string) bool {
	digits := false
	for _, r := range s {
		if r >= '0' && r <= '9' {
			digits = true
		} else if !strings.ContainsRune("+-−.e% p\u2009<×±", r) {
			return s == "n/a"
		}
	}
	return digits
}

// mdTable is the same table in Markdown; rows are cut at 50.
func mdTable(title string, head []string, rows [][]string) string {
	var b strings.Builder
	if title != "" {
		b.WriteString("**" + mdText(title) + "**\n\n")
	}
	if len(head) == 0 && len(rows) > 0 {
		head = make([]string, len(rows[0]))
	}
	right := numericColumns(len(head), rows)
	line := func(cells []string) {
		b.WriteByte('|')
		for _, c := range cells {
			if strings.HasPrefix(c, `"`) {
				b.WriteString(" " + mdCode(c) + " |")
			} else {
				b.WriteString(" " + mdText(c) + " |")
			}
		}
		b.WriteByte('\n')
	}
	line(head)
	b.WriteByte('|')
	for _, r := range right {
		if r {
			b.WriteString("--:|")
		} else {
			b.WriteString("---|")
		}
	}
	b.WriteByte('\n')
	for i, r := range rows {
		if i == 50 {
			b.WriteString("\n" + many(len(rows)-50, "more row") + "\n")
			break
		}
		line(r)
	}
	return b.String()
}

// plainTable is the title and the first five rows.
func plainTable(title string, head []string, rows [][]string) string {
	var b strings.Builder
	b.WriteString(visible(title))
	if len(rows) > 5 {
		b.WriteString(" (first 5 of " + count(len(rows)) + " rows)")
	}
	b.WriteByte('\n')
	shown := append([][]string{head}, rows[:min(5, len(rows))]...)
	width := make([]int, len(head))
	for _, r := range shown {
		for j, v := range r {
			if j < len(width) {
				width[j] = max(width[j], len([]rune(visible(v))))
			}
		}
	}
	for _, r := range shown {
		line := ""
		for j, v := range r {
			v = visible(v)
			line += v + " "
			if j < len(width) {
				line += strings.Repeat(" ", 1+width[j]-len([]rune(v)))
			}
		}
		if t := strings.TrimRight(line, " "); t != "" {
			b.WriteString(t + "\n")
		}
	}
	return strings.TrimRight(b.String(), "\n")
}
