package main

import (
	"flag"
	"fmt"
	"strings"

	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

func evalVerb(f *flag.FlagSet) func(c *call) error {
	set := setupFlags(f, hasCLT)
	t := addTexts(f)
	tokens := f.Int("tokens", 0, "tokens to measure on (default: what the engine takes)")
	graphs := f.Int("graphs", 0, "prompts whose graphs are scored")
	asJSON := f.Bool("json", false, "all numbers as JSON")
	cardFile := f.String("card", "", "`file` for a card: all numbers as Markdown")
	return func(c *call) error {
		files, world, err := t.check(c)
		if err != nil {
			return err
		}
		if err := c.positive(f, "tokens"); err != nil {
			return err
		}
		if *graphs < 0 {
			return badCall("-graphs %d; give 0 or more", *graphs)
		}
		if _, err := c.open(*set, true); err != nil {
			return err
		}
		res, err := c.service().Eval(c.ctx, wire.EvalRequest{Setup: *set, World: world, Texts: files, Tokens: *tokens, Graphs: *graphs, Card: *cardFile}, c.progress())
		if err != nil {
			return err
		}
		if *asJSON {
			return c.json(res)
		}
		c.printf("%s", evaluationTable(res))
		return nil
	}
}

// evaluationTable is an evaluation for people.
func evaluationTable(e wire.Evaluation) string {
	layers := func(v []float64) string {
		words := make([]string, len(v))
		for i, x := range v {
			words[i] = fmt.Sprintf("%.3g", x)
		}
		return strings.Join(words, " ")
	}
	rows := [][]string{
		{"nmse", number(e.NMSE), layers(e.NMSELayer)},
		{"nmse by dimension", number(e.NMSEDim), layers(e.NMSEDimLayer)},
		{"active features per token and layer", number(e.L0), layers(e.L0Layer)},
		{"dead features", number(e.Dead), layers(e.DeadLayer)},
		{"loss of the model, nats/token", number(e.CE), ""},
		{"loss of the replacement model", number(e.CEReplaced), ""},
		{"loss with mean MLP outputs", number(e.CEMean), ""},
		{"loss without MLP outputs", number(e.CEZero), ""},
		{"loss recovered, of no outputs", number(e.LossRecovered), ""},
		{"loss recovered, of mean outputs", number(e.OverMean), ""},
		{"KL to the replacement, nats/token; one layer", number(e.KL), layers(e.KLLayer)},
		{"same likeliest token", number(e.Top1), ""},
		{"cosine of centred logits", number(e.Cosine), ""},
		{"squared error of logits", number(e.MSE), ""},
	}
	if e.CENeurons != nil {
		rows = append(rows, []string{"loss with as many neurons; thresholds", number(*e.CENeurons), layers(e.NeuronThresholds)})
	}
	median := make([]float64, len(e.Density))
	for l, d := range e.Density {
		median[l] = d[len(d)/2]
	}
	rows = append(rows, []string{"median density of features", "", layers(median)})
	if e.Replacement != nil {
		rows = append(rows, []string{fmt.Sprintf("replacement score of %d graphs", e.Graphs), number(*e.Replacement), ""})
	}
	if e.Completeness != nil {
		rows = append(rows, []string{fmt.Sprintf("completeness of %d graphs", e.Graphs), number(*e.Completeness), ""})
	}
	return table(fmt.Sprintf("Measured on %d tokens", e.Tokens), []string{"", "value", "by layer"}, rows)
}
