package attribution

import (
	"fmt"
	"math"
	"strings"
)

// Name is what to call a node in a sentence: “ Austin” for a logit, the label
// and place of a feature, what an error misses.
func (g *Graph) Name(i int) string {
	n := &g.Nodes[i]
	switch n.Kind {
	case Feature:
		if n.Label != "" {
			return fmt.Sprintf("%s (L%d/f%d at %s)", quote(n.Label), n.Layer, n.Index, g.place(n.Pos))
		}
		return fmt.Sprintf("L%d/f%d at %s", n.Layer, n.Index, g.place(n.Pos))
	case Error:
		return fmt.Sprintf("the error of layer %d at %s", n.Layer, g.place(n.Pos))
	case Token:
		return "the token " + g.place(n.Pos)
	case Position:
		return fmt.Sprintf("position %d", n.Pos)
	case Bias:
		return "the bias"
	}
	if n.Label != "" {
		return quote(n.Label)
	}
	return fmt.Sprintf("token %d", n.Index)
}

// place is a position as its token.
func (g *Graph) place(pos int) string {
	if pos < len(g.Tokens) {
		return quote(g.Tokens[pos])
	}
	return fmt.Sprintf("position %d", pos)
}

// quote shows a token so that spaces and line ends are seen.
func quote(s string) string {
	return "“" + strings.NewReplacer("\n", "⏎", "\r", "␍", "\t", "⇥").Replace(s) + "”"
}

// Caption says in words what a graph shows: where its first target gets its
// input from, by which path, and what to be careful about. Shares are of the
// |input|; a negative one works against the target.
func (g *Graph) Caption() string {
	target := g.TopTarget()
	if target < 0 {
		return "The graph has no target."
	}
	n := &g.Nodes[target]
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s)", g.Name(target), percent(n.Prob))
	var parts []string
	features, inputs, errors := 0.0, 0.0, 0.0
	for _, e := range g.Incoming(target) {
		share := math.Abs(e.Share)
		switch kind := g.Nodes[e.Source].Kind; {
		case kind == Error:
			errors += share
		case kind == Feature:
			features += share
		default:
			inputs += share
		}
		if kind := g.Nodes[e.Source].Kind; len(parts) < 3 && (kind == Feature || kind == Token) {
			parts = append(parts, fmt.Sprintf("%s from %s", percent(e.Share), g.Name(e.Source)))
		}
	}
	if len(parts) == 0 {
		b.WriteString(" gets no input from features or tokens.")
	} else {
		fmt.Fprintf(&b, " gets %s of its input.", list(parts))
	}
	fmt.Fprintf(&b, " In all, %s comes from features, %s directly from the prompt, %s from errors.",
		percent(features), percent(inputs), percent(errors))
	if paths, err := g.Paths(target, 1, Token); err == nil && len(paths) > 0 {
		var names []string
		for _, i := range paths[0].Nodes {
			names = append(names, g.Name(i))
		}
		fmt.Fprintf(&b, " The strongest path from a token carries %s: %s.", percent(paths[0].Share), strings.Join(names, " → "))
	}
	for _, w := range g.Warnings() {
		b.WriteString(" Careful: " + w + ".")
	}
	return b.String()
}

// Warnings lists what a reader of the graph should know before believing it.
func (g *Graph) Warnings() []string {
	var out []string
	score := g.Score()
	if math.IsNaN(score.Replacement) {
		return []string{"the graph is not valid"}
	}
	if score.Replacement < .5 {
		out = append(out, fmt.Sprintf("only %s of the influence shown starts at the prompt, the rest at errors", percent(score.Replacement)))
	}
	if s := g.Settings; s.MaxFeatures > 0 && s.Active > s.MaxFeatures {
		out = append(out, fmt.Sprintf("%d of %d active features were attributed", s.MaxFeatures, s.Active))
	}
	limit := 1e-4
	if g.Settings.DType == "f64" {
		limit = 1e-8
	}
	if e := score.RowIdentityMaxError; e > limit {
		out = append(out, fmt.Sprintf("rows miss their targets by up to %.2g", e))
	}
	if score.PathLength == 0 {
		out = append(out, "no path leads from the prompt to a target")
	}
	return out
}

// percent prints a share: "34 %", "0.3 %", "−12 %".
func percent(share float64) string {
	text, sign := "", ""
	if share < 0 {
		sign, share = "−", -share
	}
	switch v := 100 * share; {
	case v != 0 && v < .1:
		text = "<0.1 %"
	case v != 0 && v < 1:
		text = fmt.Sprintf("%.1f %%", v)
	default:
		text = fmt.Sprintf("%.0f %%", v)
	}
	return sign + text
}

// list joins parts as in a sentence.
func list(parts []string) string {
	if len(parts) == 1 {
		return parts[0]
	}
	return strings.Join(parts[:len(parts)-1], ", ") + " and " + parts[len(parts)-1]
}
