package features

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/gpt2/tokenizer"
	"github.com/etredal/cross-layer-transcoder/internal/atomicfile"
)

// Files of a store. The first two are the public layout.
const (
	indexFile    = "index.json.gz"
	layerFile    = "layer_%d.bin"
	manifestFile = "store.json"
	sideFile     = "side_%d.bin"
	sideIndex    = "side.json.gz"
	searchFile   = "search.json.gz"
	vocabFile    = "vocabulary.txt.gz"
	labelsFile   = "labels.json"
)

// Format names the layout of store.json.
const Format = "clt-features/1"

// Manifest is store.json: what the store is of.
type Manifest struct {
	Format   string  `json:"format"`
	Origin   Origin  `json:"origin"`
	Config   Config  `json:"config"`
	Layers   int     `json:"layers"`
	Features int     `json:"features"` // per layer
	Backend  string  `json:"backend"`
	Summary  Summary `json:"summary"`
}

// shardIndex is where the records of one layer stand: record i is bytes offsets[i] to
// offsets[i+1], of which the first four are the length of the gzipped JSON behind.
type shardIndex struct {
	Filename string  `json:"filename"`
	Offsets  []int64 `json:"offsets"`
}

// storeWriter turns a finished pass into files.
type storeWriter struct {
	c      *collector
	vocab  []string // bytes of each token
	dir    string   // temporary
	public map[string]shardIndex
	side   map[string]shardIndex
	search []searchRow
	bytes  int
}

// write makes the store of a pass that is through.
func (p *pass) write(ctx context.Context, m *gpt2.Model, t *clt.Transcoder, dir string, report func(Progress)) (*Summary, error) {
	e, err := newEffects(m, t, p.c.cfg)
	if err != nil {
		return nil, err
	}
	defer e.free()
	w := &storeWriter{c: p.c, vocab: vocabulary(m), public: map[string]shardIndex{}, side: map[string]shardIndex{}}
	man := Manifest{Format: Format, Origin: p.header.Origin, Config: p.header.Config, Layers: t.Layers, Features: t.Features, Backend: p.header.Backend,
		Summary: Summary{Tokens: int(p.c.tokens), Windows: int(p.c.windows), Features: t.Layers * t.Features}}
	man.Config.Every = max(1, p.c.every) // as it was
	for _, k := range p.c.blocks {
		man.Summary.Dead += btoi(k == nil)
	}
	err = atomicfile.WriteDir(dir, func(tmp string) error {
		w.dir = tmp
		for l := range t.Layers {
			list, err := e.layer(ctx, l)
			if err != nil {
				return err
			}
			if err := w.layer(l, list); err != nil {
				return err
			}
			report(Progress{"logits", l + 1, t.Layers})
		}
		return w.finish(&man, dir)
	})
	if err != nil {
		if serr := p.c.save(p.path, p.header); serr != nil {
			return nil, serr
		}
		return nil, err
	}
	_ = os.Remove(p.path)
	return &man.Summary, nil
}

// layer writes the two files of a layer.
func (w *storeWriter) layer(l int, list []effect) error {
	var public, side bytes.Buffer
	pi, si := shardIndex{fmt.Sprintf(layerFile, l), []int64{0}}, shardIndex{fmt.Sprintf(sideFile, l), []int64{0}}
	for f, e := range list {
		k := w.c.blocks[l*w.c.perLay+f]
		p, s := w.records(l, f, k, e)
		if err := packed(&public, &pi, p); err != nil {
			return err
		}
		if err := packed(&side, &si, s); err != nil {
			return err
		}
		w.search = append(w.search, w.searchRow(l, f, k, e))
	}
	w.public[strconv.Itoa(l)], w.side[strconv.Itoa(l)] = pi, si
	if err := w.file(pi.Filename, public.Bytes()); err != nil {
		return err
	}
	return w.file(si.Filename, side.Bytes())
}

// packed appends a record.
func packed(b *bytes.Buffer, index *shardIndex, record any) error {
	data, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("features: record: %w", err)
	}
	z, err := gzipped(data)
	if err != nil {
		return err
	}
	var n [4]byte
	binary.LittleEndian.PutUint32(n[:], uint32(len(z)))
	b.Write(n[:])
	b.Write(z)
	index.Offsets = append(index.Offsets, int64(b.Len()))
	return nil
}

// finish writes what belongs to the store as a whole, and takes over the labels of
// the store that it replaces.
func (w *storeWriter) finish(man *Manifest, old string) error {
	for _, f := range []struct {
		name string
		v    any
	}{{indexFile, w.public}, {sideIndex, w.side}, {searchFile, w.search}} {
		data, err := json.Marshal(f.v)
		if err != nil {
			return fmt.Errorf("features: %s: %w", f.name, err)
		}
		if err := w.gzipFile(f.name, data); err != nil {
			return err
		}
	}
	var lines strings.Builder
	for _, t := range w.vocab {
		lines.WriteString(strconv.QuoteToASCII(t) + "\n")
	}
	if err := w.gzipFile(vocabFile, []byte(lines.String())); err != nil {
		return err
	}
	if labels, err := os.ReadFile(filepath.Join(old, labelsFile)); err == nil {
		if err := w.file(labelsFile, labels); err != nil {
			return err
		}
	}
	man.Summary.Bytes = w.bytes
	data, err := json.MarshalIndent(man, "", " ")
	if err != nil {
		return fmt.Errorf("features: %s: %w", manifestFile, err)
	}
	return w.file(manifestFile, append(data, '\n'))
}

func (w *storeWriter) gzipFile(name string, data []byte) error {
	z, err := gzipped(data)
	if err != nil {
		return err
	}
	return w.file(name, z)
}

func (w *storeWriter) file(name string, data []byte) error {
	if name != labelsFile {
		w.bytes += len(data)
	}
	if err := os.WriteFile(filepath.Join(w.dir, name), data, 0o666); err != nil {
		return fmt.Errorf("features: %w; is the disk full?", err)
	}
	return nil
}

func gzipped(data []byte) ([]byte, error) {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, fmt.Errorf("features: %w", err)
	}
	if _, err := z.Write(data); err != nil {
		return nil, fmt.Errorf("features: %w", err)
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("features: %w", err)
	}
	return b.Bytes(), nil
}

// vocabulary is the bytes of every token; "[7]" without a tokenizer.
func vocabulary(m *gpt2.Model) []string {
	list := make([]string, m.Config.DVocab)
	for i := range list {
		switch {
		case m.Tokenizer == nil || i >= m.Tokenizer.Size():
			list[i] = fmt.Sprintf("[%d]", i)
		default:
			list[i] = string(m.Tokenizer.Decode([]int32{int32(i)}))
		}
	}
	return list
}

// TokenizerHash is the SHA-256 of a tokenizer's vocabulary and merges; "" for none.
func TokenizerHash(t *tokenizer.Tokenizer) string {
	if t == nil {
		return ""
	}
	vocab, merges := t.Files()
	h := sha256.New()
	h.Write(vocab)
	h.Write(merges)
	return hex.EncodeToString(h.Sum(nil))
}
