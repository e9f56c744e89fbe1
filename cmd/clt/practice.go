package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
	"github.com/etredal/cross-layer-transcoder/viz"
)

// Defaults of the practice run: small enough for two minutes on two cores
// without XLA, large enough to show features and a graph.
const (
	practiceSteps    = 300
	practiceBatch    = 1024
	practiceFeatures = 256
	practiceTop      = 5 // features of each layer that are drawn
	practiceTokens   = 20
	practiceFigures  = 3
)

// practice is one practice run: its settings, and what it has found so far.
type practice struct {
	c       *call
	set     wire.Setup
	req     wire.TrainRequest
	out     string
	epochs  float64
	samples samplePicker
	prompts list
	top     int

	model   wire.ModelInfo
	texts   []string // nil for the world
	tokens  int      // in all texts
	trained wire.TrainResponse
	series  []clt.Progress
	figures []figure
	compare []comparison
	suite   []viz.Output // over many texts
	png     bool         // pictures also as PNG
	timings []string
}

func practiceVerb(f *flag.FlagSet) func(c *call) error {
	p := &practice{}
	set := setupFlags(f, 0)
	t := addTexts(f)
	d := clt.DefaultTrainConfig()
	cpu := f.Bool("cpu", false, "the same as -backend go")
	f.IntVar(&p.samples.num, "num-samples", 0, "take so many texts (default: all)")
	f.Float64Var(&p.samples.percent, "percent-samples", 100, "take this share of the texts, in percent")
	f.IntVar(&p.req.Features, "features", practiceFeatures, "features per layer")
	f.StringVar(&p.req.Activation, "activation", clt.DefaultConfig(1, 1).Activation, "`function`: relu, jumprelu, topk or batchtopk")
	f.IntVar(&p.req.K, "k", 0, "active features per layer and token, for topk and batchtopk (default: what the engine takes)")
	f.IntVar(&p.req.Steps, "steps", practiceSteps, "training steps")
	f.Float64Var(&p.epochs, "epochs", 0, "training steps as passes over the texts, instead of -steps")
	f.IntVar(&p.req.Batch, "batch", practiceBatch, "tokens a step")
	f.Float64Var(&p.req.LR, "lr", d.LR, "peak learning rate")
	f.Float64Var(&p.req.Lambda, "lambda", d.Lambda, "weight of the sparsity penalty")
	f.Uint64Var(&p.req.Seed, "seed", d.Seed, "of samples, weights and generation; not 0")
	f.Var(&p.prompts, "prompt", "`text` for figures and comparison; may be repeated (default: three that suit the model)")
	f.IntVar(&p.top, "top", practiceTop, "features of each layer to draw")
	f.BoolVar(&p.png, "png", false, "pictures also as PNG; needs a Chromium on this machine")
	f.BoolVar(&p.req.Resume, "resume", false, "go on with an interrupted run")
	f.BoolVar(&p.req.Fresh, "fresh", false, "drop an interrupted run that -o holds, and start anew")
	f.StringVar(&p.out, "o", filepath.Join("out", "practice"), "`folder` that is written")
	return func(c *call) error {
		p.c, p.set = c, *set
		if *cpu {
			p.set.Backend = "go"
		}
		if err := p.check(f, t); err != nil {
			return err
		}
		info, err := c.open(p.set, false)
		if err != nil {
			return err
		}
		p.model = info
		c.saved = fmt.Sprintf("what is finished is in %s; clt practice with the same flags and -resume goes on", p.out)
		return p.run()
	}
}

func (p *practice) check(f *flag.FlagSet, t *textFlags) error {
	files := append(t.files[:len(t.files):len(t.files)], p.c.args...)
	if t.world && len(files) > 0 {
		return badCall("-texts and -world are both given; give one")
	}
	if err := checkSources(files); err != nil {
		return err
	}
	if err := p.c.positive(f, "num-samples", "percent-samples", "features", "k", "steps", "epochs", "batch", "lr", "seed", "top"); err != nil {
		return err
	}
	switch {
	case p.samples.percent > 100:
		return badCall("-percent-samples %g; give a share up to 100", p.samples.percent)
	case p.c.given["num-samples"] && p.c.given["percent-samples"]:
		return badCall("-num-samples and -percent-samples are both given; give one")
	case p.req.Resume && p.req.Fresh:
		return badCall("-resume and -fresh are both given; give one")
	case p.c.given["steps"] && p.c.given["epochs"]:
		return badCall("-steps and -epochs are both given; give one")
	}
	if err := checkTraining(&p.req); err != nil {
		return err
	}
	p.samples.files, p.samples.seed = files, p.req.Seed
	return outputDir(p.out)
}

// run does one thing after the other; each leaves its files.
func (p *practice) run() error {
	if err := os.MkdirAll(p.out, 0o777); err != nil {
		return err
	}
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"samples", p.readSamples}, {"train", p.train}, {"metrics", p.writeMetrics}, {"figures", p.drawFigures},
		{"comparison", p.compareModels}, {"suite", p.drawSuite}, {"summary", p.writeSummary}, {"index", p.writeIndex},
	} {
		begin := time.Now()
		if err := step.do(); err != nil {
			return err
		}
		p.timings = append(p.timings, fmt.Sprintf("%s %.1f s", step.name, time.Since(begin).Seconds()))
	}
	p.c.remark("%s", joinWords(p.timings))
	p.c.printf("%s", p.summary())
	p.c.printf("\nopen %s\n", filepath.Join(p.out, "index.html"))
	return nil
}

// path is a file of the run.
func (p *practice) path(name string) string { return filepath.Join(p.out, name) }

// cltDir is the folder of the trained transcoder.
func (p *practice) cltDir() string { return p.path("cross_layer_transcoder") }

// joined is the model with the trained transcoder.
func (p *practice) joined() wire.Setup {
	set := p.set
	set.CLT = p.cltDir()
	return set
}

func (p *practice) summary() string {
	text := fmt.Sprintf("%s: %d steps\n%s", p.cltDir(), p.trained.Steps, evaluationTable(*p.trained.Metrics))
	var rows [][]string
	for _, x := range p.compare {
		rows = append(rows, []string{fmt.Sprintf("%q", x.Prompt), number(x.KL), number(x.Top1), number(x.Cosine), number(x.MSE)})
	}
	return text + "\n" + table("Replacement model against the original", []string{"prompt", "KL, nats/token", "same top token", "cosine, centred", "MSE, centred"}, rows)
}

func joinWords(words []string) string {
	text := ""
	for i, w := range words {
		if i > 0 {
			text += ", "
		}
		text += w
	}
	return text
}
