package main

import (
	"fmt"
	"strings"

	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// interventionText is an intervention for people.
func interventionText(r wire.InterveneResponse) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%d edits, mode %s, layers %d to %d, frozen: %s\nKL(before || after) of the next token %s nats, mean over positions %s\n\n",
		promptLine(r.TokensResponse), len(r.Edits), r.Mode, r.Layers[0], r.Layers[1]-1, frozenText(r.Frozen), number(r.KL), number(r.KLMean))
	var rows [][]string
	for i := range max(len(r.Before), len(r.After)) {
		row := []string{"", "", "", ""}
		if i < len(r.Before) {
			row[0], row[1] = fmt.Sprintf("%q", r.Before[i].Token), fmt.Sprintf("%.4f", r.Before[i].Prob)
		}
		if i < len(r.After) {
			row[2], row[3] = fmt.Sprintf("%q", r.After[i].Token), fmt.Sprintf("%.4f", r.After[i].Prob)
		}
		rows = append(rows, row)
	}
	b.WriteString(table("Predictions", []string{"before", "p", "after", "p"}, rows) + "\n" + trackedTable(r.Tracked))
	if len(r.Groups) > 0 {
		b.WriteString("\n" + groupTable(r.Groups))
	}
	if len(r.Changed) > 0 {
		rows = nil
		for _, ch := range r.Changed[:min(10, len(r.Changed))] {
			rows = append(rows, []string{fmt.Sprintf("L%d/F%d at %d", ch.Layer, ch.Index, ch.Pos), number(ch.Before), number(ch.After)})
		}
		b.WriteString("\n" + table(fmt.Sprintf("Features that changed most, of %d", len(r.Changed)), []string{"feature", "before", "after"}, rows))
	}
	return b.String()
}

func trackedTable(list []wire.Tracked) string {
	var rows [][]string
	for _, t := range list {
		row := []string{fmt.Sprintf("%q", t.Token), number(t.LogitBefore), number(t.LogitAfter), number(t.Measured), number(t.Predicted), "-", "-", "-"}
		if t.PredictedTotal != nil {
			row[5] = number(*t.PredictedTotal)
		}
		if t.Control != nil {
			row[6], row[7] = number(t.Control.MeanAbs), number(t.Control.MaxAbs)
		}
		rows = append(rows, row)
	}
	return table("Followed", []string{"token", "logit before", "after", "change, centred", "predicted by the edges", "over all paths", "control, mean size", "largest"}, rows)
}

func groupTable(list []wire.GroupChange) string {
	var rows [][]string
	for _, g := range list {
		left := "-"
		if g.Fraction != nil {
			left = fmt.Sprintf("%.1f %%", 100**g.Fraction)
		}
		rows = append(rows, []string{g.Name, fmt.Sprint(g.Features), number(g.Before), number(g.After), left})
	}
	return table("Supernodes, sums of activations", []string{"group", "features", "before", "after", "left"}, rows)
}
