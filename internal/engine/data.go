package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/gpt2/pocket"
	"github.com/etredal/cross-layer-transcoder/gpt2/pocket/world"
	"github.com/etredal/cross-layer-transcoder/internal/atomicfile"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

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
	window      int    // tokens of one
	digest      string // of the texts
	tokens      int    // of one pass through the texts for training, 0 for no end
}

const (
	windowsPerStep = 32
	longestWindow  = 128
	heldOutSeed    = 0x48454c44 // of world text that no training sees
)

// openText opens the data of a transcoder: the world, or texts (see openCorpus) of
// which the last twentieth is held out.
func openText(ctx context.Context, m *gpt2.Model, useWorld bool, sources []string, seed uint64, report func(wire.Progress)) (textWindows, error) {
	if useWorld == (len(sources) > 0) {
		return textWindows{}, fmt.Errorf("engine: give either the world or texts as data")
	}
	if m.Tokenizer == nil {
		_, err := m.Encode("x", false)
		return textWindows{}, err
	}
	out := textWindows{name: "the pocket world", window: min(m.Config.Context, longestWindow), digest: "world"}
	if useWorld {
		w := world.New(pocket.WorldSeed)
		out.train = pocket.Windows(w, m.Tokenizer, windowsPerStep, out.window, seed+1)
		out.held = pocket.Windows(w, m.Tokenizer, windowsPerStep, out.window, heldOutSeed)
		return out, nil
	}
	t, err := packTexts(ctx, m.Tokenizer, sources, 0, report)
	if err != nil {
		return out, err
	}
	out.name, out.digest = packedName(t), t.SHA256
	most, rest := splitTokens(t.IDs)
	out.tokens = len(most)
	if out.train, err = gpt2.Windows(most, m.Config.BOS, windowsPerStep, out.window, seed); err != nil {
		return out, err
	}
	if out.held, err = gpt2.Windows(rest, m.Config.BOS, windowsPerStep, out.window, seed); err != nil {
		out.held = out.train // too little text to hold some out
	}
	return out, nil
}

// metricsLog appends training progress to metrics.jsonl. A nil log writes nothing.
type metricsLog struct{ f *os.File }

// openMetrics starts the log; a run that goes on after so many steps keeps their
// lines, and drops those that a killed run had written after its checkpoint.
func openMetrics(dir string, done int) (*metricsLog, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("engine: train: %w; is the folder writable?", err)
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
