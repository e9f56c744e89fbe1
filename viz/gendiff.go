package viz

import (
	"fmt"
	"math"
)

// Generation is a text a model produced, token by token. KL, if given, holds
// per token the divergence from a reference in nats.
type Generation struct {
	Name   string
	Tokens []string
	KL     []float64
}

// Diff shows two generations side by side and marks where they part: shared
// tokens are plain, the first different one is ringed, what follows is shaded.
// After the parting, tokens that both texts have in the same order stay plain.
func Diff(title string, a, b Generation) Output {
	at := 0
	for at < len(a.Tokens) && at < len(b.Tokens) && a.Tokens[at] == b.Tokens[at] {
		at++
	}
	inA, inB := common(a.Tokens[at:], b.Tokens[at:])
	c := card{kind: "diff", title: title}
	switch {
	case at == len(a.Tokens) && at == len(b.Tokens):
		c.finding = fmt.Sprintf("The two texts are the same: %s.", many(at, "token"))
	case at == len(a.Tokens) || at == len(b.Tokens):
		c.finding = fmt.Sprintf("Both begin with the same %s; then one text ends.", many(at, "token"))
	default:
		c.finding = fmt.Sprintf("Both begin with the same %s; then %s has %s where %s has %s.", many(at, "token"), a.Name, quoted(a.Tokens[at]), b.Name, quoted(b.Tokens[at]))
	}
	caption := "Tokens that differ are shaded, the first one is outlined"
	if len(a.KL)+len(b.KL) > 0 {
		caption += "; a line under a token: its divergence (KL), darker is more"
	}
	c.body = `<table style="` + tableStyle + `;width:100%"><caption style="text-align:left;` + dimStyle + `">` + caption + `</caption><thead><tr style="` + rowStyle + `">`
	for _, g := range []Generation{a, b} {
		c.body += `<th scope="col" style="` + cellStyle + `;text-align:left;width:50%">` + esc(g.Name) + `</th>`
	}
	c.body += `</tr></thead><tbody><tr style="` + rowStyle + `">` + diffCell(a, at, inA, coldRamp[2]) + diffCell(b, at, inB, warmRamp[2]) + `</tr></tbody></table>`
	head, rows := diffTable(a, b, at)
	c.details = append(c.details, fold("Data: around the parting", htmlTable("Tokens around the parting", false, head, rows)))
	c.markdown = mdText(c.finding) + "\n\n" + mdTable(title, head, rows)
	c.plain = visible(c.finding) + "\n" + visible(a.Name) + ": " + plainText(a.Tokens) + "\n" + visible(b.Name) + ": " + plainText(b.Tokens)
	return c.output()
}

// diffCell is one text; shared says which tokens after the parting are common.
func diffCell(g Generation, at int, shared []bool, shade string) string {
	s := `<td dir="ltr" style="` + cellStyle + `;text-align:left;font-size:14px;line-height:1.8;white-space:pre-wrap;vertical-align:top">`
	for _, t := range tokenBoxes(g.Tokens) {
		style := "border-radius:3px;padding:1px 0"
		switch {
		case t.from <= at && at < t.to:
			style += ";background:" + shade + ";border:2px solid #1A1A1A"
		case t.from > at && !shared[t.from-at]:
			style += ";background:" + shade
		}
		title := t.title
		if kl := t.value(Row{Values: g.KL}); len(g.KL) > 0 && !math.IsNaN(kl) {
			title += " · KL " + num(kl) + " nats"
			style += ";border-bottom:3px solid " + ramp(kl, 5)
		}
		s += `<span title="` + esc(title) + `" style="` + style + `">` + t.html() + `</span>`
		if t.newline {
			s += "<br>"
		}
	}
	return s + "</td>"
}

// common marks the tokens of a longest common subsequence in both lists.
func common(a, b []string) (inA, inB []bool) {
	inA, inB = make([]bool, len(a)), make([]bool, len(b))
	if len(a)*len(b) > 4_000_000 {
		return inA, inB
	}
	n := make([][]int32, len(a)+1)
	for i := range n {
		n[i] = make([]int32, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				n[i][j] = n[i+1][j+1] + 1
			} else {
				n[i][j] = max(n[i+1][j], n[i][j+1])
			}
		}
	}
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case a[i] == b[j]:
			inA[i], inB[j] = true, true
			i, j = i+1, j+1
		case n[i+1][j] >= n[i][j+1]:
			i++
		default:
			j++
		}
	}
	return inA, inB
}

// diffTable lists four tokens before the parting and eight after.
func diffTable(a, b Generation, at int) (head []string, rows [][]string) {
	head = []string{"token", a.Name, b.Name}
	for i := max(0, at-4); i < min(at+8, max(len(a.Tokens), len(b.Tokens))); i++ {
		row := []string{count(i), "", ""}
		if i < len(a.Tokens) {
			row[1] = quoted(a.Tokens[i])
		}
		if i < len(b.Tokens) {
			row[2] = quoted(b.Tokens[i])
		}
		rows = append(rows, row)
	}
	return head, rows
}
