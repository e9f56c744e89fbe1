package main

import (
	"fmt"
	"html"
	"math"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
	"github.com/etredal/cross-layer-transcoder/internal/safetensors"
	"github.com/etredal/cross-layer-transcoder/viz"
)

// How both models continue a prompt: as the original project drew.
const (
	drawTemperature = 0.7
	drawTopP        = 0.9
)

// comparison is the replacement model against the original on one prompt. Means
// are over the positions after the first, which is never replaced; logits are
// centred, because a shift of all of them changes nothing.
type comparison struct {
	Prompt   string  `json:"prompt"`
	KL       float64 `json:"kl"`     // KL(original || replacement), nats/token
	Top1     float64 `json:"top1"`   // same likeliest token, fraction
	Cosine   float64 `json:"cosine"` // of centred logits
	MSE      float64 `json:"mse"`    // of centred logits
	Original string  `json:"generated_original"`
	Replaced string  `json:"generated_replacement"`

	klByPos            []float64
	original, replaced wire.GenerateResponse
}

// compareModels runs both models on the prompts and writes numbers and pictures.
func (p *practice) compareModels() error {
	var curves []viz.Series
	var sections []viz.Section
	for _, f := range p.figures {
		x, err := p.compareOne(f.prompt)
		if err != nil {
			return err
		}
		p.compare = append(p.compare, x)
		curves = append(curves, viz.Series{Name: shorten(f.prompt, 24), Y: x.klByPos})
		sections = append(sections, viz.Section{Title: strings.TrimSpace(f.prompt), Output: viz.Diff("Continued with the same seed",
			viz.Generation{Name: "original", Tokens: x.original.Tokens}, viz.Generation{Name: "replacement", Tokens: x.replaced.Tokens})})
	}
	if err := p.writeJSON("model_comparison.json", p.compare); err != nil {
		return err
	}
	curve := viz.Curve("Replacement model against the original", curves, viz.CurveOptions{XLabel: "position", YLabel: "KL, nats", Zero: true})
	if err := p.writeSVG("model_comparison.svg", curve); err != nil {
		return err
	}
	sections = append([]viz.Section{{Title: "In numbers", Output: p.comparisonTable()}, {Title: "By position", Output: curve}}, sections...)
	return p.writePage("model_comparison.html", "Replacement model against the original", sections...)
}

func (p *practice) comparisonTable() viz.Output {
	var rows [][]string
	for _, x := range p.compare {
		rows = append(rows, []string{x.Prompt, number(x.KL), number(x.Top1), number(x.Cosine), number(x.MSE)})
	}
	return viz.Table("Means over positions", []string{"prompt", "KL, nats/token", "same top token", "cosine, centred logits", "MSE, centred logits"}, rows)
}

func (p *practice) compareOne(text string) (comparison, error) {
	x := comparison{Prompt: text}
	prompt := wire.Prompt{Text: text}
	a, err := p.logits(prompt, false)
	if err != nil {
		return x, err
	}
	b, err := p.logits(prompt, true)
	if err != nil {
		return x, err
	}
	x.measure(a, b)
	n := min(practiceTokens, p.model.Context-len(a))
	if n < 1 {
		return x, nil
	}
	for _, replaced := range []bool{false, true} {
		g, err := p.c.service().Generate(p.c.ctx, wire.GenerateRequest{Setup: p.joined(), Prompt: prompt, N: n, Temperature: drawTemperature,
			TopP: drawTopP, Seed: p.req.Seed, Replacement: replaced}, p.c.progress())
		if err != nil {
			return x, err
		}
		if replaced {
			x.replaced, x.Replaced = g, g.Text
		} else {
			x.original, x.Original = g, g.Text
		}
	}
	return x, nil
}

// logits runs one of the models: [pos][d_vocab].
func (p *practice) logits(prompt wire.Prompt, replaced bool) ([][]float64, error) {
	dir, err := os.MkdirTemp("", "clt-practice-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "logits.safetensors")
	if _, err := p.c.service().Run(p.c.ctx, wire.RunRequest{Setup: p.joined(), Prompt: prompt, Out: file, Replacement: replaced}, p.c.progress()); err != nil {
		return nil, err
	}
	f, err := safetensors.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, _ := f.Info("logits")
	flat, err := f.Float64("logits")
	if err != nil {
		return nil, err
	}
	rows := make([][]float64, info.Shape[0])
	for i := range rows {
		rows[i] = flat[i*info.Shape[1]:][:info.Shape[1]]
	}
	return rows, nil
}

// measure fills in the numbers from the logits of both models.
func (x *comparison) measure(a, b [][]float64) {
	n := float64(len(a) - 1)
	for pos := range a {
		kl := divergence(a[pos], b[pos])
		x.klByPos = append(x.klByPos, kl)
		if pos == 0 || n == 0 {
			continue
		}
		x.KL += kl / n
		if argmax(a[pos]) == argmax(b[pos]) {
			x.Top1 += 1 / n
		}
		ma, mb := meanOf(a[pos]), meanOf(b[pos])
		var ab, aa, bb, se float64
		for i := range a[pos] {
			u, v := a[pos][i]-ma, b[pos][i]-mb
			ab, aa, bb, se = ab+u*v, aa+u*u, bb+v*v, se+(u-v)*(u-v)
		}
		if aa > 0 && bb > 0 {
			x.Cosine += ab / math.Sqrt(aa*bb) / n
		}
		x.MSE += se / float64(len(a[pos])) / n
	}
}

// divergence is KL(a || b) of two rows of logits, in nats.
func divergence(a, b []float64) float64 {
	za, zb := logSum(a), logSum(b)
	kl := 0.0
	for i := range a {
		la := a[i] - za
		kl += math.Exp(la) * (la - b[i] + zb)
	}
	return math.Max(0, kl)
}

func logSum(v []float64) float64 {
	top := v[argmax(v)]
	sum := 0.0
	for _, x := range v {
		sum += math.Exp(x - top)
	}
	return top + math.Log(sum)
}

func argmax(v []float64) int {
	best := 0
	for i, x := range v {
		if x > v[best] {
			best = i
		}
	}
	return best
}

func meanOf(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}

func shorten(s string, n int) string {
	s = strings.TrimSpace(s)
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// writeIndex is the page that shows everything and links the files.
func (p *practice) writeIndex() error {
	losses, quality := seriesOf(p.series).curves()
	e := p.trained.Metrics
	sections := []viz.Section{
		{Title: "Training", Output: viz.Join("curve", losses, quality)},
		{Title: "Evaluation", Output: viz.Table(fmt.Sprintf("On %d tokens that were not trained on", e.Tokens), []string{"measure", "value"}, [][]string{
			{"NMSE", number(e.NMSE)}, {"active features per token and layer", number(e.L0)}, {"dead features", number(e.Dead)},
			{"loss of the model, nats/token", number(e.CE)}, {"loss of the replacement model", number(e.CEReplaced)},
			{"loss with mean MLP outputs", number(e.CEMean)}, {"same likeliest token", number(e.Top1)}})},
	}
	for _, f := range p.figures {
		prompt := strings.TrimSpace(f.prompt)
		sections = append(sections, viz.Section{Title: "Features of “" + prompt + "”", Output: f.activations},
			viz.Section{Title: "Attribution graph of “" + prompt + "”", Output: f.graph})
	}
	sections = append(sections, viz.Section{Title: "Replacement model against the original", Output: p.comparisonTable()},
		viz.Section{Title: "Over many texts", Output: viz.Join("suite", p.suite...)},
		viz.Section{Title: "Where everything is", Output: p.surface()}, viz.Section{Title: "Files", Output: p.fileList()})
	return p.writePage("index.html", "Practice run", sections...)
}

// fileList links what the run wrote.
func (p *practice) fileList() viz.Output {
	var names []string
	for _, pattern := range []string{"*.svg", "*.png", "*.html", "*.json", "*.jsonl", "*.txt", "cross_layer_transcoder"} {
		found, _ := filepath.Glob(p.path(pattern))
		for _, f := range found {
			if base := filepath.Base(f); base != "index.html" {
				names = append(names, base)
			}
		}
	}
	sort.Strings(names)
	o := viz.Output{Kind: "files", HTML: "<ul>", Plain: strings.Join(names, "\n")}
	for _, n := range names {
		o.HTML += fmt.Sprintf(`<li><a href="%s">%s</a></li>`, html.EscapeString(n), html.EscapeString(n))
		o.Markdown += fmt.Sprintf("- [%s](%s)\n", n, n)
	}
	o.HTML += "</ul>"
	return o
}
