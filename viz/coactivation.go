package viz

import (
	"fmt"
	"math"
	"strings"
)

// CoNode is a feature in a coactivation graph.
type CoNode struct {
	Layer int
	Label string
}

// Coactivation draws features in columns by layer, and a line between two of different layers whose activations have a
// correlation beyond ±threshold; the thicker, the larger. It shows what happens together on some texts. It says
// nothing of what causes what: that is the attribution graph.
func Coactivation(title string, nodes []CoNode, correlation [][]float64, threshold float64) Output {
	layers, rows := 0, map[int]int{}
	for _, n := range nodes {
		layers = max(layers, n.Layer+1)
		rows[n.Layer]++
	}
	most := 1
	for _, n := range rows {
		most = max(most, n)
	}
	at := func(i, j int) float64 { // NaN where the matrix has no such cell
		if i < len(correlation) && j < len(correlation[i]) {
			return correlation[i][j]
		}
		return math.NaN()
	}
	const step, room, top = 130.0, 34.0, 30.0
	w, h := 60+step*float64(max(layers, 2)-1)+80, top+room*float64(most)+20
	s := newPicture(w, h, lightTheme, title)
	x, y := make([]float64, len(nodes)), make([]float64, len(nodes))
	seen := map[int]int{}
	for i, n := range nodes {
		x[i], y[i] = 40+step*float64(n.Layer), top+room*(float64(seen[n.Layer])+0.5)
		seen[n.Layer]++
	}
	pairs := make([]int, len(nodes))
	var list [][]string
	for i := range nodes {
		for j := range i {
			c := at(i, j)
			if !finite(c) || math.Abs(c) <= threshold || nodes[i].Layer == nodes[j].Layer {
				continue
			}
			colour, dash := s.p.Pos, ""
			if c < 0 {
				colour, dash = s.p.Neg, ` stroke-dasharray="10 6"`
			}
			s.line(x[j], y[j], x[i], y[i], colour, fmt.Sprintf(`fill="none" opacity="%.2f" stroke-width="%.1f"%s`, 0.2+0.5*math.Min(1, math.Abs(c)), 1+5*math.Min(1, math.Abs(c)), dash))
			pairs[i]++
			pairs[j]++
			list = append(list, []string{nodes[j].Label, nodes[i].Label, num(c)})
		}
	}
	var spots strings.Builder
	for i, n := range nodes {
		spots.WriteString(spot(fmt.Sprintf("layer %d · %s · %s", n.Layer, cut(n.Label, 120), many(pairs[i], "pair")), x[i]-9, y[i]-9, 18, 18, w, h))
		s.rect(x[i]-5, y[i]-5, 10, 10, s.p.Text, "")
		s.text(x[i]+8, y[i]+4, "start", 11, s.p.Text, `stroke="#FFFFFF" stroke-width="8" stroke-linejoin="round" paint-order="stroke"`, cut(n.Label, 24)) // legible on lines
	}
	for l := range layers {
		s.text(40+step*float64(l), 16, "middle", 11, s.p.Text, "", fmt.Sprintf("layer %d", l))
	}
	c := card{kind: "coactivation", title: title}
	c.lines = append(c.lines, dim(fmt.Sprintf("%s, %s of different layers with a correlation beyond ±%s; negative ones are dashed. Coactivation is not attribution: nothing here says what causes what.", many(len(nodes), "feature"), many(len(list), "pair"), num(threshold))))
	head := []string{"feature", "feature", "correlation"}
	c.body = figure(w, img(s.String(), fmt.Sprintf("%s: %s, %s", title, many(len(nodes), "feature"), many(len(list), "line")), w, h)+spots.String())
	c.details = append(c.details, fold("Data: "+many(len(list), "pair"), htmlTable("Pairs", false, head, list)))
	c.markdown, c.plain = mdTable(title, head, list), plainTable(title, head, list)
	return c.output()
}
