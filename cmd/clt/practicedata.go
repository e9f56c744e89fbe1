package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2/pocket"
	"github.com/etredal/cross-layer-transcoder/gpt2/pocket/world"
	"github.com/etredal/cross-layer-transcoder/internal/atomicfile"
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
func (s samplePicker) pick() ([]string, error) {
	if len(s.files) == 0 {
		return s.fromWorld(), nil
	}
	var all []string
	for _, name := range s.files {
		list, err := readSampleFile(name)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
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

// readSampleFile cuts a file into samples: JSON lines with a "text" field, or the
// paragraphs of plain text; both may be gzipped.
func readSampleFile(path string) ([]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	name, base := strings.ToLower(path), filepath.Base(path)
	if strings.HasSuffix(name, ".gz") {
		name = strings.TrimSuffix(name, ".gz")
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err == nil {
			data, err = io.ReadAll(z)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: gzip: %w; the file may be cut short, or wrongly named", base, err)
		}
	}
	if strings.HasSuffix(name, ".jsonl") {
		return jsonSamples(base, data)
	}
	if !utf8.Valid(data) {
		return nil, fmt.Errorf("%s is not UTF-8; convert it", base)
	}
	return paragraphs(string(data)), nil
}

func jsonSamples(base string, data []byte) ([]string, error) {
	var out []string
	for i, line := range bytes.Split(data, []byte{'\n'}) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var row struct{ Text *string }
		if err := json.Unmarshal(line, &row); err != nil || row.Text == nil {
			return nil, fmt.Errorf(`%s line %d is no JSON object with a "text" field; fix or remove the line`, base, i+1)
		}
		out = append(out, *row.Text)
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
	texts, err := p.samples.pick()
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
