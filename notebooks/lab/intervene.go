package lab

import (
	"fmt"
	"strings"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
	"github.com/etredal/cross-layer-transcoder/viz"
)

// Intervene edits features (see Scale, Ablate, SetTo, AddTo) and runs the model,
// beside twenty random edits of equal count and activation mass. By default MLP
// outputs, attention and LayerNorm are frozen otherwise: the direct effect, which
// the graph predicts exactly. WithMode changes that.
func (s *Session) Intervene(prompt string, edits []string, options ...InterveneOption) *Effect {
	if len(edits) == 0 {
		fail("intervene", errNoEdit)
		return &Effect{}
	}
	return s.intervene(wire.InterveneRequest{Prompt: wire.Prompt{Text: prompt}, Edits: edits}, options)
}

// Swap gives features of a prompt what they have on another one and runs the model,
// as Intervene does. Without edits (see TakeFrom) all features are swapped at the
// positions where the tokens of the two prompts differ; they must then have the
// same length. The likeliest token of either prompt is followed.
func (s *Session) Swap(prompt, other string, edits []string, options ...InterveneOption) *Effect {
	return s.intervene(wire.InterveneRequest{Prompt: wire.Prompt{Text: prompt}, Other: &wire.Prompt{Text: other}, Edits: edits}, options)
}

func (s *Session) intervene(req wire.InterveneRequest, options []InterveneOption) *Effect {
	req.Setup, req.Control, req.Seed = s.on(), wire.DefaultControl, 1
	for _, o := range options {
		o(&req)
	}
	e := &Effect{}
	if req.Out == "" {
		s.do("intervene", req, &e.InterveneResponse, nil)
		return e
	}
	s.withFile(func(file string) {
		req.Out = file
		s.do("intervene", req, &e.InterveneResponse, nil)
		e.arrays, e.Out = readArrays(file), ""
	})
	return e
}

// errNoEdit is for a list of edits that came out empty, as when a prune left no feature.
var errNoEdit = &wire.Error{Message: "lab: there is no edit, so nothing would change", Cure: "give at least one, such as lab.Ablate(g.Reading(\" France\", 8))"}

// InterveneOption changes how Intervene and Swap work.
type InterveneOption func(*wire.InterveneRequest)

// WithMode sets constrained, iterative or live.
func WithMode(mode string) InterveneOption {
	return func(r *wire.InterveneRequest) { r.Mode = mode }
}

// Track follows these tokens instead of the likeliest one.
func Track(tokens ...string) InterveneOption {
	return func(r *wire.InterveneRequest) { r.Track = tokens }
}

// Freeze sets what is frozen: "attention,ln", "attention" or "none".
func Freeze(what string) InterveneOption {
	return func(r *wire.InterveneRequest) { r.Freeze = what }
}

// Layers sets the range "a:b" of layers that are edited.
func Layers(r string) InterveneOption {
	return func(q *wire.InterveneRequest) { q.Layers = r }
}

// Draws sets the number of random edits that the effect is held against.
func Draws(n int) InterveneOption {
	return func(r *wire.InterveneRequest) { r.Control = n }
}

// Keep keeps the logits and pre-activations of all positions for Effect.Array.
func Keep() InterveneOption {
	return func(r *wire.InterveneRequest) { r.Out = "keep" }
}

// ReadOut reads a supernode out before and after: the sum of its activations.
func ReadOut(name string, group []attribution.ID) InterveneOption {
	return func(r *wire.InterveneRequest) {
		g := wire.Group{Name: name}
		for _, id := range group {
			if id.Kind == attribution.Feature {
				g.Features = append(g.Features, fmt.Sprintf("%d/%d@%d", id.Layer, id.Index, id.Pos))
			}
		}
		r.Groups = append(r.Groups, g)
	}
}

// Effect is what edits did.
type Effect struct {
	wire.InterveneResponse
	arrays map[string]Array
}

// Array is what Keep kept: "logits_before" and "logits_after" [pos, d_vocab],
// "preact_before" and "preact_after" [layer, pos, features].
func (e *Effect) Array(name string) Array { return named("intervene", e.arrays, name) }

// Output is the predictions before and after, a table that holds the graph's
// prediction and the random control beside the measurement, and what is left of
// supernodes.
func (e *Effect) Output() viz.Output {
	top := viz.TopK(vizTop(e.Before[:min(5, len(e.Before))]), vizTop(e.After[:min(5, len(e.After))]), "before", "after",
		fmt.Sprintf("%d edits, %s; frozen: %s; KL %.3g nats", len(e.Edits), e.Mode, orNothing(e.Frozen), e.KL))
	var rows [][]string
	for _, t := range e.Tracked {
		control, total := "not asked for", "iterative mode only"
		if c := t.Control; c != nil {
			control = fmt.Sprintf("%+.3f mean, %.3f largest (%d draws)", c.Mean, c.MaxAbs, c.Draws)
		}
		if t.PredictedTotal != nil {
			total = fmt.Sprintf("%+.3f", *t.PredictedTotal)
		}
		rows = append(rows, []string{t.Token, fmt.Sprintf("%.3f → %.3f", t.ProbBefore, t.ProbAfter), fmt.Sprintf("%+.3f", t.Predicted), total, fmt.Sprintf("%+.3f", t.Measured), control})
	}
	outs := []viz.Output{top, viz.Table("Change of the centred logit",
		[]string{"token", "probability", "predicted by the graph's edges", "over all paths", "measured", "random edits of equal count and mass"}, rows)}
	if len(e.Groups) > 0 {
		rows = nil
		for _, g := range e.Groups {
			left := "was not active"
			if g.Fraction != nil {
				left = fmt.Sprintf("%.0f %%", 100**g.Fraction)
			}
			rows = append(rows, []string{g.Name, fmt.Sprint(g.Features), fmt.Sprintf("%.3f", g.Before), fmt.Sprintf("%.3f", g.After), left})
		}
		outs = append(outs, viz.Table("Supernodes: sums of activations", []string{"group", "features", "before", "after", "left"}, rows))
	}
	return withWarnings("effect", e.Warnings, outs...)
}

func orNothing(list []string) string {
	if len(list) == 0 {
		return "nothing"
	}
	return strings.Join(list, ", ")
}

// WhatIf predicts from the graph what edits will do, and then makes them: in the
// local replacement model, where the prediction is exact until a feature crosses
// its threshold, and in the model itself with nothing frozen.
func (s *Session) WhatIf(prompt string, edits []string, track ...string) *WhatIf {
	w := &WhatIf{}
	if len(edits) == 0 {
		fail("whatif", errNoEdit)
		return w
	}
	s.do("whatif", wire.WhatIfRequest{Setup: s.on(), Prompt: wire.Prompt{Text: prompt}, Edits: edits, Track: track}, &w.WhatIfResponse, nil)
	return w
}

// WhatIf is a prediction beside two measurements.
type WhatIf struct{ wire.WhatIfResponse }

// Output is a table of tokens, and one that says how well predicted and measured
// changes of features agree.
func (w *WhatIf) Output() viz.Output {
	var rows [][]string
	for _, t := range w.Targets {
		rows = append(rows, []string{t.Token, fmt.Sprintf("%+.4f", t.Predicted), fmt.Sprintf("%+.4f", t.Local), fmt.Sprintf("%+.4f", t.Model), fmt.Sprintf("%.3f → %.3f", t.ProbBefore, t.ProbAfter)})
	}
	tokens := viz.Table(fmt.Sprintf("What if: %d edits, change of the centred logit", len(w.Edits)),
		[]string{"token", "predicted by the graph", "local replacement model", "the model itself", "probability"}, rows)
	rows = nil
	for _, a := range []struct {
		name string
		wire.Agreement
	}{{"local replacement model", w.Local}, {"the model itself", w.Model}} {
		row := []string{a.name, fmt.Sprint(a.Features), "", "", ""}
		if a.Features > 0 {
			row[2], row[3], row[4] = fmt.Sprintf("%.3f", a.Cosine), fmt.Sprintf("%.3g", a.NMSE), fmt.Sprintf("%.0f %%", 100*a.Sign)
		}
		rows = append(rows, row)
	}
	return withWarnings("whatif", w.Warnings, tokens,
		viz.Table("Predicted against measured change of unedited features", []string{"in", "features", "cosine", "NMSE", "same sign"}, rows))
}

// withWarnings puts what people should know below a result.
func withWarnings(kind string, warnings []string, outs ...viz.Output) viz.Output {
	for _, w := range warnings {
		outs = append(outs, viz.Warn("careful", w))
	}
	return viz.Join(kind, outs...)
}

// warn shows what people should know before a result.
func warn(list []string) {
	for _, w := range list {
		Show(viz.Warn("careful", w))
	}
}
