package lab

import (
	"fmt"
	"strings"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
	"github.com/etredal/cross-layer-transcoder/viz"
)

// Compare evaluates the transcoders of this and other sessions on the same held-out
// text, side by side.
func (s *Session) Compare(others ...*Session) *Comparison {
	c := &Comparison{}
	for _, x := range append([]*Session{s}, others...) {
		if x == nil {
			fail("compare", errNothing("session", "lab.Open and With give one"))
			return c
		}
		c.Evaluations = append(c.Evaluations, x.Eval())
	}
	return c
}

// errNothing is the error for a value that a cell has declared and not made.
func errNothing(what, cure string) error {
	return &wire.Error{Message: "lab: compare: the other " + what + " is nil", Cure: cure}
}

// Comparison holds evaluations side by side.
type Comparison struct{ Evaluations []*Evaluation }

// Output is a table with a column for each transcoder.
func (c *Comparison) Output() viz.Output {
	head := []string{"measure"}
	rows := [][]string{{"normalised error (NMSE)"}, {"active features per token and layer (L0)"}, {"features that never fired"},
		{"cross-entropy of the model, nats per token"}, {"… of the full replacement model"}, {"KL from the model, nats per token"}, {"same likeliest token"}}
	for _, e := range c.Evaluations {
		head = append(head, e.Name)
		for i, v := range []string{fmt.Sprintf("%.4f", e.NMSE), fmt.Sprintf("%.2f", e.L0), fmt.Sprintf("%.1f %%", 100*e.Dead), fmt.Sprintf("%.4f", e.CE),
			fmt.Sprintf("%.4f", e.CEReplaced), fmt.Sprintf("%.4f", e.KL), fmt.Sprintf("%.1f %%", 100*e.Top1)} {
			rows[i] = append(rows[i], v)
		}
	}
	return viz.Table("The same text, different transcoders", head, rows)
}

// Compare lists what two graphs have in common: two prompts, two thresholds, two
// runs. Features are matched by layer, position and number; those of two different
// transcoders are never the same.
func (g *Graph) Compare(other *Graph) *GraphComparison {
	if other == nil {
		fail("compare", errNothing("graph", "Session.Graph gives one"))
		return &GraphComparison{}
	}
	c := &GraphComparison{A: g, B: other, Diff: attribution.Compare(g.Graph, other.Graph, 1e-3)}
	at, same := map[attribution.ID]bool{}, g.CLT.SHA256 == other.CLT.SHA256
	for _, n := range g.Nodes {
		if n.Kind == attribution.Feature {
			at[n.ID] = true
			c.OnlyA++
		}
	}
	for _, n := range other.Nodes {
		switch {
		case n.Kind != attribution.Feature:
		case same && at[n.ID]:
			c.Shared, c.OnlyA = c.Shared+1, c.OnlyA-1
		default:
			c.OnlyB++
		}
	}
	return c
}

// GraphComparison is two graphs beside each other.
type GraphComparison struct {
	A, B                 *Graph
	Shared, OnlyA, OnlyB int // features at positions
	Diff                 attribution.Diff
}

// Jaccard is the part of all features at positions that both graphs have: 0-1.
func (c *GraphComparison) Jaccard() float64 {
	if all := c.Shared + c.OnlyA + c.OnlyB; all > 0 {
		return float64(c.Shared) / float64(all)
	}
	return 1
}

// Output is a table and the two pictures, in which shared features are filled.
func (c *GraphComparison) Output() viz.Output {
	name := func(g *Graph) string { return "“" + strings.TrimSpace(g.Prompt) + "”, " + g.CLT.Name }
	rows := [][]string{
		{"features in both", fmt.Sprint(c.Shared)},
		{"only in the first: " + name(c.A), fmt.Sprint(c.OnlyA)},
		{"only in the second: " + name(c.B), fmt.Sprint(c.OnlyB)},
		{"shared part (Jaccard)", fmt.Sprintf("%.2f", c.Jaccard())},
	}
	counts := viz.Table("Two graphs", []string{"what", "value"}, rows)
	if c.A.CLT.SHA256 != c.B.CLT.SHA256 {
		return counts // numbers of features of two transcoders mean nothing to each other
	}
	a, b := c.A.view(), c.B.view()
	a.Static, b.Static = static() || c.A.full == nil, static() || c.B.full == nil
	both, err := viz.Compare(c.A.Graph, c.B.Graph, viz.CompareOptions{A: strings.TrimSpace(c.A.Prompt), B: strings.TrimSpace(c.B.Prompt), GraphA: a, GraphB: b})
	if err != nil {
		fail("compare", err)
	}
	return both // it has the counts too
}
