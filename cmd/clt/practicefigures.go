package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"sort"
	"strings"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/internal/atomicfile"
	"github.com/etredal/cross-layer-transcoder/internal/engine"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
	"github.com/etredal/cross-layer-transcoder/viz"
)

// figure is one prompt with its pictures.
type figure struct {
	prompt      string
	activations viz.Output
	graph       viz.Output
}

// trainingMetrics are the series of a run; the first five have the names of the
// original project. Losses are sums over layers, in the space of training.
type trainingMetrics struct {
	Step           []int     `json:"step"`
	TotalLoss      []float64 `json:"total_loss"`
	Reconstruction []float64 `json:"reconstruction_loss"`
	Sparsity       []float64 `json:"sparsity_loss"`
	L0             []float64 `json:"l0_metric"`
	LearningRate   []float64 `json:"learning_rate"`
	NMSE           []float64 `json:"nmse"`
	Dead           []float64 `json:"dead_fraction"`
}

func seriesOf(list []clt.Progress) trainingMetrics {
	var m trainingMetrics
	for _, x := range list {
		m.Step = append(m.Step, x.Step)
		m.TotalLoss = append(m.TotalLoss, x.Loss)
		m.Reconstruction = append(m.Reconstruction, x.Reconstruction)
		m.Sparsity = append(m.Sparsity, x.Sparsity)
		m.L0 = append(m.L0, x.L0)
		m.LearningRate = append(m.LearningRate, x.LR)
		m.NMSE = append(m.NMSE, x.NMSE)
		dead := 0.0
		for _, d := range x.DeadFraction {
			dead += d / float64(len(x.DeadFraction))
		}
		m.Dead = append(m.Dead, dead)
	}
	return m
}

// curves are the training metrics as pictures: losses; error and activity.
func (m trainingMetrics) curves() (losses, quality viz.Output) {
	x := make([]float64, len(m.Step))
	for i, s := range m.Step {
		x[i] = float64(s)
	}
	losses = viz.Curve("Training losses", []viz.Series{{Name: "total", X: x, Y: m.TotalLoss}, {Name: "reconstruction", X: x, Y: m.Reconstruction},
		{Name: "sparsity", X: x, Y: m.Sparsity}}, viz.CurveOptions{XLabel: "step", YLabel: "loss, summed over layers", LogY: true})
	quality = viz.Curve("Reconstruction error and activity", []viz.Series{{Name: "NMSE", X: x, Y: m.NMSE}, {Name: "active features", X: x, Y: m.L0},
		{Name: "dead fraction", X: x, Y: m.Dead}}, viz.CurveOptions{XLabel: "step", YLabel: "NMSE; features per token; fraction", LogY: true})
	return losses, quality
}

// writeMetrics writes the numbers, the settings and the picture of training.
func (p *practice) writeMetrics() error {
	m := seriesOf(p.series)
	if err := p.writeJSON("training_metrics.json", m); err != nil {
		return err
	}
	if err := p.writeJSON("evaluation.json", p.trained.Metrics); err != nil {
		return err
	}
	params := p.params()
	object := map[string]any{}
	text := ""
	for _, kv := range params {
		object[kv.key] = kv.value
		text += fmt.Sprintf("%s: %v\n", kv.key, kv.value)
	}
	if err := p.writeJSON("params.json", object); err != nil {
		return err
	}
	if err := atomicfile.Write(p.path("params.txt"), []byte(text)); err != nil {
		return err
	}
	losses, _ := m.curves()
	return p.writeSVG("training_metrics.svg", losses)
}

type param struct {
	key   string
	value any
}

// params are the settings of the run, first those of the original project.
func (p *practice) params() []param {
	samples := any("the pocket world, without end")
	if p.texts != nil {
		samples = len(p.texts)
	}
	list := []param{{"model_name", p.model.Name}, {"num_features", p.req.Features}, {"device", p.model.Backend}, {"batch_size", p.req.Batch}}
	if p.tokens > 0 {
		list = append(list, param{"num_epochs", math.Round(100*float64(p.req.Steps*p.req.Batch)/float64(p.tokens)) / 100})
	}
	return append(list, []param{{"activation_type", p.req.Activation}, {"topk_features", p.req.K}, {"steps", p.trained.Steps},
		{"learning_rate", p.req.LR}, {"sparsity_coefficient", p.req.Lambda}, {"seed", p.req.Seed}, {"num_samples", samples}, {"num_tokens", p.tokens}}...)
}

func (p *practice) writeJSON(name string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return atomicfile.Write(p.path(name), append(data, '\n'))
}

var svgData = regexp.MustCompile(`data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)`)

// writeSVG writes the first picture of an output as a file.
func (p *practice) writeSVG(name string, out viz.Output) error {
	svg, err := svgOf(name, out)
	if err != nil {
		return err
	}
	return p.writePicture(name, string(svg))
}

func writeSVG(path string, out viz.Output) error {
	svg, err := svgOf(path, out)
	if err != nil {
		return err
	}
	return atomicfile.Write(path, svg)
}

// svgOf is the first picture of an output.
func svgOf(path string, out viz.Output) ([]byte, error) {
	m := svgData.FindStringSubmatch(out.HTML)
	if m == nil {
		return nil, fmt.Errorf("%s: the output %q has no picture", path, out.Kind)
	}
	svg, err := base64.StdEncoding.DecodeString(m[1])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return svg, nil
}

// writePage writes outputs as a page of their own.
func (p *practice) writePage(name, title string, sections ...viz.Section) error {
	prov := provenance()
	prov.Command = "clt practice"
	prov.Seeds = map[string]uint64{"run": p.req.Seed}
	page, err := viz.Page(sections, viz.PageOptions{Title: title, Provenance: prov})
	if err != nil {
		return err
	}
	return atomicfile.Write(p.path(name), page)
}

// drawFigures draws features and graph of each prompt.
func (p *practice) drawFigures() error {
	prompts, err := p.choosePrompts()
	if err != nil {
		return err
	}
	for i, text := range prompts {
		f := figure{prompt: text}
		enc, err := p.c.service().Encode(p.c.ctx, wire.EncodeRequest{Setup: p.joined(), Prompt: wire.Prompt{Text: text}}, p.c.progress())
		if err != nil {
			return err
		}
		f.activations = activationFigure(enc, p.top)
		if err := p.writePage(fmt.Sprintf("feature_activations_%d.html", i+1), "Feature activations", viz.Section{Title: strings.TrimSpace(text), Output: f.activations}); err != nil {
			return err
		}
		if err := p.drawPrompt(i+1, enc); err != nil {
			return err
		}
		if f.graph, err = p.drawGraph(i+1, text); err != nil {
			return err
		}
		p.figures = append(p.figures, f)
	}
	return nil
}

// drawGraph makes the attribution graph of a prompt, in three forms.
func (p *practice) drawGraph(number int, text string) (viz.Output, error) {
	var none viz.Output
	info, err := p.c.service().Attribute(p.c.ctx, wire.AttributeRequest{Setup: p.joined(), Prompt: wire.Prompt{Text: text}}, p.c.progress())
	if err != nil {
		return none, err
	}
	g, err := engine.LoadGraph(info.Path)
	if err != nil {
		return none, err
	}
	small, err := g.Prune(attribution.DefaultPruneConfig())
	if err != nil {
		return none, err
	}
	name := fmt.Sprintf("attribution_graph_%d", number)
	if err := engine.SaveGraph(p.path(name+".json"), small, attribution.View{}); err != nil {
		return none, err
	}
	opts := viz.GraphOptions{Full: g}
	svg, err := viz.GraphSVG(small, opts)
	if err != nil {
		return none, err
	}
	if err := p.writePicture(name+".svg", svg); err != nil {
		return none, err
	}
	opts.Static = true
	return viz.Graph(small, opts)
}

// activationFigure is the strongest features of each layer over the tokens.
func activationFigure(enc wire.EncodeResponse, top int) viz.Output {
	type key struct{ layer, index int }
	values := map[key][]float64{}
	peak := map[key]float64{}
	layers := 0
	for _, a := range enc.Active {
		k := key{a.Layer, a.Index}
		if values[k] == nil {
			values[k] = make([]float64, len(enc.Tokens))
		}
		values[k][a.Pos] = a.Value
		peak[k] = max(peak[k], a.Value)
		layers = max(layers, a.Layer+1)
	}
	var rows []viz.Output
	var all [][]float64
	var names []string
	for l := range layers {
		var list []key
		for k := range values {
			if k.layer == l {
				list = append(list, k)
			}
		}
		sort.Slice(list, func(i, j int) bool {
			if peak[list[i]] != peak[list[j]] {
				return peak[list[i]] > peak[list[j]]
			}
			return list[i].index < list[j].index
		})
		var strips []viz.Row
		for _, k := range list[:min(top, len(list))] {
			name := fmt.Sprintf("L%d/F%d", k.layer, k.index)
			strips = append(strips, viz.Row{Name: name, Values: values[k]})
			all, names = append(all, values[k]), append(names, name)
		}
		if len(strips) > 0 {
			rows = append(rows, viz.Tokens(enc.Tokens, strips))
		}
	}
	heat := viz.Heat(fmt.Sprintf("Strongest features of each layer, %d active in all", len(values)), all, enc.Tokens, names,
		viz.HeatOptions{XLabel: "token", YLabel: "feature"})
	return viz.Join("activations", append([]viz.Output{heat}, rows...)...)
}
