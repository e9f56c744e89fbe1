package viz

import (
	"fmt"
	"math"
	"strings"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
)

// describe names a node in running text: L5/f12 ‘Texas’ at " Dallas".
func (v *view) describe(i int) string {
	d := &v.nodes[i]
	if d.Kind == supernode {
		return fmt.Sprintf("group ‘%s’", d.text)
	}
	if d.Kind == gathered {
		return fmt.Sprintf("%s of layer %d at %s", many(d.members, "weaker node"), d.Layer, quoted(v.g.Tokens[d.Pos]))
	}
	return v.call(&d.Node)
}

// call is describe for any node of the graph, drawn or not.
func (v *view) call(n *attribution.Node) string {
	switch n.Kind {
	case attribution.Token:
		return quoted(v.g.Tokens[n.Pos])
	case attribution.Logit:
		return quoted(n.Label)
	case attribution.Position:
		return fmt.Sprintf("position %d", n.Pos)
	case attribution.Bias:
		return "bias"
	case attribution.Error:
		return fmt.Sprintf("error of layer %d at %s", n.Layer, quoted(v.g.Tokens[n.Pos]))
	}
	name := fmt.Sprintf("L%d/f%d", n.Layer, n.Index)
	if label := v.label(n); label != "" {
		name += " ‘" + visible(cut(label, 80)) + "’"
	}
	return name + " at " + quoted(v.g.Tokens[n.Pos])
}

// label is the name a person gave a node, else the one it carries.
func (v *view) label(n *attribution.Node) string {
	if l := v.o.Labels[n.ID]; l != "" {
		return l
	}
	return n.Label
}

// hover is the text of a hot spot.
func (v *view) hover(i int) string {
	d := &v.nodes[i]
	s := v.describe(i)
	switch d.Kind {
	case attribution.Logit:
		return fmt.Sprintf("%s · probability %s · centred logit %s · %s of its input is error", s, pct(d.Prob), num(d.Preactivation), pct(d.errShare))
	case attribution.Feature:
		s += " · activation " + num(d.Activation)
	}
	return s + " · influence " + num(d.infl)
}

// facts are the parts of the check line, plain text.
func (v *view) facts() []string {
	out := []string{v.identity()}
	if sc, ok := v.scores(); ok {
		out = append(out, sc...)
	}
	shown := fmt.Sprintf("shown %s of %s, %s of influence", count(v.shownNodes), many(v.totalNodes, "node"), pct(v.shownInfl))
	out = append(out, shown, fmt.Sprintf("%s of %s carry %s of the shown effect", count(v.shownLinks), many(len(v.links), "edge"), pct(v.shownScore)))
	if v.target >= 0 {
		out = append(out, pct(v.nodes[v.target].errShare)+" of the top target's input is error")
	}
	return out
}

// identity states how well the rows add up, measured here if all edges are at
// hand, else as recorded when the graph was made: the graph's proof.
func (v *view) identity() string {
	s := v.full.Settings
	limit := 1e-4
	if s.DType == "f64" {
		limit = 1e-10
	}
	e, _ := v.full.CheckRows()
	if e == -1 && v.full.Count(attribution.Bias) > 0 {
		e = s.RowIdentity
	}
	switch {
	case e < 0 || math.IsNaN(e):
		return "row identity not known (no bias node)"
	case e <= limit:
		return "✓ rows add up to " + num(e)
	default:
		return "✗ rows miss by " + num(e) + ", limit " + num(limit)
	}
}

// leftOut tells what the default filters hide; empty if nothing.
func (v *view) leftOut() string {
	var parts []string
	if v.dense > 0 {
		parts = append(parts, many(v.dense, "feature")+" active on more than two thirds of the tokens")
	}
	if v.first > 0 {
		parts = append(parts, fmt.Sprintf("%d at position 0", v.first))
	}
	if len(parts) == 0 {
		return ""
	}
	return "Left out: " + strings.Join(parts, ", ") + " (" + pct(v.hiddenInfl) + " of influence)."
}

// paths are the strongest ways from tokens and positions to the most probable
// target, in the graph before pruning.
func (v *view) paths(n int) []attribution.Path {
	if v.full.TopTarget() < 0 {
		return nil
	}
	p, err := v.full.Paths(-1, n, attribution.Token, attribution.Position)
	if err != nil { // the graph was checked: nothing to say without paths
		return nil
	}
	return p
}

// pathText is one path in words.
func (v *view) pathText(p attribution.Path) string {
	var parts []string
	for _, i := range p.Nodes {
		parts = append(parts, v.call(&v.full.Nodes[i]))
	}
	return strings.Join(parts, " → ")
}

// finding reads the graph in a few careful sentences.
func (v *view) finding() string {
	if v.o.Finding != "" {
		return v.o.Finding
	}
	named := *v.full
	if len(v.o.Labels) > 0 {
		named.Nodes = append([]attribution.Node(nil), named.Nodes...)
		for i := range named.Nodes {
			named.Nodes[i].Label = v.label(&named.Nodes[i])
		}
	}
	return named.Caption()
}

// ranking lists drawn nodes other than targets by influence.
func (v *view) ranking() []int {
	var order []int
	for i, d := range v.nodes {
		if d.Kind != attribution.Logit && d.Kind != attribution.Bias {
			order = append(order, i)
		}
	}
	sortBy(order, v.influence)
	return order
}

// table lists the most influential nodes with their share of the top target.
func (v *view) table(n int) (head []string, rows [][]string) {
	direct := map[int]float64{}
	for _, l := range v.links {
		if l.t == v.target {
			direct[l.s] += l.share
		}
	}
	head = []string{"rank", "node", "kind", "token", "label", "activation", "influence", "direct share"}
	for k, i := range v.ranking() {
		if k == n {
			break
		}
		d := &v.nodes[i]
		id, label, act := d.ID.String(), d.Label, ""
		if d.user {
			label = d.text
		}
		switch d.Kind {
		case attribution.Feature:
			act = num(d.Activation)
		case gathered:
			id, label = d.text, many(d.members, "weaker node")
		default:
			label = ""
		}
		rows = append(rows, []string{count(k + 1), id, kindName(d.Kind), quoted(v.g.Tokens[d.Pos]), label, act, num(d.infl), share(direct[i])})
	}
	return head, rows
}

// share writes a signed fraction: "+12 %", "−3.1 %", "" for none.
func share(x float64) string {
	switch {
	case x > 0:
		return "+" + pct(x)
	case x < 0:
		return minus + pct(-x)
	}
	return ""
}

func kindName(k attribution.Kind) string {
	if k == gathered {
		return "group"
	}
	return k.String()
}

// alt describes the picture in a sentence.
func (v *view) alt() string {
	s := fmt.Sprintf("Attribution graph: %s in %s over %s", many(v.shownNodes, "node"), many(v.layers, "layer"), many(len(v.g.Tokens), "token"))
	if v.target >= 0 {
		s += ", target " + v.describe(v.target) + " at " + pct(v.nodes[v.target].Prob)
	}
	return s
}
