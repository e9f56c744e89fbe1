package engine

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/gpt2/pocket"
	"github.com/etredal/cross-layer-transcoder/gpt2/pocket/world"
	"github.com/etredal/cross-layer-transcoder/gpt2/tokenizer"
	"github.com/etredal/cross-layer-transcoder/internal/atomicfile"
)

// readTexts reads text files, JSON lines with a "text" field, and both gzipped.
func readTexts(paths []string) ([]string, error) {
	var texts []string
	for _, p := range paths {
		list, err := readText(p)
		if err != nil {
			return nil, err
		}
		texts = append(texts, list...)
	}
	total := 0
	for _, t := range texts {
		total += len(t)
	}
	if total == 0 {
		return nil, fmt.Errorf("engine: the texts are empty; give files with text in them")
	}
	return texts, nil
}

func readText(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("engine: texts: %w", err)
	}
	defer f.Close()
	var r io.Reader = bufio.NewReader(f)
	name := strings.ToLower(path)
	if strings.HasSuffix(name, ".gz") {
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, fmt.Errorf("engine: %s is not gzip: %w; unpack it or fix its name", filepath.Base(path), err)
		}
		r, name = z, strings.TrimSuffix(name, ".gz")
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("engine: %s: %w; the file may be cut short", filepath.Base(path), err)
	}
	switch {
	case strings.HasSuffix(name, ".jsonl"):
		return jsonLines(path, data)
	case strings.HasSuffix(name, ".parquet"):
		return nil, fmt.Errorf("engine: %s: parquet is not read yet; convert it to JSON lines with a \"text\" field", filepath.Base(path))
	case !utf8.Valid(data):
		line := 1 + bytes.Count(data[:firstInvalid(data)], []byte{'\n'})
		return nil, fmt.Errorf("engine: %s is not UTF-8 at line %d; convert it", filepath.Base(path), line)
	}
	return []string{string(data)}, nil
}

func firstInvalid(data []byte) int {
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n <= 1 {
			return i
		}
		i += n
	}
	return len(data)
}

func jsonLines(path string, data []byte) ([]string, error) {
	var texts []string
	for i, line := range bytes.Split(data, []byte{'\n'}) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var row struct {
			Text *string `json:"text"`
		}
		if err := json.Unmarshal(line, &row); err != nil || row.Text == nil {
			return nil, fmt.Errorf("engine: %s line %d is no JSON object with a \"text\" field; fix or remove the line", filepath.Base(path), i+1)
		}
		texts = append(texts, *row.Text)
	}
	return texts, nil
}

// tokenizeAll joins the texts with <|endoftext|> between them.
func tokenizeAll(t *tokenizer.Tokenizer, texts []string) []int32 {
	var ids []int32
	for i, text := range t.EncodeBatch(texts, false) {
		if i > 0 && t.EOT() >= 0 {
			ids = append(ids, t.EOT())
		}
		ids = append(ids, text...)
	}
	return ids
}

// splitTokens holds the last twentieth out. Language model and transcoder cut at the
// same place, so that no training has seen what the other is judged by.
func splitTokens(ids []int32) (train, held []int32) {
	cut := len(ids) - len(ids)/20
	return ids[:cut], ids[cut:]
}

// textWindows is text as a transcoder sees it, and text held out for evaluation.
type textWindows struct {
	name        string
	train, held gpt2.TokenSource
}

const (
	windowsPerStep = 32
	longestWindow  = 128
	heldOutSeed    = 0x48454c44 // of world text that no training sees
)

// openText opens the data of a transcoder: the world, or texts of which the
// last twentieth is held out.
func openText(m *gpt2.Model, useWorld bool, paths []string, seed uint64) (textWindows, error) {
	if useWorld == (len(paths) > 0) {
		return textWindows{}, fmt.Errorf("engine: give either the world or texts as data")
	}
	if m.Tokenizer == nil {
		_, err := m.Encode("x", false)
		return textWindows{}, err
	}
	window := min(m.Config.Context, longestWindow)
	if useWorld {
		w := world.New(pocket.WorldSeed)
		return textWindows{"the pocket world", pocket.Windows(w, m.Tokenizer, windowsPerStep, window, seed+1),
			pocket.Windows(w, m.Tokenizer, windowsPerStep, window, heldOutSeed)}, nil
	}
	texts, err := readTexts(paths)
	if err != nil {
		return textWindows{}, err
	}
	ids := tokenizeAll(m.Tokenizer, texts)
	most, rest := splitTokens(ids)
	train, err := gpt2.Windows(most, m.Config.BOS, windowsPerStep, window, seed)
	if err != nil {
		return textWindows{}, err
	}
	held, err := gpt2.Windows(rest, m.Config.BOS, windowsPerStep, window, seed)
	if err != nil {
		held = train // too little text to hold some out
	}
	return textWindows{fmt.Sprintf("%d texts, %d tokens", len(texts), len(ids)), train, held}, nil
}

// metricsLog appends training progress to metrics.jsonl. A nil log writes nothing.
type metricsLog struct{ f *os.File }

// openMetrics starts the log; a run that goes on after so many steps keeps their
// lines, and drops those that a killed run had written after its checkpoint.
func openMetrics(dir string, done int) (*metricsLog, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("engine: train: %w", err)
	}
	path := filepath.Join(dir, "metrics.jsonl")
	var kept []byte
	if old, err := os.ReadFile(path); err == nil && done > 0 {
		for line := range bytes.Lines(old) {
			var p struct {
				Step int `json:"step"`
			}
			if json.Unmarshal(line, &p) != nil || p.Step > done {
				break
			}
			kept = append(kept, line...)
		}
	}
	if err := writeFile(path, kept); err != nil {
		return nil, fmt.Errorf("engine: train: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0o666)
	if err != nil {
		return nil, fmt.Errorf("engine: train: %w", err)
	}
	return &metricsLog{f}, nil
}

func (l *metricsLog) write(p any) {
	if l == nil {
		return
	}
	if line, err := json.Marshal(p); err == nil {
		_, _ = l.f.Write(append(line, '\n'))
	}
}

func (l *metricsLog) Close() {
	if l != nil {
		_ = l.f.Close()
	}
}

func writeFile(path string, data []byte) error { return atomicfile.Write(path, data) }
