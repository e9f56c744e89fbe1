package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sort"
	"strings"

	"github.com/etredal/cross-layer-transcoder/gpt2/pocket"
	"github.com/etredal/cross-layer-transcoder/gpt2/pocket/world"
	"github.com/etredal/cross-layer-transcoder/internal/atomicfile"
	"github.com/etredal/cross-layer-transcoder/internal/embed"
	"github.com/etredal/cross-layer-transcoder/internal/engine"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
	"github.com/etredal/cross-layer-transcoder/viz"
)

// How large the pictures over many texts are.
const (
	suiteTexts     = 32  // texts that are encoded
	suiteWords     = 24  // of a text of the world
	suiteFeatures  = 300 // features on a map
	suiteRanks     = 64  // features of a layer in the picture of importance
	heatRows       = 80  // features in the heatmap of one prompt
	coactThreshold = 0.8 // correlation from which a pair is drawn, as in the original
)

type featureID struct{ layer, index int }

func (f featureID) String() string { return fmt.Sprintf("L%d/F%d", f.layer, f.index) }

// suite is what many texts make the features do.
type suite struct {
	texts  []string
	tokens int
	values map[featureID]map[int]float64 // by token over all texts
	means  []map[featureID]float64       // of each text
	layers int
}

// drawSuite draws what the original's visualisation suite drew, over many texts.
func (p *practice) drawSuite() error {
	s, err := p.encodeTexts()
	if err != nil {
		return err
	}
	top := s.strongest(p.top)
	matrix := s.correlations(top)
	names := make([]string, len(top))
	nodes := make([]viz.CoNode, len(top))
	for i, f := range top {
		names[i], nodes[i] = f.String(), viz.CoNode{Layer: f.layer, Label: f.String()}
	}
	title := fmt.Sprintf("Correlation of activations over %d tokens", s.tokens)
	if err := p.addHeat("cross_layer_correlations", title, matrix, names, names, viz.HeatOptions{Signed: true, Min: -1, Max: 1}); err != nil {
		return err
	}
	co := viz.Coactivation(fmt.Sprintf("Coactivation graph: what is active together in %d texts", len(s.texts)), nodes, matrix, coactThreshold)
	if err := p.addFigure("coactivation_graph", co); err != nil {
		return err
	}
	if err := p.drawImportance(s); err != nil {
		return err
	}
	if err := p.mapTexts(s); err != nil {
		return err
	}
	return p.mapFeatures(s)
}

// addFigure writes a picture and keeps it for the index.
func (p *practice) addFigure(name string, o viz.Output) error {
	p.suite = append(p.suite, o)
	return p.writeSVG(name+".svg", o)
}

func (p *practice) addHeat(name, title string, m [][]float64, xs, ys []string, o viz.HeatOptions) error {
	p.suite = append(p.suite, viz.Heat(title, m, xs, ys, o))
	svg, err := viz.HeatSVG(title, m, xs, ys, o)
	if err != nil {
		return err
	}
	return p.writePicture(name+".svg", svg)
}

// writePicture writes an SVG, and as PNG beside it if asked.
func (p *practice) writePicture(name, svg string) error {
	if err := atomicfile.Write(p.path(name), []byte(svg)); err != nil || !p.png {
		return err
	}
	return p.c.writePNG(p.path(strings.TrimSuffix(name, ".svg")+".png"), svg, true)
}

// suiteSample is some of the texts of the run, cut to the model's context.
func (p *practice) suiteSample() []string {
	if p.texts == nil {
		w := world.New(pocket.WorldSeed)
		list := make([]string, suiteTexts)
		for i := range list {
			list[i] = w.Document(rand.New(rand.NewPCG(p.req.Seed, 0x7375697465+uint64(i))), suiteWords)
		}
		return list
	}
	var list []string
	for _, t := range p.texts {
		if strings.TrimSpace(t) != "" && len(list) < suiteTexts {
			list = append(list, t)
		}
	}
	return list
}

func (p *practice) encodeTexts() (*suite, error) {
	s := &suite{values: map[featureID]map[int]float64{}, layers: p.model.Layers}
	all := p.suiteSample()
	for i, text := range all {
		words := strings.Fields(text)
		for n := suiteWords; ; n = n * 2 / 3 { // until it fits the context
			if n < len(words) {
				text = strings.Join(words[:n], " ")
			}
			t, err := p.c.service().Tokens(p.c.ctx, wire.TokensRequest{Setup: p.joined(), Prompt: wire.Prompt{Text: text}}, nil)
			if err == nil && len(t.IDs) <= p.model.Context || n < 2 {
				break
			}
		}
		enc, err := p.c.service().Encode(p.c.ctx, wire.EncodeRequest{Setup: p.joined(), Prompt: wire.Prompt{Text: text}}, nil)
		if err != nil {
			return nil, err
		}
		s.add(text, enc)
		p.c.progress()(wire.Progress{Phase: "encode texts", Done: i + 1, Total: len(all)})
	}
	return s, nil
}

func (s *suite) add(text string, enc wire.EncodeResponse) {
	n := float64(max(1, len(enc.Tokens)-1)) // position 0 is not encoded
	mean := map[featureID]float64{}
	for _, a := range enc.Active {
		f := featureID{a.Layer, a.Index}
		if s.values[f] == nil {
			s.values[f] = map[int]float64{}
		}
		s.values[f][s.tokens+a.Pos] = a.Value
		mean[f] += a.Value / n
	}
	s.texts, s.means, s.tokens = append(s.texts, text), append(s.means, mean), s.tokens+len(enc.Tokens)
}

// total is the sum of a feature's activations.
func (s *suite) total(f featureID) float64 {
	var v []float64
	for _, x := range s.values[f] {
		v = append(v, x)
	}
	sort.Float64s(v) // the order of a map is none
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum
}

// ranked are the features of a layer, most important first.
func (s *suite) ranked(layer int) []featureID {
	var list []featureID
	size := map[featureID]float64{}
	for f := range s.values {
		if f.layer == layer {
			list, size[f] = append(list, f), s.total(f)
		}
	}
	sort.Slice(list, func(i, j int) bool {
		if size[list[i]] != size[list[j]] {
			return size[list[i]] > size[list[j]]
		}
		return list[i].index < list[j].index
	})
	return list
}

// strongest are the n most important features of every layer.
func (s *suite) strongest(n int) []featureID {
	var out []featureID
	for l := range s.layers {
		list := s.ranked(l)
		out = append(out, list[:min(n, len(list))]...)
	}
	return out
}

// correlations are Pearson's over all tokens; nothing where a feature is constant.
func (s *suite) correlations(list []featureID) [][]float64 {
	rows := make([][]float64, len(list))
	for i, f := range list {
		rows[i] = make([]float64, s.tokens)
		for t, v := range s.values[f] {
			rows[i][t] = v
		}
		m := meanOf(rows[i])
		for t := range rows[i] {
			rows[i][t] -= m
		}
	}
	out := make([][]float64, len(list))
	for i := range list {
		out[i] = make([]float64, len(list))
		for j := range list {
			var ab, aa, bb float64
			for t := range s.tokens {
				ab, aa, bb = ab+rows[i][t]*rows[j][t], aa+rows[i][t]*rows[i][t], bb+rows[j][t]*rows[j][t]
			}
			if out[i][j] = math.NaN(); aa > 0 && bb > 0 {
				out[i][j] = ab / math.Sqrt(aa*bb)
			}
		}
	}
	return out
}

// drawImportance is the mean activation of the most important features by layer.
func (p *practice) drawImportance(s *suite) error {
	m, xs, ys := make([][]float64, s.layers), make([]string, suiteRanks), make([]string, s.layers)
	for r := range xs {
		xs[r] = fmt.Sprint(r + 1)
	}
	for l := range m {
		ys[l], m[l] = fmt.Sprintf("layer %d", l), make([]float64, suiteRanks)
		list := s.ranked(l)
		for r := range m[l] {
			if m[l][r] = math.NaN(); r < len(list) {
				m[l][r] = math.Log10(s.total(list[r]) / float64(s.tokens))
			}
		}
	}
	return p.addHeat("feature_importance", "Importance: log10 of the mean activation, by rank", m, xs, ys, viz.HeatOptions{XLabel: "rank in the layer", YLabel: "layer"})
}

// mapTexts places texts by their mean activations.
func (p *practice) mapTexts(s *suite) error {
	index := map[featureID]int{}
	for l := range s.layers {
		for _, f := range s.ranked(l) {
			index[f] = len(index)
		}
	}
	points, labels := make([][]float64, len(s.texts)), make([]viz.Point, len(s.texts))
	for i, mean := range s.means {
		points[i] = make([]float64, len(index))
		for f, v := range mean {
			points[i][index[f]] = v
		}
		labels[i].Label = shorten(s.texts[i], 20)
	}
	return p.drawMaps("text", "Texts by their mean activations", points, labels)
}

// mapFeatures places features by the directions that they write.
func (p *practice) mapFeatures(s *suite) error {
	t, _, err := engine.OpenCLT(p.cltDir())
	if err != nil {
		return err
	}
	var points [][]float64
	var labels []viz.Point
	each := max(1, suiteFeatures/max(1, s.layers))
	for _, f := range s.strongest(each) {
		n := t.Targets(f.layer) * t.DModel
		row, norm := t.WDec[f.layer][f.index*n:(f.index+1)*n], 0.0
		v := make([]float64, t.DModel) // what it writes in all, as a unit vector
		for i, x := range row {
			v[i%t.DModel] += float64(x)
		}
		for _, x := range v {
			norm += x * x
		}
		for i := range v {
			v[i] /= math.Max(math.Sqrt(norm), 1e-30)
		}
		points = append(points, v)
		labels = append(labels, viz.Point{Label: f.String(), Group: fmt.Sprintf("layer %d", f.layer)})
	}
	return p.drawMaps("feature", "Features by the direction that they write", points, labels)
}

// drawMaps draws points by principal components and by t-SNE.
func (p *practice) drawMaps(name, title string, points [][]float64, labels []viz.Point) error {
	if len(points) < 4 || len(points[0]) < 2 {
		p.c.remark("%d points are too few for a map of %ss", len(points), name)
		return nil
	}
	at, share, err := embed.PCA(points, 2)
	if err != nil {
		return err
	}
	for i := range labels {
		labels[i].X, labels[i].Y = at[i][0], at[i][1]
	}
	pca := viz.Scatter(title+": principal components", labels, viz.ScatterOptions{XLabel: fmt.Sprintf("first, %.0f %% of the variance", 100*share[0]),
		YLabel: fmt.Sprintf("second, %.0f %%", 100*share[1])})
	if err := p.addFigure(name+"_embedding_pca", pca); err != nil {
		return err
	}
	cfg := embed.DefaultTSNEConfig()
	cfg.Seed = p.req.Seed
	y, err := embed.TSNE(p.c.ctx, points, cfg)
	if err != nil {
		return err
	}
	for i := range labels {
		labels[i].X, labels[i].Y = y[i][0], y[i][1]
	}
	perplexity := math.Min(cfg.Perplexity, float64(len(points)-1)/3)
	return p.addFigure(name+"_embedding_tsne", viz.Scatter(title+": t-SNE", labels, viz.ScatterOptions{
		Note: fmt.Sprintf("perplexity %.3g, %d iterations, seed %d; distances between far points mean nothing", perplexity, cfg.Iterations, cfg.Seed)}))
}

// drawPrompt draws the features of one prompt: lines by token for each layer, and a
// heatmap of those that are active.
func (p *practice) drawPrompt(number int, enc wire.EncodeResponse) error {
	s := &suite{values: map[featureID]map[int]float64{}, layers: p.model.Layers}
	s.add("", enc)
	row := func(f featureID) []float64 {
		v := make([]float64, len(enc.Tokens))
		for t, x := range s.values[f] {
			v[t] = x
		}
		return v
	}
	var heat [][]float64
	var names []string
	for l := range s.layers {
		var lines []viz.Series
		list := s.ranked(l)
		for i, f := range list {
			if i < p.top {
				lines = append(lines, viz.Series{Name: f.String(), Y: row(f)})
			}
			if len(names) < heatRows*(l+1)/s.layers {
				heat, names = append(heat, row(f)), append(names, f.String())
			}
		}
		if len(lines) == 0 {
			continue
		}
		o := viz.Curve(fmt.Sprintf("Strongest features of layer %d by token", l), lines, viz.CurveOptions{XLabel: "token", YLabel: "activation", Zero: true, Tokens: enc.Tokens})
		if err := p.writeSVG(fmt.Sprintf("feature_activations_%d_layer%d.svg", number, l), o); err != nil {
			return err
		}
	}
	svg, err := viz.HeatSVG("Active features by token", heat, enc.Tokens, names, viz.HeatOptions{XLabel: "token", YLabel: "feature"})
	if err != nil {
		return err
	}
	return p.writePicture(fmt.Sprintf("feature_heatmap_%d.svg", number), svg)
}

// surface says where each part of the original project's surface is.
func (p *practice) surface() viz.Output {
	return viz.Table("What the original project offers, and where it is here", []string{"", "of the original", "here"}, [][]string{
		{"1", "model, features, activation, k", "-model, -features, -activation, -k (clt train and clt practice)"},
		{"2", "training on texts: batch, epochs, rate, sparsity, schedule", "-texts, -batch, -epochs or -steps, -lr, -lambda; warmup, decay, final_lr in -config of clt train"},
		{"3", "five series of metrics", "training_metrics.json, training_metrics.svg"},
		{"4", "activations of a text", "clt encode; feature_activations_N.html"},
		{"5", "top features", "feature_activations_N.html, feature_importance.svg; clt features"},
		{"6", "figure of activations with top_n", "feature_activations_N_layerL.svg, -top"},
		{"7", "correlation graph; a true attribution graph", "coactivation_graph.svg; attribution_graph_N.svg and .json"},
		{"8", "replacement model: forward, generate", "clt run, clt generate -clt, with -top-p and -temperature"},
		{"9", "original against replacement", "model_comparison.json, .svg and .html"},
		{"10", "heatmaps, embeddings, correlations, importance", "feature_heatmap_N.svg, text_ and feature_embedding_pca and _tsne.svg, cross_layer_correlations.svg, feature_importance.svg"},
		{"11", "save and load", "cross_layer_transcoder, with every setting and scale"},
		{"12", "practice run with its files", "this folder; metrics.json, params.txt, params.json"},
		{"13", "inspection of the model", "clt doctor, clt run -hooks all; model in metrics.json"},
		{"14", "CPU and sample count", "-cpu, -num-samples, -percent-samples"},
	})
}

// writeSummary is metrics.json: everything measured, in one file.
func (p *practice) writeSummary() error {
	return p.writeJSON("metrics.json", map[string]any{"training": seriesOf(p.series), "evaluation": p.trained.Metrics, "comparison": p.compare, "model": p.model})
}
