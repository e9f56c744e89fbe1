package viz

import (
	"math"
	"time"

	at "github.com/etredal/cross-layer-transcoder/clt/attribution"
)

var prompt = []string{endOfText, "Fact", ":", " the", " capital", " of", " the", " state", " containing", " Dallas", " is"}

// hostile are texts that try to leave the place they are put in.
var hostile = []string{
	endOfText, `</script><img src=x onerror=alert(1)>`, `]]>`, `&lt;`, `"'`, "`", "``|`", `{{.}}`, `${x}`, `$x$`, `\(x\)`,
	"\x00", "\x1b[31m", "\u202eevil", "\u2066x", "a\u200bb", "\ufeffbom", "\xf0\x9f", "\x98\x80", "\xff", "\ufffe", "\ufdd0", "👩\u200d🚀", "🇫🇷",
	"שלום", " مرحبا", "e\u0301", "\n", "\t\r", "       ", "\u0085", "\u2028", `--><svg/onload=alert(1)>`, `javascript:alert(1)`,
	"' onmouseover='alert(1)", "\\", "|", "long" + repeat("0123456789", 13), "",
}

func repeat(s string, n int) (out string) {
	for range n {
		out += s
	}
	return out
}

func wave(n int, f func(x float64) float64) []float64 {
	y := make([]float64, n)
	for i := range y {
		y[i] = f(float64(i))
	}
	return y
}

// sampleCurve is a training run with noise, gaps and zeros.
func sampleCurve(n int) Output {
	loss := Series{Name: "loss", Y: wave(n, func(x float64) float64 { return 3*math.Exp(-x*5/float64(n)) + 0.1 + 0.05*math.Sin(x*1.7) })}
	mse := Series{Name: "reconstruction", Y: wave(n, func(x float64) float64 { return 2 * math.Exp(-x*6/float64(n)) })}
	dead := Series{Name: "dead share", Y: wave(n, func(x float64) float64 { return 0.3 * (1 - math.Exp(-x*3/float64(n))) })}
	if n > 10 {
		loss.Y[n/2] = math.NaN()
	}
	return Curve("Training", []Series{loss, mse, dead}, CurveOptions{XLabel: "step", YLabel: "nats, NMSE", LogY: true, Smooth: 0.9, Note: "smoothed over about ten steps"})
}

func samplePredictions() (before, after []Prediction) {
	before = []Prediction{{" Austin", 0.41, 15.2}, {" Dallas", 0.12, 13.9}, {" Texas", 0.08, 13.4}, {" the", 0.05, 13}, {" Houston", 0.02, 12}}
	after = []Prediction{{" Sacramento", 0.37, 15.1}, {" Austin", 0.05, 12.8}, {" California", 0.11, 13.6}, {" the", 0.06, 13.2}}
	return before, after
}

func sampleMeter() (m Meter, begin time.Time) {
	begin = time.Unix(0, 0)
	m = Meter{What: "attributing", Unit: "targets", Total: 5000}
	m.Start(begin)
	m.Update(begin.Add(15*time.Second), 1240)
	return m, begin
}

// components is one of each, small enough to be read as a file.
func components() []Output {
	nan := math.NaN()
	act := []float64{nan, 0, 0, 0, 1.1, 0, 0.1, 2.2, 0.4, 5.4, -1.2}
	before, after := samplePredictions()
	m, begin := sampleMeter()
	return []Output{
		Tokens(append(prompt, "\n", " שלום", "\xf0\x9f", "\x98\x80", "     "), []Row{{Name: "L5/f1234", Values: act}}),
		Tokens(prompt, []Row{{Name: "L5/f1234 Texas", Values: act}, {Name: "KL", Values: act[3:], Max: 8}}),
		TopK(before, after, "model", "Texas off", "Predictions"),
		TopK(before, nil),
		sampleCurve(60),
		Hist("Activations", wave(500, func(x float64) float64 { return math.Exp(2 * math.Sin(x*1.37)) }), HistOptions{LogX: true, XLabel: "activation"}),
		Table("Evaluation", []string{"method", "KL", "top-1"}, [][]string{{"CLT", "0.12", "91 %"}, {"zero ablation", "5.3", "3 %"}}),
		Check("row identity", true, "largest error 3e−6, limit 1e−4"),
		Check("top-1", false, "got 0.81, want 0.955; train longer"),
		Warn("error share", "34 % of the target's input is error"),
		m.Output(begin.Add(15*time.Second), 1240, "loss 0.31"),
		m.Finish(begin.Add(61*time.Second), 5000, ""),
		Diff("Two texts",
			Generation{Name: "model", Tokens: []string{"The", " capital", " is", " Austin", ".", " It", " is", "\n"}, KL: []float64{0, 0.1, 0, 3, 0.1, 0, 2, 1}},
			Generation{Name: "replacement", Tokens: []string{"The", " capital", " is", " Dallas", ".", " It", " has"}}),
		Heat("Norm of the residual stream", sampleMatrix(12, len(prompt)), prompt, nil, HeatOptions{XLabel: "token", YLabel: "layer", BottomUp: true}),
		Heat("What each head brings", sampleMatrix(6, 6), []string{"head 0", "head 1", "head 2", "head 3", "head 4", "head 5"}, nil, HeatOptions{Signed: true, BottomUp: true}),
		Attention("Layer 5", sampleAttention(6, len(prompt)), prompt),
		Lens("Logit lens", prompt, sampleLens(6, prompt), LensOptions{Target: " Austin"}),
		Bars("Decoder norm by layer", []Bar{{"layer 0", 1.2, "the feature's own"}, {"layer 1", 0.4, ""}, {"layer 2", 0.9, ""}, {"layer 3", 0.05, ""}}, BarOptions{Label: "norm"}),
		Bars("Direct effect on the logit", []Bar{{"say Austin", 2.1, ""}, {"Texas", 0.7, ""}, {"state", -0.6, ""}, {"error", -1.4, ""}}, BarOptions{Label: "logit"}),
		Scatter("Sparsity against error", sampleSweep(), ScatterOptions{XLabel: "L0 (features per token)", YLabel: "NMSE", LogX: true, Pareto: true, Note: "three sweeps of eight runs"}),
		Scatter("Features by their decoders", sampleMap(), ScatterOptions{XLabel: "first component", YLabel: "second", Selected: []int{3, 40}, Note: "PCA of decoder vectors, 31 % of variance"}),
		Operands("Addition", sampleOperands(40)),
	}
}

func sampleMatrix(rows, cols int) [][]float64 {
	m := make([][]float64, rows)
	for i := range m {
		m[i] = wave(cols, func(x float64) float64 { return float64(i+1) * math.Sin(0.7*x+float64(i)) / 3 })
	}
	return m
}

// sampleAttention has one head on the token before, one on the first, the rest
// in between.
func sampleAttention(heads, n int) [][][]float64 {
	out := make([][][]float64, heads)
	for h := range out {
		out[h] = make([][]float64, n)
		for q := range n {
			row, sum := make([]float64, n), 0.0
			for k := range q + 1 {
				row[k] = math.Exp(-float64(h) * math.Abs(float64(q-1-k)) / 2)
				if k == 0 {
					row[k] += 3 / (1 + float64(h))
				}
				sum += row[k]
			}
			for k := range q + 1 {
				row[k] /= sum
			}
			out[h][q] = row
		}
	}
	return out
}

func sampleLens(layers int, tokens []string) [][]LensCell {
	guesses := []string{" the", " of", " city", " Texas", " Dallas", " Austin"}
	out := make([][]LensCell, layers)
	for l := range out {
		for p := range tokens {
			g := guesses[(l+p)%len(guesses)]
			rank := 1 + (layers-1-l)*(layers-1-l)*9
			if p == len(tokens)-1 && l >= layers-2 {
				g, rank = " Austin", 1
			}
			out[l] = append(out[l], LensCell{g, 0.05 + 0.8*float64((l+1)*(p+1))/float64(layers*len(tokens)), rank})
		}
	}
	return out
}

func sampleSweep() (out []Point) {
	for _, kind := range []string{"relu", "jumprelu", "topk"} {
		for k := range 8 {
			l0 := 8 * math.Pow(1.6, float64(k))
			y := 0.9/math.Pow(l0, 0.45) + 0.03*math.Sin(float64(3*k)+3*float64(kind[0]))
			out = append(out, Point{l0, y, kind + " " + count(k), kind})
		}
	}
	return out
}

func sampleMap() (out []Point) {
	for k := range 120 {
		a, r := 2.4*float64(k), math.Sqrt(float64(k))
		out = append(out, Point{r * math.Cos(a), r * math.Sin(a) / 2, "L5/f" + count(k), ""})
	}
	return out
}

// sampleOperands are an add-function, a sum and a lookup feature.
func sampleOperands(n int) []OperandPlot {
	rules := []struct {
		name string
		f    func(a, b float64) float64
	}{
		{"L2/f10 a is about 20", func(a, _ float64) float64 { return math.Max(0, 3-math.Abs(a-20)/2) }},
		{"L5/f20 the sum ends in 5", func(a, b float64) float64 { return math.Max(0, 1-math.Abs(math.Mod(a+b, 10)-5)) }},
		{"L3/f30 _6 + _9", func(a, b float64) float64 {
			return math.Max(0, 2-math.Abs(math.Mod(a, 10)-6)-math.Abs(math.Mod(b, 10)-9))
		}},
		{"L7/f40 the sum is about 36", func(a, b float64) float64 { return math.Max(0, 4-math.Abs(a+b-36)/2) }},
	}
	var out []OperandPlot
	for _, r := range rules {
		p := OperandPlot{Name: r.name, Values: make([][]float64, n), Weights: wave(2*n, func(x float64) float64 { return math.Cos(x * 0.628) })}
		for a := range p.Values {
			p.Values[a] = wave(n, func(b float64) float64 { return r.f(float64(a), b) })
		}
		out = append(out, p)
	}
	return out
}

// componentsOf puts one text into every text argument of every component.
func componentsOf(h string, values []float64) []Output {
	t := time.Unix(0, 0)
	m := Meter{What: h, Unit: h, Total: 7}
	m.Start(t)
	preds := []Prediction{{h, 0.5, 2}, {"a", 0.2, 1}}
	return []Output{
		Tokens([]string{h, "a"}, []Row{{Name: h, Values: values}}), Tokens([]string{h, "a"}, []Row{{Name: h, Values: values}, {Name: h, Values: values}}),
		Table(h, []string{h, h}, [][]string{{h, h}}), Check(h, true, h), Warn(h, h), m.Output(t.Add(time.Second), 3, h), m.Finish(t.Add(time.Second), 3, h),
		Curve(h, []Series{{Name: h, Y: values}}, CurveOptions{XLabel: h, YLabel: h, Note: h}), Hist(h, values, HistOptions{XLabel: h}),
		Heat(h, [][]float64{{1, 2}}, []string{h, h}, []string{h}, HeatOptions{XLabel: h, YLabel: h}),
		Diff(h, Generation{Name: h, Tokens: []string{h, "a"}, KL: values}, Generation{Name: h, Tokens: []string{h, "b"}}), TopK(preds, preds[1:], h, h, h),
		Attention(h, [][][]float64{{{1, 0}, {0.2, 0.8}}}, []string{h, h}), Bars(h, []Bar{{h, 1, h}, {h, -2, ""}}, BarOptions{Label: h, Note: h}),
		Lens(h, []string{h, h}, [][]LensCell{{{h, 0.5, 3}, {h, 0.2, 1}}}, LensOptions{Target: h, Layers: []string{h}}),
		Scatter(h, []Point{{1, 2, h, h}, {2, 1, h, "g"}}, ScatterOptions{XLabel: h, YLabel: h, Note: h, Selected: []int{0}, Pareto: true}),
		Operands(h, []OperandPlot{{Name: h, Values: [][]float64{values, values}, Weights: values}}),
		FeatureCard(featureOf(h)), {Kind: "brief", HTML: FeatureBrief(featureOf(h))},
		Coactivation(h, []CoNode{{0, h}, {1, h}}, [][]float64{{1, 0.9}, {-0.9, 1}}, 0.5), Join(h, Progress(h, 0.5)),
	}
}

// graphsOf are graphs with a text wherever a graph has one.
func graphsOf(h string) ([]Output, error) {
	g := tiny()
	g.Tokens[0], g.Nodes[5].Label, g.Nodes[0].Label, g.Prompt = h, h, h, h
	o := GraphOptions{Title: h, Finding: h, Labels: map[at.ID]string{g.Nodes[0].ID: h}, Groups: []at.Group{{Label: h, Nodes: []at.ID{g.Nodes[0].ID, g.Nodes[1].ID}}},
		Features: func(int, int) (Feature, bool) { return featureOf(h), true }}
	one, err := Graph(g, o)
	if err != nil {
		return nil, err
	}
	two, err := Compare(g, tiny(), CompareOptions{Title: h, A: h, B: h, GraphA: o})
	return []Output{one, two}, err
}

// featureOf has a text wherever a feature has one.
func featureOf(h string) Feature {
	scores := []TokenScore{{1, h, 2}, {2, "a", -1}}
	return Feature{Layer: 1, Index: 2, Label: h, Guess: true, Tokens: 100, Active: 9, Density: 0.09, Max: 3, Mean: 1, Histogram: []int{3, 4, 2}, BinWidth: 1,
		Groups: []ExampleGroup{{h, 0, 3, []FeatureExample{{Tokens: []string{"a", h, "b"}, Values: []float64{0, 3, 0}, Peak: 1, Value: 3, Pos: 1}}}, {"q", 0, 3, []FeatureExample{{Tokens: []string{h}, Values: []float64{3}, Value: 3}}}},
		Top:    scores, Bottom: scores, Targets: []TargetLayer{{1, 0.5, scores, scores}}, Embeddings: scores, Extended: scores, Coactive: []CoactiveEntry{{1, 3, h, 0.5, 4}}}
}

// hostileComponents puts the corpus into every text argument there is.
func hostileComponents() []Output {
	var out []Output
	values := wave(len(hostile), func(x float64) float64 { return x - 3 })
	square := make([][]float64, len(hostile))
	for i := range square {
		square[i] = values
	}
	var preds []Prediction
	for i, h := range hostile {
		preds = append(preds, Prediction{h, 0.01 * float64(i), float64(i)})
	}
	for _, h := range hostile {
		out = append(out, componentsOf(h, values)...)
	}
	return append(out, Tokens(hostile, []Row{{Name: "a", Values: values}}), Tokens(hostile, []Row{{Name: "a", Values: values}, {Name: "b", Values: values}}), TopK(preds, preds, "a", "b"),
		Heat("h", square, hostile, hostile, HeatOptions{Signed: true}), Attention("a", [][][]float64{square, square}, hostile), Lens("l", hostile, [][]LensCell{hostileLens()}, LensOptions{}))
}

func hostileLens() (out []LensCell) {
	for i, h := range hostile {
		out = append(out, LensCell{h, 0.02 * float64(i), i + 1})
	}
	return out
}

// hostileGraph has the corpus as tokens, labels and targets.
func hostileGraph() (*at.Graph, GraphOptions) {
	g := planted(3, 4, 1)
	o := GraphOptions{Labels: map[at.ID]string{}, All: true, Inputs: true}
	for i := range g.Tokens {
		g.Tokens[i] = hostile[(3*i+1)%len(hostile)]
	}
	k := 0
	for i := range g.Nodes {
		switch n := &g.Nodes[i]; n.Kind {
		case at.Feature:
			n.Label = hostile[k%len(hostile)]
			if k%3 == 0 {
				o.Labels[n.ID] = hostile[(k*7)%len(hostile)]
				o.Pinned = append(o.Pinned, n.ID)
			}
			k++
		case at.Logit:
			n.Label = hostile[(k*5)%len(hostile)]
			k++
		}
	}
	g.Prompt = hostile[1]
	o.Title, o.Finding = hostile[1]+hostile[11], hostile[33]+hostile[13]
	return g, o
}
