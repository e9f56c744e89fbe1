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
	switch d.Kind {
	case attribution.Token:
		return quoted(v.g.Tokens[d.Pos])
	case attribution.Logit:
		return quoted(d.Label)
	case attribution.Position:
		return fmt.Sprintf("position %d", d.Pos)
	case attribution.Bias:
		return "bias"
	case attribution.Error:
		return fmt.Sprintf("error of layer %d at %s", d.Layer, quoted(v.g.Tokens[d.Pos]))
	case gathered:
		return fmt.Sprintf("%d weaker nodes of layer %d at %s", d.members, d.Layer, quoted(v.g.Tokens[d.Pos]))
	}
	name := fmt.Sprintf("L%d/f%d", d.Layer, d.Index)
	if d.user || d.Label != "" {
		name += " ‘" + d.text + "’"
	}
	return name + " at " + quoted(v.g.Tokens[d.Pos])
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
	out := []string{identity(v.g.Settings)}
	if sc, ok := v.scores(); ok {
		out = append(out, sc...)
	}
	shown := fmt.Sprintf("shown %s of %s nodes, %s of influence", count(v.shownNodes), count(v.totalNodes), pct(v.shownInfl))
	out = append(out, shown, fmt.Sprintf("%s of %s edges carry %s of the shown effect", count(v.shownLinks), count(len(v.links)), pct(v.shownScore)))
	if v.target >= 0 {
		out = append(out, pct(v.nodes[v.target].errShare)+" of the top target's input is error")
	}
	return out
}

// identity states how well the rows add up: the graph's proof.
func identity(s attribution.Settings) string {
	limit := 1e-4
	if s.DType == "f64" {
		limit = 1e-10
	}
	switch e := s.RowIdentity; {
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
		parts = append(parts, fmt.Sprintf("%d features active on more than two thirds of the tokens", v.dense))
	}
	if v.first > 0 {
		parts = append(parts, fmt.Sprintf("%d at position 0", v.first))
	}
	if len(parts) == 0 {
		return ""
	}
	return "Left out: " + strings.Join(parts, ", ") + " (" + pct(v.hiddenInfl) + " of influence)."
}

// path is a way from an input to the top target; share is the product of the
// absolute shares along it, negative if the signs multiply to minus.
type path struct {
	nodes []int // input first
	share float64
}

// paths finds the strongest ways from tokens (or positions) to the most
// probable target: best first over incoming shares, until n are complete or
// 10 000 nodes were expanded.
func (v *view) paths(n int) []path {
	if v.target < 0 {
		return nil
	}
	in := make([][]link, len(v.nodes))
	for _, l := range v.links {
		if v.nodes[l.s].Kind != attribution.Bias {
			in[l.t] = append(in[l.t], l)
		}
	}
	var out []path
	open := []path{{[]int{v.target}, 1}}
	for steps := 0; len(open) > 0 && len(out) < n && steps < 10000; steps++ {
		p := popBest(&open)
		head := p.nodes[len(p.nodes)-1]
		if k := v.nodes[head].Kind; k == attribution.Token || k == attribution.Position {
			for i, j := 0, len(p.nodes)-1; i < j; i, j = i+1, j-1 {
				p.nodes[i], p.nodes[j] = p.nodes[j], p.nodes[i]
			}
			out = append(out, p)
			continue
		}
		for _, l := range in[head] {
			if share := p.share * l.share; math.Abs(share) > 1e-6 {
				push(&open, path{append(append([]int(nil), p.nodes...), l.s), share})
			}
		}
	}
	return out
}

// push and popBest keep a binary heap, largest |share| on top.
func push(h *[]path, p path) {
	*h = append(*h, p)
	for i := len(*h) - 1; i > 0; {
		up := (i - 1) / 2
		if math.Abs((*h)[up].share) >= math.Abs((*h)[i].share) {
			break
		}
		(*h)[up], (*h)[i] = (*h)[i], (*h)[up]
		i = up
	}
}

func popBest(h *[]path) path {
	a := *h
	top := a[0]
	a[0] = a[len(a)-1]
	a = a[:len(a)-1]
	for i := 0; ; {
		k := i
		for _, c := range []int{2*i + 1, 2*i + 2} {
			if c < len(a) && math.Abs(a[c].share) > math.Abs(a[k].share) {
				k = c
			}
		}
		if k == i {
			break
		}
		a[i], a[k] = a[k], a[i]
		i = k
	}
	*h = a
	return top
}

// pathText is one path in words.
func (v *view) pathText(p path) string {
	var parts []string
	for _, i := range p.nodes {
		parts = append(parts, v.describe(i))
	}
	return strings.Join(parts, " → ")
}

// route is a path in few words: the labels alone.
func (v *view) route(p path) string {
	var parts []string
	for _, i := range p.nodes {
		d := &v.nodes[i]
		if d.Kind == attribution.Feature && (d.user || d.Label != "") {
			parts = append(parts, fmt.Sprintf("%s (L%d)", d.text, d.Layer))
		} else if d.Kind == attribution.Feature {
			parts = append(parts, d.text)
		} else {
			parts = append(parts, v.describe(i))
		}
	}
	return strings.Join(parts, " → ")
}

// finding reads the graph in at most three careful sentences.
func (v *view) finding(paths []path) string {
	if v.o.Finding != "" {
		return v.o.Finding
	}
	if v.target < 0 {
		return "The graph has no target."
	}
	t := &v.nodes[v.target]
	var s []string
	if best := v.strongestInput(v.target); best.share != 0 {
		verb := "raises"
		if best.share < 0 {
			verb = "lowers"
		}
		s = append(s, fmt.Sprintf("The strongest input of %s (%s) is %s, which %s it by %s of all its input.",
			v.describe(v.target), pct(t.Prob), v.describe(best.s), verb, pct(math.Abs(best.share))))
	}
	for _, p := range paths {
		if len(p.nodes) > 2 {
			s = append(s, fmt.Sprintf("The strongest path through features suggests the route %s (%s).", v.route(p), share(p.share)))
			break
		}
	}
	switch {
	case t.errShare > 0.3:
		s = append(s, fmt.Sprintf("Careful: %s of the target's input comes from error nodes, which nothing explains.", pct(t.errShare)))
	case v.shownInfl < 0.5:
		s = append(s, fmt.Sprintf("Careful: the picture holds only %s of the influence.", pct(v.shownInfl)))
	}
	return strings.Join(s, " ")
}

// strongestInput is the drawn edge with the largest share into a node.
func (v *view) strongestInput(t int) (best link) {
	for _, l := range v.links {
		if l.t == t && v.nodes[l.s].Kind != attribution.Bias && math.Abs(l.share) > math.Abs(best.share) {
			best = l
		}
	}
	return best
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
			id, label = d.text, fmt.Sprintf("%d weaker nodes", d.members)
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
	s := fmt.Sprintf("Attribution graph: %s nodes in %d layers over %d tokens", count(v.shownNodes), v.layers, len(v.g.Tokens))
	if v.target >= 0 {
		s += ", target " + v.describe(v.target) + " at " + pct(v.nodes[v.target].Prob)
	}
	return s
}
