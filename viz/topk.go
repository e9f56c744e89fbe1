package viz

import (
	"math"
	"sort"
	"strconv"
)

// Prediction is one candidate for the next token.
type Prediction struct {
	Token string
	Prob  float64 // 0-1
	Logit float64
}

// TopK shows next-token predictions as bars: one list, or two on one scale
// with the differences. labels name the two lists ("before", "after") and,
// third, the whole. A token missing from one list is left blank there.
func TopK(before, after []Prediction, labels ...string) Output {
	names := [3]string{"before", "after", "Predictions"}
	if after == nil {
		names[0] = "prob."
	}
	for i, l := range labels {
		if i < 3 && l != "" {
			names[i] = l
		}
	}
	rows := pairUp(before, after)
	head, table := topTable(rows, names, after != nil)
	c := card{kind: "topk", title: names[2], body: topBars(rows, names, after != nil)}
	c.markdown = mdTable(names[2], head, table)
	c.plain = plainTable(names[2], head, table)
	return c.output()
}

// pair is one token in both lists; NaN where it is missing.
type pair struct {
	token          string
	p, q           float64 // probability before, after
	logitP, logitQ float64
}

func pairUp(before, after []Prediction) []pair {
	var rows []pair
	index := map[string]int{}
	nan := math.NaN()
	for _, x := range before {
		index[x.Token] = len(rows)
		rows = append(rows, pair{x.Token, x.Prob, nan, x.Logit, nan})
	}
	for _, x := range after {
		i, ok := index[x.Token]
		if !ok {
			i = len(rows)
			rows = append(rows, pair{x.Token, nan, nan, nan, nan})
		}
		rows[i].q, rows[i].logitQ = x.Prob, x.Logit
	}
	sort.SliceStable(rows, func(i, j int) bool { return rows[i].top() > rows[j].top() })
	return rows
}

// top is the larger probability, ignoring a missing one.
func (r pair) top() float64 {
	switch {
	case math.IsNaN(r.p):
		return r.q
	case math.IsNaN(r.q):
		return r.p
	}
	return math.Max(r.p, r.q)
}

func blankNaN(v float64, f func(float64) string) string {
	if math.IsNaN(v) {
		return ""
	}
	return f(v)
}

func topTable(rows []pair, names [3]string, paired bool) (head []string, table [][]string) {
	head = []string{"rank", "token", names[0]}
	if paired {
		head = append(head, names[1], "Δ prob.", "Δ logit")
	} else {
		head = append(head, "logit")
	}
	points := func(x float64) string { return signed(100*x) + " pp" }
	for i, r := range rows {
		line := []string{strconv.Itoa(i + 1), quoted(r.token), blankNaN(r.p, pct)}
		if paired {
			line = append(line, blankNaN(r.q, pct), blankNaN(r.q-r.p, points), blankNaN(r.logitQ-r.logitP, signed))
		} else {
			line = append(line, num(r.logitP))
		}
		table = append(table, line)
	}
	return head, table
}

const (
	beforeColour = "#767676"
	afterColour  = "#0072B2"
)

func topBars(rows []pair, names [3]string, paired bool) string {
	scale := 0.0
	for _, r := range rows {
		scale = math.Max(scale, r.top())
	}
	bar := func(v float64, colour string) string {
		w := 0.0
		if scale > 0 && v > 0 {
			w = math.Max(0.5, 100*v/scale)
		}
		return `<div style="height:8px;margin:1px 0;border-radius:2px;background:` + colour + `;width:` + css(w) + `%"></div>`
	}
	cell := cellStyle + ";text-align:left;vertical-align:middle"
	right, headRight := cellStyle+align(true)+";white-space:nowrap", cellStyle+";text-align:right"
	th := func(style, name, colour string) string {
		mark := ""
		if colour != "" {
			mark = `<span style="display:inline-block;width:10px;height:8px;border-radius:2px;background:` + colour + `"></span> `
		}
		if len(name) <= 16 {
			style += ";white-space:nowrap"
		}
		return `<th scope="col" style="` + style + `;font-weight:600">` + mark + esc(name) + `</th>`
	}
	colour0, last := afterColour, "logit"
	if paired {
		colour0, last = beforeColour, "Δ logit"
	}
	s := `<table style="` + tableStyle + `;width:100%;max-width:760px"><caption style="text-align:left;` + dimStyle +
		`">Next-token probability, bars on one scale up to ` + esc(pct(scale)) + `</caption><thead><tr style="` + rowStyle + `">` +
		th(cell, "token", "") + th(cell+";width:45%;min-width:90px", "", "") + th(headRight, names[0], colour0)
	if paired {
		s += th(headRight, names[1], afterColour) + th(headRight, "Δ prob.", "")
	}
	s += th(headRight, last, "") + "</tr></thead><tbody>"
	for i, r := range rows {
		weight := ""
		if i == 0 {
			weight = ";font-weight:600"
		}
		s += `<tr style="` + rowStyle + `"><td title="` + esc(quoted(r.token)) + `" style="` + cell + `;white-space:pre` + weight + `"><bdi>` + esc(short(glyph(r.token, 1))) + `</bdi></td><td style="` + cell + `">` + bar(r.p, colour0)
		if paired {
			s += bar(r.q, afterColour)
		}
		s += `</td><td style="` + right + `">` + esc(blankNaN(r.p, pct)) + `</td>`
		if paired {
			s += `<td style="` + right + `">` + esc(blankNaN(r.q, pct)) + `</td>` + delta(right, r.q-r.p, func(v float64) string { return signed(100*v) + " pp" }) + delta(right, r.logitQ-r.logitP, signed)
		} else {
			s += `<td style="` + right + `">` + num(r.logitP) + `</td>`
		}
		s += `</tr>`
	}
	return s + "</tbody></table>"
}

// delta is a signed cell: the sign is written, the colour repeats it.
func delta(style string, v float64, f func(float64) string) string {
	colour := lightTheme.Text
	if v > 0 {
		colour = lightTheme.Pos
	} else if v < 0 {
		colour = lightTheme.NegText
	}
	return `<td style="` + style + `;color:` + colour + `">` + esc(blankNaN(v, f)) + `</td>`
}
