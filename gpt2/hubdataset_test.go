package gpt2

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// fakeDataset is a hub with a dataset in two formats and two parts.
func fakeDataset(t *testing.T) *fakeHub {
	h := newFakeHub(t)
	h.name = "owner/stories"
	big := make([]byte, 2<<20)
	for i := range big {
		big[i] = byte(i * 7 >> 3)
	}
	h.files = map[string][]byte{
		"README.md": []byte("# stories"), ".gitattributes": nil, "data/train-00000.parquet": big, "data/train-00001.parquet": []byte("PAR1"),
		"data/validation-00000.parquet": []byte("PAR1"), "raw/all.jsonl.gz": []byte("z"), "raw/all.txt": []byte("x"), "loader.py": []byte("evil"),
	}
	return h
}

func datasetConfig(h *fakeHub, dir, pattern string) FetchConfig {
	cfg := h.config(dir)
	cfg.Dataset, cfg.Pattern = true, pattern
	return cfg
}

func TestFetchDataset(t *testing.T) {
	for pattern, want := range map[string][]string{
		"":                  {"data/train-00000.parquet", "data/train-00001.parquet", "fetch.json"},
		"data/v*.parquet":   {"data/validation-00000.parquet", "fetch.json"},
		"*.jsonl.gz":        {"fetch.json", "raw/all.jsonl.gz"},
		"data/train-*1.pa*": {"data/train-00001.parquet", "fetch.json"},
	} {
		h := fakeDataset(t)
		dir := t.TempDir()
		if _, err := Fetch(context.Background(), datasetConfig(h, dir, pattern), nil); err != nil {
			t.Errorf("%q: %v", pattern, err)
			continue
		}
		if got := tree(t, dir); !slices.Equal(got, want) {
			t.Errorf("%q brings %q, want %q", pattern, got, want)
		}
		if asked := h.asked("/api/datasets/owner/stories/"); len(asked) != 1 {
			t.Errorf("%q: the hub was asked for datasets %d times", pattern, len(asked))
		}
		h.Close() // offline from here
		cfg := datasetConfig(h, dir, pattern)
		cfg.Offline = true
		got, err := Fetch(context.Background(), cfg, nil)
		if err != nil || len(got.Files) != len(want)-1 || got.Downloaded != 0 {
			t.Errorf("%q offline: %+v, %v", pattern, got, err)
		}
		cfg.Pattern = "other*"
		if _, err := Fetch(context.Background(), cfg, nil); err == nil || !strings.Contains(err.Error(), `not those like "other*"`) {
			t.Errorf("offline with another pattern: %v", err)
		}
	}
}

// A download of a dataset that broke goes on where it stopped.
func TestFetchDatasetResumes(t *testing.T) {
	h := fakeDataset(t)
	h.set(func() {
		h.content = func(w http.ResponseWriter, r *http.Request, nth int) bool {
			if nth > 1 || !strings.Contains(r.URL.Path, "00000") {
				return false
			}
			w.Header().Set("Content-Length", "2097152")
			w.Write(h.files["data/train-00000.parquet"][:1<<20])
			return true
		}
	})
	if _, err := Fetch(context.Background(), datasetConfig(h, t.TempDir(), ""), nil); err != nil {
		t.Fatal(err)
	}
	if ranges := h.asked("/cdn/data/train-00000.parquet bytes=1048576-"); len(ranges) != 1 {
		t.Errorf("%d requests for the rest, want 1", len(ranges))
	}
}

func TestFetchDatasetRefusals(t *testing.T) {
	h := fakeDataset(t)
	h.fails(t, datasetConfig(h, t.TempDir(), "*.csv"), "no text of the dataset is named like *.csv; it has ")
	h.fails(t, datasetConfig(h, t.TempDir(), "a[b"), "cannot be read")
	small := datasetConfig(h, t.TempDir(), "")
	small.MaxBytes = 1 << 20
	h.fails(t, small, "choose some of them by a pattern, such as data/train-00000.parquet")
	model := h.config(t.TempDir())
	model.Pattern = "*.txt"
	h.fails(t, model, "it is for datasets")
	h.set(func() { h.files = map[string][]byte{"README.md": nil, "loader.py": nil} })
	h.fails(t, datasetConfig(h, t.TempDir(), ""), "has no parquet, jsonl or txt; it has README.md, loader.py")
}
