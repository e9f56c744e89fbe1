package engine

import (
	"fmt"
	"strings"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// card is a transcoder's model card: what it is, how it was trained, every number
// of its evaluation, in Markdown.
func card(name string, t *clt.Transcoder, e wire.Evaluation) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	kind := "Cross-layer transcoder"
	if t.PerLayer {
		kind = "Per-layer transcoder"
	}
	line("# %s\n", plain(name))
	line("%s of %s: %d layers of width %d, %d features a layer, %s%s, reads `%s`, %d parameters.", kind, plain(orDash(t.Model)), t.Layers, t.DModel,
		t.Features, t.Activation, ofK(t), t.Read, t.NumParameters())
	if tc := t.Info.Train; tc != nil {
		line("\n%s; %d tokens in %d steps of %d, peak learning rate %g, λ %g, c %g, seed %d.", upper(plain(orDash(t.Info.Note))), t.Info.Tokens, t.Info.Steps,
			tc.Batch, tc.LR, tc.Lambda, tc.TanhScale, tc.Seed)
		if tc.KLSteps > 0 {
			line("The last %d steps were KL steps on %d sequences each, with weight %g and learning rate %g.", tc.KLSteps, tc.KLBatch, tc.KLWeight, tc.KLLR)
		}
	}
	line("\n## Measured\n\nOn %d tokens that were not trained on. Position 0 is left out everywhere and never replaced. NMSE is Σ‖y−ŷ‖²/Σ‖y−mean‖²;"+
		" dead features fired on none of these tokens; losses and KL in nats per token.\n", e.Tokens)
	line("| | all layers | by layer |\n|---|---|---|")
	row := func(name string, v float64, layers []float64) {
		line("| %s | %s | %s |", name, short(v), shorts(layers))
	}
	row("NMSE, pooled over dimensions", e.NMSE, e.NMSELayer)
	row("NMSE, mean over dimensions", e.NMSEDim, e.NMSEDimLayer)
	row("active features per token and layer (L0)", e.L0, e.L0Layer)
	row("dead features, fraction", e.Dead, e.DeadLayer)
	line("| mean activation of active features | | %s |", shorts(e.MeanActive))
	row("KL of the model with MLPs replaced (all; one at a time)", e.KL, e.KLLayer)
	line("\n| loss of | nats per token |\n|---|---|")
	for _, x := range []struct {
		name  string
		value float64
	}{{"the model", e.CE}, {"the replacement model", e.CEReplaced}, {"the model with MLP outputs at their mean", e.CEMean}, {"the model without MLP outputs", e.CEZero}} {
		line("| %s | %s |", x.name, short(x.value))
	}
	if e.CENeurons != nil {
		line("| the model with as many neurons as features active, the others at zero | %s |", short(*e.CENeurons))
	}
	line("\nLoss recovered: %s of what zero outputs lose, %s of what mean outputs lose. The likeliest token is the same at %s of the positions;"+
		" the logits, centred over the vocabulary, have a mean cosine of %s; their mean squared error is %s.",
		short(e.LossRecovered), short(e.OverMean), short(e.Top1), short(e.Cosine), short(e.MSE))
	line("\n## Activation density\n\nFraction of tokens on which a feature fires, quantiles over the features of a layer.\n")
	head := make([]string, len(e.DensityAt))
	for i, q := range e.DensityAt {
		head[i] = fmt.Sprintf("%g %%", 100*q)
	}
	line("| layer | %s |\n|%s", strings.Join(head, " | "), strings.Repeat("---|", len(head)+1))
	for l, d := range e.Density {
		line("| %d | %s |", l, strings.Join(words(d), " | "))
	}
	if e.Replacement != nil && e.Completeness != nil {
		line("\n## Graphs\n\nUnpruned attribution graphs of a fixed set of %d prompts: replacement score %s, completeness %s.\n", e.Graphs, short(*e.Replacement), short(*e.Completeness))
		line("| prompt | replacement | completeness | active features |\n|---|---|---|---|")
		for _, g := range e.GraphScores {
			line("| %s | %s | %s | %d |", plain(g.Prompt), short(g.Replacement), short(g.Completeness), g.Active)
		}
	}
	return b.String()
}

func ofK(t *clt.Transcoder) string {
	if t.K == 0 {
		return ""
	}
	return fmt.Sprintf(" with k = %d", t.K)
}

func short(v float64) string { return fmt.Sprintf("%.4g", v) }

func words(v []float64) []string {
	list := make([]string, len(v))
	for i, x := range v {
		list[i] = fmt.Sprintf("%.3g", x)
	}
	return list
}

func shorts(v []float64) string { return strings.Join(words(v), " ") }

func orDash(s string) string {
	if s == "" {
		return "—"
	}
	return s
}

func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// plain is text from elsewhere that cannot become Markdown or HTML in a table.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "|", "&#124;", "`", "&#96;", "*", "&#42;", "_", "&#95;", "[", "&#91;", "]", "&#93;", "\\", "&#92;").Replace(s)
}
