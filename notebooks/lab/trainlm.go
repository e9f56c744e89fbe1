package lab

import (
	"encoding/json"
	"fmt"

	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
	"github.com/etredal/cross-layer-transcoder/viz"
)

// LMOptions say which language model is trained; zero values take the defaults.
type LMOptions struct {
	Out    string   // folder, relative to the clone; default out/lab/model
	Texts  []string // default: the pocket world
	Model  string   // whose weights it starts from (fine-tuning); default: new ones
	Layers int
	DModel int // width of the residual stream
	Heads  int
	Steps  int
	LR     float64
	Every  int  // steps between two measurements on text held out; default: a fifth of them, at most 250
	Fresh  bool // start again instead of going on from a checkpoint
}

// LMTraining is a trained language model.
type LMTraining struct {
	wire.TrainLMResponse
	Dir   string          // its folder
	Curve []wire.Progress // one entry a report
}

// TrainLM trains a GPT-2 and draws its loss while it runs. The stop button keeps a
// checkpoint: running the cell again goes on from there.
func (s *Session) TrainLM(o LMOptions) *LMTraining {
	if o.Out == "" {
		o.Out = "out/lab/model"
	}
	texts := make([]string, len(o.Texts))
	for i, t := range o.Texts {
		texts[i] = s.path(t)
	}
	req := wire.TrainLMRequest{Backend: s.on().Backend, Model: o.Model, World: len(texts) == 0, Texts: texts, Layers: o.Layers,
		DModel: o.DModel, Heads: o.Heads, Steps: o.Steps, LR: o.LR, Out: s.path(o.Out), Resume: !o.Fresh, Fresh: o.Fresh}
	if o.Every == 0 && o.Steps > 0 {
		o.Every = max(1, min(250, o.Steps/5))
	}
	if o.Every > 0 {
		req.Config, _ = json.Marshal(map[string]int{"eval_every": o.Every})
	}
	t := &LMTraining{Dir: o.Out}
	c := newCurve()
	c.output = lossOutput
	s.do("train-lm", req, &t.TrainLMResponse, func(p wire.Progress) {
		if p.Phase == "train-lm" {
			t.Curve = append(t.Curve, p)
			c.update(t.Curve)
		}
	})
	c.finish(t.Curve)
	return t
}

// lossOutput draws the loss of the batches, and of the text held out where it was
// measured.
func lossOutput(points []wire.Progress) viz.Output {
	loss, held := viz.Series{Name: "batch"}, viz.Series{Name: "held out"}
	last := points[len(points)-1]
	note := fmt.Sprintf("step %d of %d: %.3f nats/token", last.Done, last.Total, last.Values["loss"])
	for _, p := range points {
		loss.X, loss.Y = append(loss.X, float64(p.Done)), append(loss.Y, p.Values["loss"])
		// Each report has the last measurement.
		if v, ok := p.Values["val_loss"]; ok && (len(held.Y) == 0 || v != held.Y[len(held.Y)-1]) {
			held.X, held.Y = append(held.X, float64(p.Done)), append(held.Y, v)
		}
	}
	series := []viz.Series{loss}
	if len(held.X) > 0 {
		series = append(series, held)
		note += fmt.Sprintf(", %.3f on text held out", held.Y[len(held.Y)-1])
	}
	return viz.Join("curve", viz.Curve("Loss while training", series, viz.CurveOptions{XLabel: "step", YLabel: "nats per token", Height: 200, Note: note}))
}

// Output is what the model can do after training.
func (t *LMTraining) Output() viz.Output {
	if len(t.Accuracy) > 0 {
		return (&Accuracy{wire.AccuracyResponse{Accuracy: t.Accuracy}}).Output()
	}
	held := "not measured"
	if t.Validation != nil {
		held = fmt.Sprintf("%.3f", *t.Validation)
	}
	return viz.Table("The language model after training", []string{"steps", "loss, nats/token", "on text held out"},
		[][]string{{fmt.Sprint(t.Steps), fmt.Sprintf("%.3f", t.Loss), held}})
}
