package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/gpt2/tokenizer"
)

func TestDatasetSources(t *testing.T) {
	t.Setenv("CLT_ROOT", filepath.FromSlash("/clone"))
	for source, want := range map[string][4]string{
		"hub:owner/name":                         {"owner/name", "main", "", "/clone/out/datasets/owner/name"},
		"hub:wikitext@v1.0:data/train-*.parquet": {"wikitext", "v1.0", "data/train-*.parquet", "/clone/out/datasets/wikitext@v1.0"},
		"hub:owner/name:*.jsonl#content":         {"owner/name", "main", "*.jsonl", "/clone/out/datasets/owner/name"},
	} {
		rest, _, _ := strings.Cut(strings.TrimPrefix(source, datasetSource), "#")
		cfg, err := datasetConfig(rest)
		if got := [4]string{cfg.Name, cfg.Revision, cfg.Pattern, filepath.ToSlash(cfg.Dir)}; err != nil || got != want {
			t.Errorf("%s is %q, %v; want %q", source, got, err, want)
		}
	}
	for source, want := range map[string]string{
		"hub:": "is not the name", "hub:a/b:": "no pattern after the colon", "hub:../x": "is not the name", "hub:a/b:[": "cannot be read", "nowhere.txt": "check the path",
	} {
		if err := CheckSource(source); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", source, err, want)
		}
	}
}

// A dataset that is on the disk is used without asking the hub.
func TestDatasetOffline(t *testing.T) {
	source := hubSource(t, "data/train.jsonl", []byte("{\"body\":\"hello there\"}\n"))
	c, err := OpenCorpus(context.Background(), []string{source + "#body"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for text, err := range c.Texts(context.Background()) {
		if err != nil || text.Text != "hello there" {
			t.Errorf("%q, %v", text.Text, err)
		}
	}
}

// hubSource puts a dataset of one file where an earlier call would have downloaded it.
func hubSource(t *testing.T, name string, data []byte) string {
	t.Helper()
	root := t.TempDir()
	t.Setenv("CLT_ROOT", root)
	dir := filepath.Join(root, "out", "datasets", "owner", "tiny")
	record := fmt.Sprintf(`{"format":"clt-fetch/1","name":"owner/tiny","revision":"main","commit":"x","dataset":true,"files":[{"name":%q,"size":%d,"sha256":%q}]}`,
		name, len(data), sha256Hex(data))
	for file, content := range map[string][]byte{name: data, "fetch.json": []byte(record)} {
		path := filepath.Join(dir, filepath.FromSlash(file))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return datasetSource + "owner/tiny"
}

func sha256Hex(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// No window of texts has padding, and each begins with the end of a text, which is at
// position 0 and left out of everything; the held-out windows are not among the others.
func TestTextWindows(t *testing.T) {
	tok, err := tokenizer.Train(func(yield func(string) bool) { yield(strings.Repeat("alpha beta gamma delta ", 20)) }, tokenizer.TrainConfig{VocabSize: 290})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "a.txt")
	var b strings.Builder
	for i := range 4000 {
		b.WriteString([]string{"alpha ", "beta\n", "gamma ", "delta\n\n"}[i*i*7%4])
		b.WriteByte(byte('a' + i%26))
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	m := &gpt2.Model{Tokenizer: tok}
	m.Config.Context, m.Config.BOS = 16, tok.EOT()
	w, err := openText(context.Background(), m, false, []string{path}, 3, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range []gpt2.TokenSource{w.train, w.held} {
		batch, err := source(0)
		if err != nil {
			t.Fatal(err)
		}
		for _, ids := range batch {
			if len(ids) != 16 || ids[0] != tok.EOT() {
				t.Fatalf("a window is %v", ids)
			}
			for _, id := range ids[1:] {
				if id == tok.EOT() {
					t.Fatal("padding, or the end of a text in a corpus of one text")
				}
			}
		}
	}
	if _, err := openText(context.Background(), m, false, []string{path}, 3, nil); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(path, []byte("alpha"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := openText(context.Background(), m, false, []string{path}, 3, nil); err == nil || !strings.Contains(err.Error(), "have 1 token in all") {
		t.Errorf("a text of one token: %v", err)
	}
}
