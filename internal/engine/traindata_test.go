package engine

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2/pocket"
	"github.com/etredal/cross-layer-transcoder/gpt2/pocket/world"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// sourceFiles writes the same texts in every format.
func sourceFiles(t *testing.T) map[string][]string {
	t.Helper()
	dir := t.TempDir()
	w := world.New(pocket.WorldSeed)
	type row struct {
		Story string `parquet:"story"`
	}
	var rows []row
	var plain, lines bytes.Buffer
	for i := range 60 {
		text := w.Document(rand.New(rand.NewPCG(5, uint64(i))), world.DocumentWords)
		rows = append(rows, row{text})
		plain.WriteString(text)
		line, _ := json.Marshal(map[string]string{"text": text})
		lines.Write(append(line, '\n'))
	}
	var packed, denser, table bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(lines.Bytes())
	_ = z.Close()
	zs, err := zstd.NewWriter(&denser)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = zs.Write(lines.Bytes())
	_ = zs.Close()
	p := parquet.NewGenericWriter[row](&table, parquet.MaxRowsPerRowGroup(20))
	_, _ = p.Write(rows)
	_ = p.Close()
	for name, data := range map[string][]byte{"a.txt": plain.Bytes(), "b.jsonl.gz": packed.Bytes(), "c.parquet": table.Bytes(), "d.jsonl": lines.Bytes(), "e.jsonl.zst": denser.Bytes()} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return map[string][]string{"world": nil, "text": {filepath.Join(dir, "a.txt")}, "lines": {filepath.Join(dir, "*.jsonl.gz")},
		"parquet": {filepath.Join(dir, "c.parquet") + "#story"}, "bare lines": {filepath.Join(dir, "d.jsonl")},
		"zst": {filepath.Join(dir, "e.jsonl.zst")}, "hub": {hubSource(t, "data/train.jsonl", lines.Bytes())}}
}

// A folder that cannot be written is said before the training, with what to do.
func TestTrainCannotWrite(t *testing.T) {
	req := dataRequest(t, nil)
	if err := os.WriteFile(req.Out, nil, 0o644); err != nil { // a file where the folder should be
		t.Fatal(err)
	}
	req.Out = filepath.Join(req.Out, "clt")
	_, err := New().Train(context.Background(), req, nil)
	if err == nil || !strings.HasSuffix(err.Error(), "; is the folder writable?") || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %v", err)
	}
}

func dataRequest(t *testing.T, sources []string) wire.TrainRequest {
	return wire.TrainRequest{Setup: wire.Setup{Backend: "go"}, World: sources == nil, Texts: sources, Steps: 6, Features: 8, Batch: 48,
		Config: json.RawMessage(`{"report_every":1,"stat_tokens":48}`), Out: filepath.Join(t.TempDir(), "clt")}
}

// Going on with other data, or from a cache of something else, is refused with what
// differs; a cache over its budget with the size.
func TestTrainDataRefusals(t *testing.T) {
	s, _ := testService(t), smallModel(t) // for its small evaluations
	files := sourceFiles(t)
	req := dataRequest(t, files["lines"])
	req.Cache = filepath.Join(t.TempDir(), "cache")
	ctx, cancel := context.WithCancel(t.Context())
	var said string
	if _, err := s.Train(ctx, req, func(p wire.Progress) {
		if p.Phase == "train" && p.Done == 2 {
			said = p.Message
			cancel()
		}
	}); err == nil {
		t.Fatal("a cancelled run ends without an error")
	}
	if !strings.Contains(said, "bottleneck: ") {
		t.Errorf("progress says %q, not where the bottleneck is", said)
	}
	if line, err := os.ReadFile(filepath.Join(req.Out, "metrics.jsonl")); err != nil || !bytes.Contains(line, []byte(`"collect_tokens_per_sec"`)) {
		t.Errorf("metrics %.300s, %v", line, err)
	}
	for want, change := range map[string]func(r *wire.TrainRequest){
		"its texts is":                        func(r *wire.TrainRequest) { r.Texts = files["text"] },
		"its order seed is 1, this run has 7": func(r *wire.TrainRequest) { r.DataSeed = 7 },
		"its read point is":                   func(r *wire.TrainRequest) { r.Read = "hook_resid_mid" },
		"its dtype is float32":                func(r *wire.TrainRequest) { r.CacheDType = clt.CacheInt8 },
		"its budget is 0.0 MiB":               func(r *wire.TrainRequest) { r.CacheBudget = 1 },
		"the data was made":                   nil,
	} {
		if change == nil {
			continue
		}
		r := req
		r.Out = filepath.Join(t.TempDir(), "other")
		change(&r)
		if _, err := s.Train(t.Context(), r, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if _, err := s.Train(t.Context(), req, nil); err == nil || !strings.HasSuffix(err.Error(), "holds an interrupted run (the checkpoint of step 2); go on with it (-resume), drop it (-fresh), or give another folder") {
		t.Errorf("started anew: error %v", err)
	}
	anew := req
	anew.Fresh, anew.Texts = true, []string{filepath.Join(t.TempDir(), "none")}
	if _, err := s.Train(t.Context(), anew, nil); err == nil {
		t.Error("a text that is not there is read")
	}
	if n, err := clt.CheckpointStep(filepath.Join(req.Out, "checkpoints")); n != 2 || err != nil {
		t.Errorf("the newest checkpoint is of step %d (%v) after runs that could not start", n, err)
	}
	req.Resume = true
	for want, change := range map[string]func(r *wire.TrainRequest){
		"its texts is":                        func(r *wire.TrainRequest) { r.Texts, r.Cache = files["text"], "" },
		"its seed of the data is 1":           func(r *wire.TrainRequest) { r.DataSeed, r.Cache = 7, "" },
		"its size of the shuffled block is 0": func(r *wire.TrainRequest) { r.ShuffleMiB = 4 },
		"its number of steps to go round is":  func(r *wire.TrainRequest) { r.CacheTokens = 4000 },
	} {
		r := req
		change(&r)
		if _, err := s.Train(t.Context(), r, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("resumed: error %v, want %q", err, want)
		}
	}
	anew = req
	anew.Resume, anew.Fresh = false, true
	if res, err := s.Train(t.Context(), anew, nil); err != nil || res.Steps != 6 {
		t.Errorf("anew: %+v, %v", res, err)
	}
	anew.Resume = true
	if _, err := s.Train(t.Context(), anew, nil); err == nil || !strings.Contains(err.Error(), "both resume and fresh") {
		t.Errorf("both: error %v", err)
	}
}
