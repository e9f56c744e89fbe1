package engine

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

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
	var packed, table bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(lines.Bytes())
	_ = z.Close()
	p := parquet.NewGenericWriter[row](&table, parquet.MaxRowsPerRowGroup(20))
	_, _ = p.Write(rows)
	_ = p.Close()
	for name, data := range map[string][]byte{"a.txt": plain.Bytes(), "b.jsonl.gz": packed.Bytes(), "c.parquet": table.Bytes()} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return map[string][]string{"world": nil, "text": {filepath.Join(dir, "a.txt")}, "lines": {filepath.Join(dir, "*.jsonl.gz")},
		"parquet": {filepath.Join(dir, "c.parquet") + "#story"}}
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

// drawn are batches of a run's data after so many others, and how many tokens the
// model or the cache gave.
func drawn(t *testing.T, s *Service, req wire.TrainRequest, skip, n int) (list [][]float32) {
	t.Helper()
	m, _, err := s.model(req.Setup)
	if err != nil {
		t.Fatal(err)
	}
	cfg, tc, err := trainConfigs(m, req)
	if err != nil {
		t.Fatal(err)
	}
	windows, err := openText(t.Context(), m, req.World, req.Texts, dataSeed(req, tc), nil)
	if err != nil {
		t.Fatal(err)
	}
	d, err := s.openTrainData(m, cfg, tc, windows, req, skip)
	if err != nil {
		t.Fatal(err)
	}
	for b, err := range d.batches(t.Context(), nil) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, slices.Concat(slices.Concat(b.In...), slices.Concat(b.Out...)))
		if n--; n == 0 {
			break
		}
	}
	return list
}

// A run that goes on after any number of batches sees what it would have seen, from
// every source, with and without a cache; and a float32 cache gives what the model
// gives, while it is filled and when it is full.
func TestResumeEverySource(t *testing.T) {
	s := testService(t)
	same := func(a, b [][]float32) bool {
		return slices.EqualFunc(a, b, func(x, y []float32) bool { return slices.Equal(x, y) })
	}
	for name, sources := range sourceFiles(t) {
		req := dataRequest(t, sources)
		req.ShuffleMiB, req.Steps = 1, 12 // three blocks
		streamed := drawn(t, s, req, 0, 12)
		if len(streamed) != 12 {
			t.Fatalf("%s: %d batches, want 12", name, len(streamed))
		}
		if got := drawn(t, s, req, 7, 5); !same(got, streamed[7:]) {
			t.Errorf("%s: going on after 7 batches gives others", name)
		}
		for _, dtype := range []string{clt.CacheFloat32, clt.CacheInt8} {
			req.Cache, req.CacheDType = filepath.Join(t.TempDir(), "cache"), dtype
			first := drawn(t, s, req, 0, 4) // stopped while it is filled
			rest := drawn(t, s, req, 4, 8)
			full := drawn(t, s, req, 0, 12)
			if !same(slices.Concat(first, rest), full) {
				t.Errorf("%s %s: the full cache gives other batches than while it was filled", name, dtype)
			}
			if dtype == clt.CacheFloat32 && !same(full, streamed) {
				t.Errorf("%s: a float32 cache gives other batches than the model", name)
			}
		}
	}
}

// Going on with other data, or from a cache of something else, is refused with what
// differs; a cache over its budget with the size.
func TestTrainDataRefusals(t *testing.T) {
	s := testService(t)
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
}
