package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"sort"
	"strings"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2/pocket"
	"github.com/etredal/cross-layer-transcoder/gpt2/pocket/world"
	"github.com/etredal/cross-layer-transcoder/internal/atomicfile"
	"github.com/etredal/cross-layer-transcoder/internal/corpus"
	"github.com/etredal/cross-layer-transcoder/internal/engine"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// samplePicker chooses texts from files, or writes some of the pocket world.
type samplePicker struct {
	files   []string
	num     int
	percent float64
	seed    uint64
}

// worldSamples is how many documents the world gives where only a share is asked for.
const worldSamples = 2000

// pick returns the texts, nil if the whole world is meant: it has no end.
func (s samplePicker) pick(ctx context.Context, report func(wire.Progress)) ([]string, error) {
	if len(s.files) == 0 {
		return s.fromWorld(), nil
	}
	c, err := engine.OpenCorpus(ctx, s.files, report)
	if err != nil {
		return nil, err
	}
	all, err := readSampleFiles(ctx, c)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, badCall("the texts are empty; give files with text in them")
	}
	n := s.count(len(all))
	keep := rand.New(rand.NewPCG(s.seed, 0x73616d)).Perm(len(all))[:n]
	sort.Ints(keep)
	texts := make([]string, n)
	for i, k := range keep {
		texts[i] = all[k]
	}
	return texts, nil
}

// count is how many of n texts are taken; at least one.
func (s samplePicker) count(n int) int {
	if s.num > 0 {
		return min(s.num, n)
	}
	return max(1, int(math.Round(float64(n)*s.percent/100)))
}

func (s samplePicker) fromWorld() []string {
	if s.num == 0 && s.percent == 100 {
		return nil
	}
	n := s.num
	if n == 0 {
		n = s.count(worldSamples)
	}
	w := world.New(pocket.WorldSeed)
	texts := make([]string, n)
	for i := range texts {
		texts[i] = w.Document(rand.New(rand.NewPCG(s.seed, uint64(i))), world.DocumentWords)
	}
	return texts
}

// readSampleFiles cuts texts into samples: a line, a row, or the paragraphs of plain
// text.
func readSampleFiles(ctx context.Context, c *corpus.Corpus) ([]string, error) {
	var out []string
	for _, f := range c.Files {
		whole := ""
		for t, err := range (&corpus.Corpus{Files: []corpus.File{f}}).Texts(ctx) {
			switch {
			case err != nil:
				return nil, err
			case !f.Plain():
				out = append(out, t.Text)
			default:
				whole += t.Text
			}
		}
		out = append(out, paragraphs(whole)...)
	}
	return out, nil
}

// paragraphs cuts a text at empty lines; a text without any is one sample.
func paragraphs(text string) []string {
	var out []string
	for _, part := range strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n\n") {
		if strings.TrimSpace(part) != "" {
			out = append(out, part)
		}
	}
	return out
}

// readSamples chooses the texts and keeps them beside the results.
func (p *practice) readSamples() error {
	texts, err := p.samples.pick(p.c.ctx, p.c.progress())
	if err != nil {
		return err
	}
	p.texts = texts
	if texts == nil {
		if p.epochs > 0 {
			return badCall("-epochs needs a number of texts, and the pocket world has no end; give -num-samples or -texts")
		}
		p.req.World = true
		return nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for _, t := range texts {
		if err := e.Encode(map[string]string{"text": t}); err != nil {
			return err
		}
	}
	file := p.path("samples.jsonl")
	if err := atomicfile.Write(file, b.Bytes()); err != nil {
		return err
	}
	p.req.Texts = []string{file}
	t, err := openTokenizer(p.set.Model)
	if err != nil {
		return err
	}
	for _, text := range texts {
		p.tokens += len(t.Encode(text))
	}
	if p.epochs > 0 {
		p.req.Steps = max(1, int(math.Ceil(p.epochs*float64(p.tokens)/float64(p.req.Batch))))
	}
	return nil
}

// train makes the transcoder and reads back how it went.
func (p *practice) train() error {
	req := p.req
	req.Setup, req.Out = p.set, p.cltDir()
	settings := map[string]any{"report_every": max(1, req.Steps/100), "stat_tokens": min(clt.DefaultTrainConfig().StatTokens, 8*req.Batch)}
	var err error
	if req.Config, err = json.Marshal(settings); err != nil {
		return err
	}
	if p.trained, err = p.c.service().Train(p.c.ctx, req, p.c.progress()); err != nil {
		return err
	}
	p.series, err = readMetrics(p.cltDir() + "/metrics.jsonl")
	return err
}

// readMetrics reads the lines that training left.
func readMetrics(path string) ([]clt.Progress, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var out []clt.Progress
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var x clt.Progress
		if err := json.Unmarshal(lines.Bytes(), &x); err != nil {
			return nil, fmt.Errorf("metrics.jsonl: %w", err)
		}
		out = append(out, x)
	}
	return out, lines.Err()
}

// fallbackPrompts suit a model of English that is not the pocket model.
var fallbackPrompts = []string{
	"The president lives in the White House",
	"Artificial intelligence systems learn from data",
	"The Sahara is the largest hot desert in the world",
}

// choosePrompts are those of the command line, or three that suit the model.
func (p *practice) choosePrompts() ([]string, error) {
	if len(p.prompts) > 0 {
		return p.prompts, nil
	}
	if p.set.Model != pocket.Name {
		return fallbackPrompts, nil
	}
	res, err := p.c.service().Prompts(p.c.ctx, wire.Empty{}, nil)
	if err != nil {
		return nil, err
	}
	var out []string
	seen := map[string]bool{}
	for _, want := range []string{"capital", "two-hop", "indirect-object", ""} {
		for _, d := range res.Prompts {
			if len(out) < practiceFigures && (want == "" || d.Behaviour == want) && !seen[d.Behaviour] {
				out, seen[d.Behaviour] = append(out, d.Text), true
			}
		}
	}
	return out, nil
}
