package viz

import (
	"fmt"
	"math"
	"strings"
)

// OperandPlot is one feature over all pairs of operands of a prompt such as
// "calc: a+b=": its activation at the last token.
type OperandPlot struct {
	Name    string
	Values  [][]float64 // [a][b]
	Weights []float64   // direct weight on the number tokens 0, 1, 2 …; nil for none
}

// Operands draws operand plots (Lindsey et al. 2025, "Addition"): one small map
// per feature, a upwards and b to the right, with the strip of its weights on
// number tokens below. Under each stands which simple rule of a and b explains
// most of it: stripes follow one operand, diagonals the sum, a grid both ones
// digits. The rule is a reading of the map, checked by nothing else.
func Operands(title string, plots []OperandPlot) Output {
	c := card{kind: "operands", title: title}
	c.lines = append(c.lines, dim("a upwards, b to the right; dark blue 0, yellow the largest activation; strip: weight on number tokens, orange raises, blue lowers"))
	head := []string{"feature", "active on", "largest", "at a, b", "follows", "share of variance"}
	var rows [][]string
	var body strings.Builder
	body.WriteString(`<div style="display:flex;flex-wrap:wrap;gap:14px">`)
	for _, p := range plots {
		f := operandFacts(p.Values)
		rows = append(rows, []string{p.Name, pct(f.active), num(f.most), fmt.Sprintf("%d, %d", f.a, f.b), f.rule, pct(f.share)})
		body.WriteString(operandMap(p, f))
	}
	c.body = body.String() + "</div>"
	if len(plots) == 0 {
		c.body = esc("no features")
	}
	c.details = append(c.details, fold("Data: features", htmlTable("Features over the operands", false, head, rows)))
	c.markdown, c.plain = mdTable(title, head, rows), plainTable(title, head, rows)
	return c.output()
}

type operandFact struct {
	active      float64 // share of pairs
	most        float64
	a, b        int // of the largest
	rule        string
	share       float64
	rows, width int
}

// operandRules are the readings, those with few classes first. key numbers the
// classes.
var operandRules = []struct {
	name string
	key  func(a, b int) int
}{
	{"ones digit of a", func(a, b int) int { return a % 10 }},
	{"ones digit of b", func(a, b int) int { return b % 10 }},
	{"ones digit of a + b", func(a, b int) int { return (a + b) % 10 }},
	{"a alone", func(a, b int) int { return a }},
	{"b alone", func(a, b int) int { return b }},
	{"a + b", func(a, b int) int { return a + b }},
	{"both ones digits", func(a, b int) int { return a%10*10 + b%10 }},
	{"tens of a and b", func(a, b int) int { return a/10*1000 + b/10 }},
}

// operandFacts reads a map. The rule is the one with the largest adjusted share
// of variance between its classes, so that a rule with more classes must
// explain more.
func operandFacts(m [][]float64) operandFact {
	f := operandFact{rule: "nothing simple", rows: len(m)}
	n, active, sum, square := 0, 0, 0.0, 0.0
	for a, row := range m {
		f.width = max(f.width, len(row))
		for b, v := range row {
			if !finite(v) {
				continue
			}
			n++
			sum += v
			square += v * v
			if v > 0 {
				active++
			}
			if v > f.most || n == 1 {
				f.most, f.a, f.b = v, a, b
			}
		}
	}
	if n == 0 {
		return f
	}
	f.active = float64(active) / float64(n)
	total := square - sum*sum/float64(n)
	if total <= 1e-12*square {
		f.rule = "nothing: it is the same everywhere"
		return f
	}
	best := 0.0
	for _, r := range operandRules {
		share, classes := between(m, r.key, sum/float64(n), total)
		if classes >= n || classes < 2 {
			continue
		}
		if adjusted := 1 - (1-share)*float64(n-1)/float64(n-classes); adjusted > best+0.01 {
			best, f.rule, f.share = adjusted, r.name, share
		}
	}
	if best < 0.5 {
		f.rule = "nothing simple"
	}
	return f
}

// between is the share of variance between the classes of a key.
func between(m [][]float64, key func(a, b int) int, mean, total float64) (share float64, classes int) {
	size := 0
	for a, row := range m {
		for b := range row {
			size = max(size, key(a, b)+1)
		}
	}
	sums, counts := make([]float64, size), make([]float64, size)
	for a, row := range m {
		for b, v := range row {
			if finite(v) {
				k := key(a, b)
				sums[k] += v
				counts[k]++
			}
		}
	}
	for k, c := range counts {
		if c > 0 {
			classes++
			d := sums[k]/c - mean
			share += c * d * d / total
		}
	}
	return share, classes
}

const operandSide = 170.0

// operandMap is one feature: name, map with axes, strip, reading.
func operandMap(p OperandPlot, f operandFact) string {
	cell := operandSide / float64(max(f.rows, f.width, 1))
	h := newHeatMap(p.Values, nil, nil, HeatOptions{BottomUp: true, Cell: cell, Max: math.Max(f.most, 1e-12)})
	w, ht := h.size()
	h.left, h.top = 26, 4
	strip := 0.0
	if len(p.Weights) > 0 {
		strip = 26
	}
	h.W, h.H = h.left+operandSide+4, h.top+ht+18+strip
	name := cut(p.Name, 60)
	s := newPicture(h.W, h.H, lightTheme, name)
	tick := func(v int, x, y float64, anchor string) { s.text(x, y, anchor, 11, s.p.Dim, "", count(v)) }
	tick(f.rows-1, h.left-4, h.top+9, "end")
	tick(0, h.left-4, h.top+ht, "end")
	s.text(h.left-4, h.top+ht/2+4, "end", 11, s.p.Dim, "", "a")
	tick(0, h.left, h.top+ht+13, "start")
	tick(f.width-1, h.left+w, h.top+ht+13, "end")
	s.text(h.left+w/2, h.top+ht+13, "middle", 11, s.p.Dim, "", "b")
	over := h.overlay(h.mapOnly(), h.left, h.top, w, ht)
	if strip > 0 {
		g := newHeatMap([][]float64{p.Weights}, nil, nil, HeatOptions{Signed: true, Cell: operandSide / float64(len(p.Weights))})
		g.W, g.H = h.W, h.H
		over += g.overlay(g.mapOnly(), h.left, h.top+ht+22, operandSide, 14)
		s.text(h.left-4, h.top+ht+33, "end", 11, s.p.Dim, "", "out")
	}
	alt := fmt.Sprintf("%s: active on %s of the pairs, largest %s at a = %d, b = %d; follows %s", name, pct(f.active), num(f.most), f.a, f.b, f.rule)
	reading := fmt.Sprintf("active on %s, largest %s", pct(f.active), num(f.most))
	rule := "follows " + f.rule
	if f.share > 0 {
		rule += " (" + pct(f.share) + ")"
	}
	return `<div title="` + esc(alt) + `" style="width:` + css(h.W) + `px"><div style="font-weight:600">` + bdi(short(p.Name)) + `</div>` +
		figure(h.W, img(s.String(), alt, h.W, h.H)+over) + `<div style="` + dimStyle + `">` + esc(reading) + `<br>` + esc(rule) + `</div></div>`
}
