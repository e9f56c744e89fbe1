package lab

import (
	"fmt"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
	"github.com/etredal/cross-layer-transcoder/viz"
)

// Model is what a session works on.
type Model struct{ wire.ModelInfo }

// Output is a table of dimensions.
func (m *Model) Output() viz.Output {
	rows := [][]string{
		{"model", fmt.Sprintf("%s: %d layers, d_model %d, %d heads, d_mlp %d", m.Name, m.Layers, m.DModel, m.Heads, m.DMLP)},
		{"vocabulary, context", fmt.Sprintf("%d tokens, %d positions", m.DVocab, m.Context)},
		{"parameters", fmt.Sprint(m.Parameters)},
		{"weights", short(m.SHA256)},
	}
	if c := m.CLT; c != nil {
		kind := "cross-layer transcoder"
		if c.PerLayer {
			kind = "per-layer transcoder"
		}
		rows = append(rows, []string{"transcoder", fmt.Sprintf("%s: %s, %s, %d features a layer, reads %s", c.Name, kind, c.Activation, c.Features, c.Read)},
			[]string{"its parameters", fmt.Sprint(c.Parameters)}, []string{"its weights", short(c.SHA256)})
	}
	return viz.Table("Open", []string{"what", "value"}, rows)
}

func short(sha string) string {
	if len(sha) > 12 {
		return "SHA-256 " + sha[:12] + "…"
	}
	return sha
}

// Tokens is a prompt as the model sees it.
type Tokens struct{ wire.TokensResponse }

// Output is the tokens in boxes.
func (t *Tokens) Output() viz.Output { return viz.Tokens(t.Tokens, nil) }

// Predictions are the likeliest next tokens.
type Predictions struct {
	Prompt string
	wire.RunResponse
}

// Output is bars.
func (p *Predictions) Output() viz.Output {
	return viz.TopK(vizTop(p.Top[:min(5, len(p.Top))]), nil, "after “"+strings.TrimSpace(p.Prompt)+"”", "", "Next token after “"+strings.TrimSpace(p.Prompt)+"”")
}

func vizTop(list []wire.Prediction) []viz.Prediction {
	out := make([]viz.Prediction, len(list))
	for i, p := range list {
		out[i] = viz.Prediction{Token: p.Token, Prob: p.Prob, Logit: p.Logit}
	}
	return out
}

// Accuracy is how often the model answers right.
type Accuracy struct{ wire.AccuracyResponse }

// Output is a table by behaviour.
func (a *Accuracy) Output() viz.Output {
	var rows [][]string
	for _, b := range a.Accuracy {
		held := "nothing held out"
		if b.HeldOut >= 0 {
			held = fmt.Sprintf("%.3f (%d)", b.HeldOut, b.HeldOutN)
		}
		rows = append(rows, []string{b.Behaviour, fmt.Sprintf("%.3f", b.Chance), fmt.Sprintf("%.3f (%d)", b.Seen, b.SeenN), held})
	}
	return viz.Table("Accuracy by behaviour", []string{"behaviour", "chance", "seen (cases)", "held out (cases)"}, rows)
}

// Training is a finished training run.
type Training struct {
	wire.TrainResponse
	Dir   string          // folder of the transcoder, for Session.With
	Curve []wire.Progress // one entry a report
}

// Output is the evaluation after training; the curve was drawn while it ran.
func (t *Training) Output() viz.Output {
	return evaluationTable("The transcoder after training", t.Metrics)
}

// Evaluation is everything measured on one transcoder.
type Evaluation struct {
	Name string
	wire.Evaluation
}

// Output is a table.
func (e *Evaluation) Output() viz.Output {
	return evaluationTable("Evaluation of "+e.Name+" on text it was not trained on", &e.Evaluation)
}

func evaluationTable(title string, e *wire.Evaluation) viz.Output {
	per := func(v []float64, format string) string {
		parts := make([]string, len(v))
		for i, x := range v {
			parts[i] = fmt.Sprintf(format, x)
		}
		return strings.Join(parts, ", ")
	}
	baselines := fmt.Sprintf("%.3f with zero MLPs, %.3f with mean MLPs", e.CEZero, e.CEMean)
	if e.CENeurons != nil {
		baselines += fmt.Sprintf(", %.3f with as many neurons as features", *e.CENeurons)
	}
	return viz.Table(title, []string{"measure", "value", "by layer or baseline"}, [][]string{
		{"normalised error (NMSE)", fmt.Sprintf("%.4f", e.NMSE), per(e.NMSELayer, "%.4f")},
		{"active features per token and layer (L0)", fmt.Sprintf("%.2f", e.L0), per(e.L0Layer, "%.2f")},
		{"features that never fired", fmt.Sprintf("%.1f %%", 100*e.Dead), per(e.DeadLayer, "%.3f")},
		{"cross-entropy, nats per token", fmt.Sprintf("%.4f", e.CE), "the model itself"},
		{"… of the full replacement model", fmt.Sprintf("%.4f", e.CEReplaced), baselines},
		{"KL from the model, nats per token", fmt.Sprintf("%.4f", e.KL), ""},
		{"same likeliest token", fmt.Sprintf("%.1f %%", 100*e.Top1), fmt.Sprintf("%d tokens", e.Tokens)},
		{"logits: mean cosine, each centred", fmt.Sprintf("%.4f", e.Cosine), fmt.Sprintf("squared error %.4g", e.MSE)},
	})
}

// Encoding is the active features of a prompt.
type Encoding struct{ wire.EncodeResponse }

// Activation is one active feature at one position of a prompt.
type Activation = wire.Activation

// Value is a feature's activation at a position of the prompt, 0 if it is not active.
func (f *Encoding) Value(layer, pos, index int) float64 {
	for _, a := range f.Active {
		if a.Layer == layer && a.Pos == pos && a.Index == index {
			return a.Value
		}
	}
	return 0
}

// Correlation is that of two features' activations over the tokens of the prompt, the
// first left out: NaN if one of them does not vary. It says what happens together, not
// what causes what.
func (f *Encoding) Correlation(a, b Activation) float64 {
	x, y := make([]float64, len(f.Tokens)), make([]float64, len(f.Tokens))
	for _, c := range f.Active {
		if c.Layer == a.Layer && c.Index == a.Index {
			x[c.Pos] = c.Value
		}
		if c.Layer == b.Layer && c.Index == b.Index {
			y[c.Pos] = c.Value
		}
	}
	p, q := Centred(x[1:]), Centred(y[1:])
	return Dot(p, q) / (Norm(p) * Norm(q))
}

// Top keeps the n features with the largest activation anywhere in the prompt.
func (f *Encoding) Top(n int) []wire.Activation {
	best := map[[2]int]wire.Activation{}
	for _, a := range f.Active {
		k := [2]int{a.Layer, a.Index}
		if old, ok := best[k]; !ok || a.Value > old.Value {
			best[k] = a
		}
	}
	var list []wire.Activation
	for _, a := range best {
		list = append(list, a)
	}
	sort.Slice(list, func(i, j int) bool {
		a, b := list[i], list[j]
		if a.Value != b.Value {
			return a.Value > b.Value
		}
		if a.Layer != b.Layer {
			return a.Layer < b.Layer
		}
		return a.Index < b.Index
	})
	return list[:min(n, len(list))]
}

// Output colours the tokens by the five strongest features.
func (f *Encoding) Output() viz.Output {
	var rows []viz.Row
	for _, a := range f.Top(5) {
		values := make([]float64, len(f.Tokens))
		for _, b := range f.Active {
			if b.Layer == a.Layer && b.Index == a.Index {
				values[b.Pos] = b.Value
			}
		}
		rows = append(rows, viz.Row{Name: fmt.Sprintf("L%d/f%d", a.Layer, a.Index), Values: values})
	}
	return viz.Tokens(f.Tokens, rows)
}

// Generation is a continued prompt.
type Generation struct{ wire.GenerateResponse }

// Output is the tokens.
func (g *Generation) Output() viz.Output { return viz.Tokens(g.Tokens, nil) }

// Replacement holds a text of the model beside that of its full replacement.
type Replacement struct{ Original, Replaced wire.GenerateResponse }

// Same is the number of leading new tokens on which both agree.
func (r *Replacement) Same() int {
	n, a, b := 0, r.Original.IDs, r.Replaced.IDs
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return max(0, n-(len(a)-r.Original.New))
}

// Output shows both texts and where they part.
func (r *Replacement) Output() viz.Output {
	return viz.Diff("The model and its full replacement", viz.Generation{Name: "model", Tokens: r.Original.Tokens},
		viz.Generation{Name: "every MLP replaced", Tokens: r.Replaced.Tokens})
}

// DoctorCheck is one line of Doctor.
type DoctorCheck = wire.Check

// Doctor is the state of the machine.
type Doctor struct{ wire.DoctorResponse }

// Output is a table.
func (d *Doctor) Output() viz.Output {
	var rows [][]string
	root, _ := findRoot()
	for _, c := range d.Checks {
		rows = append(rows, []string{c.Status, c.Name, inClone(c.Detail, root), inClone(c.Cure, root)})
	}
	return viz.Table("This machine", []string{"", "what", "found", "cure"}, rows)
}

// inClone writes paths in the clone relative to it: what is shown may be committed.
func inClone(text, root string) string {
	if root == "" {
		return text
	}
	text = strings.ReplaceAll(text, root+string(os.PathSeparator), "")
	return strings.ReplaceAll(text, root, "this clone")
}

// curve draws training in one place, at most once a second.
type curve struct {
	place  *live
	drawn  time.Time
	output func([]wire.Progress) viz.Output
}

func newCurve() *curve { return &curve{place: newLive(), output: curveOutput} }

func (c *curve) update(points []wire.Progress) {
	if len(points) < 2 || time.Since(c.drawn) < time.Second {
		return
	}
	c.drawn = time.Now()
	c.place.final(c.output(points))
}

func (c *curve) finish(points []wire.Progress) {
	if len(points) > 1 {
		c.place.final(c.output(points))
	}
}

func curveOutput(points []wire.Progress) viz.Output {
	nmse, l0 := viz.Series{Name: "NMSE"}, viz.Series{Name: "L0 per layer"}
	for _, p := range points {
		x := float64(p.Done)
		nmse.X, nmse.Y = append(nmse.X, x), append(nmse.Y, p.Values["nmse"])
		l0.X, l0.Y = append(l0.X, x), append(l0.Y, p.Values["l0"])
	}
	last := points[len(points)-1]
	return viz.Join("curve",
		viz.Curve("Reconstruction error while training", []viz.Series{nmse}, viz.CurveOptions{XLabel: "step", YLabel: "NMSE", LogY: true, Height: 200,
			Note: fmt.Sprintf("step %d of %d: NMSE %.4f", last.Done, last.Total, last.Values["nmse"])}),
		viz.Curve("Active features while training", []viz.Series{l0}, viz.CurveOptions{XLabel: "step", YLabel: "L0 per token and layer", LogY: true, Height: 200,
			Note: fmt.Sprintf("step %d of %d: L0 %.2f", last.Done, last.Total, last.Values["l0"])}))
}

// static says that pictures are to be small and without the interactive part.
func static() bool { return os.Getenv("CLT_STATIC") != "" }
