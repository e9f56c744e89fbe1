package viz

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
)

const maxSpots = 200

// scores are the replacement and completeness scores of the whole graph (or of
// a pruned one that was folded); false where the edges dropped are not at hand,
// since the score of the rest would flatter.
func (v *view) scores() ([]string, bool) {
	sc := attribution.Score{Replacement: math.NaN()}
	switch s := v.full.Settings; {
	case v.o.Score != nil:
		sc = *v.o.Score
	case !v.full.Cut(), s.Folded:
		sc = v.full.Score()
	}
	if math.IsNaN(sc.Replacement) {
		return nil, false
	}
	return []string{"replacement " + num(sc.Replacement), "completeness " + num(sc.Completeness)}, true
}

// output is the card of a graph.
func (v *view) output() (Output, error) {
	paths := v.paths(5)
	title := v.o.Title
	if title == "" {
		title = "Attribution graph: " + plainText(v.g.Tokens)
	}
	c := card{kind: "graph", title: cut(title, 160), finding: v.finding()}
	facts := v.facts()
	c.lines = []string{v.checkLine(facts)}
	if s := v.leftOut(); s != "" {
		c.lines = append(c.lines, dim(s))
	}
	if len(v.g.Tokens) > maxColumns || len(v.g.Nodes) > manyNodes {
		c.lines = append(c.lines, dim(v.harder()))
	}
	if len(v.g.Tokens) > maxColumns {
		c.body, c.details = v.overviewMap()
		v.o.Static = true
	} else {
		c.body = figure(v.W, img(v.svg(lightTheme), v.alt(), v.W, v.H)+v.spots())
	}
	if len(paths) > 0 {
		c.details = append(c.details, v.foldPaths(paths))
	}
	head, rows := v.table(20)
	c.details = append(c.details, fold("Data: the "+many(len(rows), "most influential node"),
		htmlTable("Nodes by influence on the targets", false, head, rows)))
	if !v.o.Static {
		doc, err := v.frame(c.title)
		if err != nil {
			return Output{}, err
		}
		if c.script, err = swap(doc, c.title); err != nil {
			return Output{}, fmt.Errorf("viz: draw graph: %w", err)
		}
		if n, most := len(v.links), v.maxLinks(); n > most {
			c.lines = append(c.lines, dim(fmt.Sprintf("The interactive view holds the %s strongest of %s edges.", count(most), count(n))))
		}
		c.note = "The picture becomes interactive where scripts may run: trust this notebook, or run the cell again."
	}
	c.markdown = v.markdown(title, c.finding, facts, paths, head, rows)
	if v.untitled {
		c.title = ""
	}
	c.plain = visible(title) + "\n" + visible(c.finding) + "\n" + strings.Join(facts, " · ") + "\n" + plainTable("Nodes by influence", head, rows)
	return c.output(), nil
}

// maxColumns is the longest prompt that is drawn as a graph in a card; a graph of
// more than manyNodes should be pruned.
const maxColumns, manyNodes = 64, 2000

// harder says how many nodes smaller thresholds would keep.
func (v *view) harder() string {
	infl, err := v.full.Influence()
	if err != nil {
		return ""
	}
	all := 0.0
	for i, n := range v.full.Nodes {
		if n.Kind == attribution.Logit {
			infl[i] = 0
		}
		all += infl[i]
	}
	slices.SortFunc(infl, func(a, b float64) int { return cmp.Compare(b, a) })
	s := "To see less, prune:"
	for _, limit := range []float64{0.5, 0.6, 0.7, 0.8} {
		sum, n := 0.0, 0
		for ; n < len(infl) && sum < limit*all; n++ {
			sum += infl[n]
		}
		s += fmt.Sprintf(" -node %.1f keeps %s,", limit, count(n))
	}
	return strings.TrimSuffix(s, ",") + " of " + many(len(infl), "node") + "."
}

// overviewMap stands for the picture where a prompt is too long for columns:
// influence summed by layer and token.
func (v *view) overviewMap() (body string, details []string) {
	m := make([][]float64, v.layers)
	ys := make([]string, v.layers)
	for l := range m {
		m[l], ys[l] = make([]float64, len(v.g.Tokens)), layerName(l)
	}
	for _, d := range v.nodes {
		if d.Kind == attribution.Feature || d.Kind == attribution.Error || d.Kind == gathered {
			m[d.Layer][d.Pos] += d.infl
		}
	}
	h := newHeatMap(m, v.g.Tokens, ys, HeatOptions{BottomUp: true, YLabel: "layer", XLabel: "token"})
	head, rows := h.table(20)
	text := fmt.Sprintf("The prompt has %d tokens, too many for columns: this is influence by layer and token. GraphSVG draws the graph.", len(v.g.Tokens))
	body = `<div style="` + dimStyle + `">` + esc(text) + `</div>` + figure(h.W, img(h.axes("influence by layer and token"), "Influence by layer and token", h.W, h.H)+h.raster()+h.spots())
	return body, []string{fold("Data: the largest cells", htmlTable("Influence by layer and token", false, head, rows))}
}

// checkLine is the facts in HTML, the first coloured by whether it holds.
func (v *view) checkLine(facts []string) string {
	first := esc(facts[0])
	switch {
	case strings.HasPrefix(facts[0], "✓"):
		first = themed(lightTheme.OK, darkTheme.OK, first)
	case strings.HasPrefix(facts[0], "✗"):
		first = themed(lightTheme.Fail, darkTheme.Fail, first)
	}
	return first + dim(" · "+strings.Join(facts[1:], " · "))
}

// themed is bold coloured HTML; the script changes the colour with the theme.
func themed(light, dark, html string) string {
	return `<b data-light="` + light + `" data-dark="` + dark + `" style="color:` + light + `">` + html + `</b>`
}

// spots are the hover texts of the static picture: the most influential nodes
// and all targets, at most 200.
func (v *view) spots() string {
	v = v.join()
	var b strings.Builder
	n := 0
	add := func(i int) {
		if n >= maxSpots || !v.byDefault(i) {
			return
		}
		n++
		d := &v.nodes[i]
		w := math.Max(d.w, 2*d.r+2)
		b.WriteString(spot(v.hover(i), d.x-w/2, d.y-d.r-1, w, 2*d.r+2, v.W, v.H))
	}
	for i, d := range v.nodes {
		if d.Kind == attribution.Logit || d.Kind == supernode {
			add(i)
		}
	}
	for _, i := range v.ranking() {
		add(i)
	}
	return b.String()
}

func (v *view) foldPaths(paths []attribution.Path) string {
	sum := 0.0
	var b strings.Builder
	b.WriteString(`<ol style="margin:4px 0 4px 20px;padding:0">`)
	for _, p := range paths {
		sum += math.Abs(p.Share)
		b.WriteString(`<li>` + bdi(v.pathText(p)) + ` <span style="font-family:monospace">` + esc(share(p.Share)) + `</span></li>`)
	}
	b.WriteString("</ol>")
	return fold(fmt.Sprintf("Top paths: %s with %s of the top target's input", many(len(paths), "path"), pct(sum)), b.String())
}

func (v *view) markdown(title, finding string, facts []string, paths []attribution.Path, head []string, rows [][]string) string {
	var b strings.Builder
	b.WriteString("**" + mdText(title) + "**\n\n" + mdText(finding) + "\n\n" + mdText(strings.Join(facts, " · ")) + "\n\n")
	if len(paths) > 0 {
		b.WriteString("Strongest paths:\n\n")
		for k, p := range paths {
			fmt.Fprintf(&b, "%d. %s (%s)\n", k+1, mdText(v.pathText(p)), mdText(share(p.Share)))
		}
		b.WriteByte('\n')
	}
	b.WriteString(mdTable("", head, rows))
	return b.String()
}
