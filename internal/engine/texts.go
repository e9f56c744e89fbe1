package engine

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/gpt2/tokenizer"
	"github.com/etredal/cross-layer-transcoder/internal/corpus"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// datasetSource begins a source that is a dataset of the hub: hub:NAME[@REVISION][:PATTERN][#FIELD].
const datasetSource = "hub:"

// largestDataset is how much of a dataset is downloaded without a word: 20 GiB.
const largestDataset = 20 << 30

// OpenCorpus finds the files of texts: each source is one of package corpus, or a
// dataset of the hub, which is downloaded once and used from the disk ever after.
func OpenCorpus(ctx context.Context, sources []string, report func(wire.Progress)) (*corpus.Corpus, error) {
	c := &corpus.Corpus{}
	for _, s := range sources {
		part, err := openSource(ctx, s, report)
		if err != nil {
			return nil, err
		}
		c.Files = append(c.Files, part.Files...)
	}
	return c, nil
}

func openSource(ctx context.Context, source string, report func(wire.Progress)) (*corpus.Corpus, error) {
	rest, ok := strings.CutPrefix(source, datasetSource)
	if !ok {
		return corpus.Open(source)
	}
	rest, field, hasField := strings.Cut(rest, "#")
	cfg, err := datasetConfig(rest)
	if err != nil {
		return nil, err
	}
	got, err := fetchDataset(ctx, cfg, report)
	if err != nil {
		return nil, err
	}
	c := &corpus.Corpus{}
	for _, f := range got.Files {
		if !hasField {
			field = corpus.DefaultField
		}
		c.Files = append(c.Files, corpus.File{Path: filepath.Join(cfg.Dir, filepath.FromSlash(f.Name)), Field: field, Size: f.Size})
	}
	return c, nil
}

// CheckSource says what is wrong with a source, without a download.
func CheckSource(source string) error {
	rest, ok := strings.CutPrefix(source, datasetSource)
	if !ok {
		_, err := corpus.Open(source)
		return err
	}
	rest, _, _ = strings.Cut(rest, "#")
	cfg, err := datasetConfig(rest)
	if err != nil {
		return err
	}
	return cfg.Validate()
}

// datasetConfig reads NAME[@REVISION][:PATTERN].
func datasetConfig(text string) (gpt2.FetchConfig, error) {
	cfg := gpt2.DefaultFetchConfig()
	cfg.Dataset, cfg.MaxBytes, cfg.Token = true, largestDataset, os.Getenv("HF_TOKEN")
	name, pattern, hasPattern := strings.Cut(text, ":")
	if cfg.Pattern = pattern; hasPattern && pattern == "" {
		return cfg, fmt.Errorf("engine: %q has no pattern after the colon; write hub:NAME or hub:NAME:PATTERN", datasetSource+text)
	}
	name, revision, hasRevision := strings.Cut(name, "@")
	if hasRevision {
		cfg.Revision = revision
	}
	cfg.Name, cfg.Dir = name, DatasetDir(name, cfg.Revision)
	return cfg, cfg.Validate()
}

// DatasetDir is the folder of a dataset.
func DatasetDir(name, revision string) string {
	dir := filepath.FromSlash(name)
	if revision != gpt2.DefaultFetchConfig().Revision {
		dir += "@" + strings.ReplaceAll(revision, "/", "-")
	}
	return filepath.Join(datasetRoot(), dir)
}

// datasetRoot is beside the fetched models: out/datasets of the clone, or the user's
// cache.
func datasetRoot() string {
	if r := os.Getenv("CLT_ROOT"); r != "" {
		return filepath.Join(r, "out", "datasets")
	}
	_, err := os.Stat("go.mod")
	if cache, cerr := os.UserCacheDir(); err != nil && cerr == nil {
		return filepath.Join(cache, "clt", "datasets")
	}
	return filepath.Join("out", "datasets")
}

// fetchDataset uses what an earlier call downloaded, and asks the hub only for what
// is not there.
func fetchDataset(ctx context.Context, cfg gpt2.FetchConfig, report func(wire.Progress)) (gpt2.Fetched, error) {
	offline := cfg
	offline.Offline = true
	if got, err := gpt2.Fetch(ctx, offline, nil); err == nil || ctx.Err() != nil {
		return got, err
	}
	return gpt2.Fetch(ctx, cfg, func(p gpt2.FetchProgress) {
		tell(report, wire.Progress{Phase: "download MiB", Done: int(p.Bytes >> 20), Total: int((p.Total + 1<<20 - 1) >> 20), Message: p.File})
	})
}

// packTexts tokenizes texts, with the end of a text between two of them, up to a limit
// of tokens (0 for corpus.MaxTokens).
func packTexts(ctx context.Context, t *tokenizer.Tokenizer, sources []string, limit int, report func(wire.Progress)) (*corpus.Tokens, error) {
	c, err := OpenCorpus(ctx, sources, report)
	if err != nil {
		return nil, err
	}
	var total int64
	for _, f := range c.Files {
		total += f.Size
	}
	encode := func(texts []string) [][]int32 { return t.EncodeBatch(texts, false) }
	return c.Pack(ctx, encode, t.EOT(), limit, func(bytes int64) {
		tell(report, wire.Progress{Phase: "tokenize MiB", Done: int(bytes >> 20), Message: fmt.Sprintf("of files of %d MiB", total>>20)})
	})
}

// packedName says what the texts were.
func packedName(t *corpus.Tokens) string {
	name := fmt.Sprintf("%d texts, %d tokens", t.Texts, len(t.IDs))
	if t.Empty > 0 {
		name += fmt.Sprintf(", %d empty texts left out", t.Empty)
	}
	if !t.Whole {
		name += ", the rest not read"
	}
	return name
}
