package features

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/internal/testenv"
)

func contains(err error, text string) bool { return err != nil && strings.Contains(err.Error(), text) }

// TestPublicLayout reads a store as circuit-tracer's viewer does: index, byte range,
// length, gzip, JSON.
func TestPublicLayout(t *testing.T) {
	lm, x, _ := toyPair(t, mainKind)
	s, dir := build(t, lm, x, toyCorpus(30), small())
	file, err := os.ReadFile(filepath.Join(dir, "index.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	var index map[string]struct {
		Filename string  `json:"filename"`
		Offsets  []int64 `json:"offsets"`
	}
	if err := json.Unmarshal(mustUnzip(t, file), &index); err != nil {
		t.Fatal(err)
	}
	if len(index) != x.Layers || len(index["0"].Offsets) != x.Features+1 || index["2"].Filename != "layer_2.bin" {
		t.Fatalf("index %+v", index)
	}
	shard, err := os.ReadFile(filepath.Join(dir, index["1"].Filename))
	if err != nil {
		t.Fatal(err)
	}
	for f := range x.Features {
		r := shard[index["1"].Offsets[f]:index["1"].Offsets[f+1]]
		n := binary.LittleEndian.Uint32(r)
		if int(n) != len(r)-4 {
			t.Fatalf("record %d says %d bytes, has %d", f, n, len(r)-4)
		}
		var v map[string]any
		if err := json.Unmarshal(mustUnzip(t, r[4:]), &v); err != nil {
			t.Fatal(err)
		}
		for _, key := range strings.Fields("transcoder_id index examples_quantiles top_logits bottom_logits act_min act_max quantile_values histogram activation_frequency") {
			if v[key] == nil {
				t.Errorf("record %d has no %s", f, key)
			}
		}
		if want := float64((1+f)*(2+f)/2 + f); v["index"] != want || v["transcoder_id"] != "1" {
			t.Errorf("record %d is index %v of %v, want %v", f, v["index"], v["transcoder_id"], want)
		}
		own, err := s.Feature(clt.Feature{Layer: 1, Index: f})
		if err != nil {
			t.Fatal(err)
		}
		for g, q := range v["examples_quantiles"].([]any) {
			for i, e := range q.(map[string]any)["examples"].([]any) {
				ex, at := e.(map[string]any), own.Groups[g].Examples[i]
				acts, peak := ex["tokens_acts_list"].([]any), int(ex["train_token_ind"].(float64))
				if len(acts) != len(ex["tokens"].([]any)) || acts[peak] != at.Value || ex["is_repeated_datapoint"] != (at.Repeats > 0) {
					t.Errorf("record %d: example %v, our reader says %+v", f, ex, at)
				}
			}
		}
	}
	// the values that the layout's own documentation gives
	for _, c := range [][3]int64{{0, 5, 20}, {11, 24575, 302272566}, {23, 5458, 15028879}, {1, 57794, 1670217704}} {
		if got := Cantor(int(c[0]), int(c[1])); got != c[2] {
			t.Errorf("Cantor(%d, %d) = %d, want %d", c[0], c[1], got, c[2])
		}
	}
}

func mustUnzip(t *testing.T, data []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestRefused: a store of another model, a damaged or foreign folder, features that
// are not there.
func TestRefused(t *testing.T) {
	lm, x, _ := toyPair(t, mainKind)
	s, dir := build(t, lm, x, toyCorpus(12), small())
	o := s.Manifest.Origin
	if err := o.Refuse("aa", "bb", ""); err != nil {
		t.Errorf("its own model is refused: %v", err)
	}
	for _, err := range []error{o.Refuse("xx", "bb", ""), o.Refuse("aa", "xx", ""), Origin{Tokenizer: "t"}.Refuse("", "", "u")} {
		if !contains(err, "build it again") {
			t.Errorf("another one is not refused: %v", err)
		}
	}
	for _, f := range []clt.Feature{{Layer: -1}, {Layer: 3}, {Index: -1}, {Index: x.Features}} {
		if _, err := s.Feature(f); !contains(err, "there is no feature") {
			t.Errorf("%v: %v", f, err)
		}
	}
	if _, err := Open(t.TempDir()); !contains(err, "clt features build") {
		t.Errorf("an empty folder: %v", err)
	}
	for name := range testenv.Files(t, dir) {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data[:len(data)/2], 0o666); err != nil {
			t.Fatal(err)
		}
		bad, err := Open(dir)
		if err == nil {
			_, err = bad.Feature(clt.Feature{Layer: x.Layers - 1, Index: x.Features - 1})
			if strings.HasPrefix(name, "layer_0") || strings.HasPrefix(name, "side_0") || strings.HasPrefix(name, "layer_1") || strings.HasPrefix(name, "side_1") {
				_, err = bad.Feature(clt.Feature{Layer: int(name[strings.IndexByte(name, '_')+1] - '0'), Index: x.Features - 1})
			}
		}
		if err == nil || !strings.Contains(err.Error(), "; ") {
			t.Errorf("half of %s: %v", name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLabelsOutliveARebuild: names stay, of another transcoder they are refused, and a
// guess gives way to a name.
func TestLabelsOutliveARebuild(t *testing.T) {
	lm, x, _ := toyPair(t, mainKind)
	corpus := toyCorpus(20)
	s, dir := build(t, lm, x, corpus, small())
	f := clt.Feature{Layer: 2, Index: 3}
	before, guess, err := s.Label(f)
	if err != nil || before == "" || !guess {
		t.Fatalf("label %q, a guess: %v, %v", before, guess, err)
	}
	if err := s.SetLabel(f, " say\n\"Austin\" "); err != nil {
		t.Fatal(err)
	}
	check := func(s *Store) {
		t.Helper()
		if got, guess, err := s.Label(f); got != `say "Austin"` || guess || err != nil {
			t.Errorf("label %q, a guess: %v, %v", got, guess, err)
		}
		if got, err := s.Feature(f); err != nil || got.Label != `say "Austin"` || got.Guess {
			t.Errorf("%+v, %v", got, err)
		}
	}
	check(s)
	if _, err := Build(t.Context(), lm, x, toyOrigin, inSteps(corpus, 4), small(), dir, nil); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(dir); err != nil {
		t.Fatal(err)
	}
	check(s)
	for _, bad := range []error{s.SetLabel(f, strings.Repeat("x", 300)), s.SetLabel(f, "\xff"), s.SetLabel(clt.Feature{Layer: 9}, "x")} {
		if bad == nil {
			t.Error("a label that cannot be is taken")
		}
	}
	if err := s.SetLabel(f, ""); err != nil {
		t.Fatal(err)
	}
	if got, guess, _ := s.Label(f); got != before || !guess {
		t.Errorf("without a name the label is %q", got)
	}
	if err := os.WriteFile(filepath.Join(dir, labelsFile), []byte(`{"clt_sha256":"other","labels":{}}`), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); !contains(err, "another transcoder") {
		t.Errorf("labels of another transcoder: %v", err)
	}
}

// TestBound: memory does not grow with the corpus, and stays below what the
// configuration says.
func TestBound(t *testing.T) {
	cfg := small()
	cfg.Sketch, cfg.Coactive = 8, 8
	shape := clt.Config{Layers: 2, Features: 200}
	c := newCollector(cfg, shape, 50)
	feed := func(batches int, seed uint64) uint64 {
		for i := range batches {
			if err := c.add(noise(shape, seed+uint64(i))); err != nil {
				t.Fatal(err)
			}
		}
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	start := feed(0, 0)
	first := feed(30, 1) - start
	second := feed(60, 1000) - start
	if bound := uint64(cfg.Bytes(shape.Layers * shape.Features)); second > bound {
		t.Errorf("%d bytes are held, the configuration says at most %d", second, bound)
	} else {
		t.Logf("%d bytes after 30 batches, %d after 90; the bound is %d", first, second, bound)
	}
	if second > first+first/4 {
		t.Errorf("%d bytes after 30 batches, %d after 90: memory grows with the corpus", first, second)
	}
	runtime.KeepAlive(c)
}
