package viz

import (
	"fmt"
	"strings"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
)

// CompareOptions say how two graphs are shown; the zero value works.
type CompareOptions struct {
	Title string
	A, B  string // names of the graphs; default: their prompts
	// GraphA and GraphB are for the pictures: the graphs before pruning, labels.
	GraphA, GraphB GraphOptions
}

// Compare shows two graphs side by side, above each other where the page is narrow,
// of two prompts or two transcoders of the same features. Features that are in both
// are filled in both pictures; a table lists the strongest of them and of those that
// only one has.
func Compare(a, b *attribution.Graph, o CompareOptions) (Output, error) {
	for _, x := range []struct {
		g    *attribution.Graph
		name *string
	}{{a, &o.A}, {b, &o.B}} {
		if err := checkGraph(x.g); err != nil {
			return Output{}, err
		}
		if *x.name == "" {
			*x.name = plainText(x.g.Tokens)
		}
	}
	if o.Title == "" {
		o.Title = "Two graphs"
	}
	o.GraphA.Other, o.GraphB.Other = b, a
	for _, g := range []*GraphOptions{&o.GraphA, &o.GraphB} {
		if g.Width <= 0 {
			g.Width = pairWidth
		}
	}
	if o.GraphA.Title == "" {
		o.GraphA.Title = o.A
	}
	if o.GraphB.Title == "" {
		o.GraphB.Title = o.B
	}
	first, err := Graph(a, o.GraphA)
	if err != nil {
		return Output{}, err
	}
	second, err := Graph(b, o.GraphB)
	if err != nil {
		return Output{}, err
	}
	out := Join("compare", compareCard(a, b, o), first, second)
	out.HTML = compareCard(a, b, o).HTML + sideBySide(first.HTML, second.HTML)
	return out, nil
}

// pairWidth is the width of a picture beside another.
const pairWidth = 640

// sideBySide sets two cards beside each other where there are 900 pixels for them.
func sideBySide(a, b string) string {
	cell := `<div style="flex-grow:1;flex-basis:446px;min-width:0">`
	return `<div class="clt-pair" style="display:flex;flex-wrap:wrap;gap:8px;max-width:1440px;margin:8px 0 0 0">` + cell + a + "</div>" + cell + b + "</div></div>\n"
}

// sharedFeature is a feature with its influence in two graphs, summed over
// positions; not there is 0 positions.
type sharedFeature struct {
	feature
	label    string
	infl     [2]float64
	atA, atB int // positions
}

func (f *sharedFeature) both() bool { return f.atA > 0 && f.atB > 0 }

func compareCard(a, b *attribution.Graph, o CompareOptions) Output {
	list := sharedFeatures(a, b)
	both, onlyA, onlyB := 0, 0, 0
	sum, common := [2]float64{}, [2]float64{}
	for _, f := range list {
		switch {
		case f.both():
			both++
			common[0] += f.infl[0]
			common[1] += f.infl[1]
		case f.atA > 0:
			onlyA++
		default:
			onlyB++
		}
		sum[0] += f.infl[0]
		sum[1] += f.infl[1]
	}
	part := func(k int) string {
		if sum[k] == 0 {
			return "none"
		}
		return pct(common[k] / sum[k])
	}
	c := card{kind: "compare", title: cut(o.Title, 160)}
	c.finding = fmt.Sprintf("In both graphs: %s, with %s and %s of the influence that goes through features. Only in the first: %s; only in the second: %s.",
		many(both, "feature"), part(0), part(1), count(onlyA), count(onlyB))
	head := []string{"feature", "label", "influence in " + cut(o.A, 40), "in " + cut(o.B, 40), "in"}
	var rows [][]string
	for _, f := range list[:min(20, len(list))] {
		where := "both"
		if !f.both() {
			where = map[bool]string{true: "first", false: "second"}[f.atA > 0]
		}
		rows = append(rows, []string{fmt.Sprintf("L%d/f%d", f.layer, f.index), f.label, blankZero(f.infl[0]), blankZero(f.infl[1]), where})
	}
	c.details = append(c.details, fold("Data: the "+many(len(rows), "most influential feature")+" of both", htmlTable("Features by the larger influence, over all positions", false, head, rows)))
	c.markdown = "**" + mdText(o.Title) + "**\n\n" + mdText(c.finding) + "\n\n" + mdTable("", head, rows)
	c.plain = strings.Join([]string{visible(o.Title), visible(c.finding), plainTable("Features", head, rows)}, "\n")
	return c.output()
}

func blankZero(v float64) string {
	if v == 0 {
		return ""
	}
	return num(v)
}

// sharedFeatures joins the features of two graphs, by the larger influence.
func sharedFeatures(a, b *attribution.Graph) []sharedFeature {
	var list []sharedFeature
	index := map[feature]int{}
	for k, g := range []*attribution.Graph{a, b} {
		infl, err := g.Influence()
		if err != nil { // Graph says so too
			continue
		}
		for i, n := range g.Nodes {
			if n.Kind != attribution.Feature {
				continue
			}
			f := feature{n.Layer, n.Index}
			at, ok := index[f]
			if !ok {
				at = len(list)
				index[f] = at
				list = append(list, sharedFeature{feature: f})
			}
			x := &list[at]
			x.infl[k] += infl[i]
			if x.label == "" {
				x.label = n.Label
			}
			if k == 0 {
				x.atA++
			} else {
				x.atB++
			}
		}
	}
	order := make([]int, len(list))
	for i := range order {
		order[i] = i
	}
	sortBy(order, func(i int) float64 { return max(list[i].infl[0], list[i].infl[1]) })
	out := make([]sharedFeature, len(list))
	for k, i := range order {
		out[k] = list[i]
	}
	return out
}
