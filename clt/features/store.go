package features

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/etredal/cross-layer-transcoder/clt"
)

// largestRecord bounds what a damaged index can make a reader allocate.
const largestRecord = 64 << 20

// Store is an open store. It is safe for concurrent use.
type Store struct {
	Manifest Manifest

	fsys         fs.FS
	dir          string // "" where it cannot be written to
	public, side map[string]shardIndex
	vocab        []string

	mu    sync.Mutex
	names map[string]string
	table []searchRow
}

// Open reads a store that Build wrote in a folder.
func Open(dir string) (*Store, error) {
	s, err := OpenFS(os.DirFS(dir))
	if err != nil {
		return nil, err
	}
	s.dir = dir
	return s, nil
}

// OpenFS reads a store from a file system; names cannot be given in it.
func OpenFS(fsys fs.FS) (*Store, error) {
	s := &Store{fsys: fsys}
	data, err := fs.ReadFile(fsys, manifestFile)
	if err != nil {
		return nil, fmt.Errorf("features: open the store: %w; build one with clt features build", err)
	}
	if err := json.Unmarshal(data, &s.Manifest); err != nil || s.Manifest.Format != Format || s.Manifest.Layers < 1 || s.Manifest.Features < 1 {
		return nil, fmt.Errorf("features: %s says format %q, this program reads %s; build the store again", manifestFile, s.Manifest.Format, Format)
	}
	for _, f := range []struct {
		name string
		to   *map[string]shardIndex
	}{{indexFile, &s.public}, {sideIndex, &s.side}} {
		if err := s.json(f.name, f.to); err != nil {
			return nil, err
		}
		for l := range s.Manifest.Layers {
			if n := len((*f.to)[strconv.Itoa(l)].Offsets); n != s.Manifest.Features+1 {
				return nil, fmt.Errorf("features: %s has %d offsets for layer %d, want %d; build the store again", f.name, n, l, s.Manifest.Features+1)
			}
		}
	}
	text, err := s.gunzip(vocabFile)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		t, err := strconv.Unquote(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return nil, fmt.Errorf("features: %s: line %d is no quoted token; build the store again", vocabFile, len(s.vocab)+1)
		}
		s.vocab = append(s.vocab, t)
	}
	s.names, err = readLabels(fsys, s.Manifest.Origin.CLT.SHA256)
	return s, err
}

func (s *Store) gunzip(name string) ([]byte, error) {
	data, err := fs.ReadFile(s.fsys, name)
	if err != nil {
		return nil, fmt.Errorf("features: open the store: %w; build it again", err)
	}
	out, err := unzip(data)
	if err != nil {
		return nil, fmt.Errorf("features: %s is damaged: %w; build the store again", name, err)
	}
	return out, nil
}

func unzip(data []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	out, err := io.ReadAll(io.LimitReader(z, 1<<31))
	if err != nil {
		return nil, err
	}
	return out, z.Close()
}

func (s *Store) json(name string, to any) error {
	data, err := s.gunzip(name)
	if err == nil {
		if err = json.Unmarshal(data, to); err != nil {
			err = fmt.Errorf("features: %s: %w; build the store again", name, err)
		}
	}
	return err
}

// token is the text of a token, with \xNN for bytes that are no text.
func (s *Store) token(id int32) string {
	if id < 0 || int(id) >= len(s.vocab) {
		return fmt.Sprintf("[%d]", id)
	}
	return publicToken(s.vocab[id])
}

func (s *Store) check(f clt.Feature) error {
	if f.Layer < 0 || f.Layer >= s.Manifest.Layers || f.Index < 0 || f.Index >= s.Manifest.Features {
		return fmt.Errorf("features: there is no feature %v; layers are 0..%d and features 0..%d", f, s.Manifest.Layers-1, s.Manifest.Features-1)
	}
	return nil
}

// rows is the search table, read on first use.
func (s *Store) rows() ([]searchRow, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.table != nil {
		return s.table, nil
	}
	var table []searchRow
	if err := s.json(searchFile, &table); err != nil {
		return nil, err
	}
	if n := s.Manifest.Layers * s.Manifest.Features; len(table) != n {
		return nil, fmt.Errorf("features: %s has %d rows, want %d; build the store again", searchFile, len(table), n)
	}
	s.table = table
	return table, nil
}

// labelNames are the names that people gave.
func (s *Store) labelNames() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.names)
}

// Label is what a feature is called, and whether that is a guess.
func (s *Store) Label(f clt.Feature) (label string, isGuess bool, err error) {
	if err := s.check(f); err != nil {
		return "", false, err
	}
	rows, err := s.rows()
	if err != nil {
		return "", false, err
	}
	h := s.hit(rows, f.Layer*s.Manifest.Features+f.Index, s.labelNames())
	return h.Label, h.Guess, nil
}

// record reads one record of a shard.
func (s *Store) record(index map[string]shardIndex, f clt.Feature, to any) error {
	shard := index[strconv.Itoa(f.Layer)]
	lo, hi := shard.Offsets[f.Index], shard.Offsets[f.Index+1]
	if lo < 0 || hi-lo < 4 || hi-lo > largestRecord {
		return fmt.Errorf("features: %s says %v stands at %d to %d; build the store again", shard.Filename, f, lo, hi)
	}
	file, err := s.fsys.Open(shard.Filename)
	if err != nil {
		return fmt.Errorf("features: %w; build the store again", err)
	}
	defer file.Close()
	data := make([]byte, hi-lo)
	if at, ok := file.(io.ReaderAt); ok {
		_, err = at.ReadAt(data, lo)
	} else {
		err = fmt.Errorf("it cannot be read in places")
	}
	if err == nil {
		if n := binary.LittleEndian.Uint32(data); int64(n) != hi-lo-4 {
			err = fmt.Errorf("a record of %d bytes where the index says %d", n, hi-lo-4)
		}
	}
	if err == nil {
		var text []byte
		if text, err = unzip(data[4:]); err == nil {
			err = json.Unmarshal(text, to)
		}
	}
	if err != nil {
		return fmt.Errorf("features: %s, %v: %w; build the store again", shard.Filename, f, err)
	}
	return nil
}

// Feature reads everything about one feature.
func (s *Store) Feature(f clt.Feature) (*Feature, error) {
	if err := s.check(f); err != nil {
		return nil, err
	}
	var p publicRecord
	var x sideRecord
	if err := s.record(s.public, f, &p); err != nil {
		return nil, err
	}
	if err := s.record(s.side, f, &x); err != nil {
		return nil, err
	}
	if len(x.Limits) != len(p.Quantiles) || len(x.Places) != len(p.Quantiles) || len(x.TopBy) != len(x.Norms) || len(x.BottomBy) != len(x.Norms) {
		return nil, fmt.Errorf("features: the two records of %v do not fit each other; build the store again", f)
	}
	out := &Feature{Layer: f.Layer, Index: f.Index, Tokens: s.Manifest.Summary.Tokens, Active: x.Active, Density: p.Frequency, Max: p.ActMax, Mean: x.Mean, BinWidth: x.BinWidth,
		Top: s.scores(x.Top), Bottom: s.scores(x.Bottom), Embed: s.scores(x.Embed), Extended: s.scores(x.Extended)}
	for _, n := range p.Histogram {
		out.Histogram = append(out.Histogram, int(n))
	}
	for g, q := range p.Quantiles {
		group := Group{Name: q.Name, Low: x.Limits[g][0], High: x.Limits[g][1]}
		for i, e := range q.Examples {
			if i >= len(x.Places[g]) || e.Peak < 0 || e.Peak >= len(e.Tokens) || len(e.Values) != len(e.Tokens) {
				return nil, fmt.Errorf("features: an example of %v is broken; build the store again", f)
			}
			at := x.Places[g][i]
			ex := Example{Tokens: e.Tokens, Values: e.Values, Peak: e.Peak, Value: e.Values[e.Peak], Window: at[0], Pos: at[1], Repeats: at[2]}
			group.Examples = append(group.Examples, ex)
		}
		out.Groups = append(out.Groups, group)
	}
	for k, n := range x.Norms {
		out.Targets = append(out.Targets, Target{Layer: f.Layer + k, Norm: n, Top: s.scores(x.TopBy[k]), Bottom: s.scores(x.BottomBy[k])})
	}
	return out, s.named(out, x.Coactive)
}

// named fills in the labels of a feature and of its companions.
func (s *Store) named(out *Feature, companions []sideCoactive) error {
	rows, err := s.rows()
	if err != nil {
		return err
	}
	names := s.labelNames()
	h := s.hit(rows, out.Layer*s.Manifest.Features+out.Index, names)
	out.Label, out.Guess = h.Label, h.Guess
	for _, c := range companions {
		if int(c.ID) >= len(rows) {
			return fmt.Errorf("features: a companion of L%d/F%d does not exist; build the store again", out.Layer, out.Index)
		}
		o := s.hit(rows, int(c.ID), names)
		out.Coactive = append(out.Coactive, Coactive{Layer: o.Layer, Index: o.Index, Label: o.Label, Share: c.Share, Count: c.Count,
			Residual: c.Factors[0], TargetWeighted: c.Factors[1], BackResidual: c.Factors[2], BackTargetWeighted: c.Factors[3]})
	}
	return nil
}

func (s *Store) scores(list sideScores) []Score {
	var out []Score
	for i, id := range list.IDs[:min(len(list.IDs), len(list.Values))] {
		out = append(out, Score{ID: int(id), Token: s.token(id), Value: list.Values[i]})
	}
	return out
}

// Companions is what the store remembers of how one feature is active together with
// others: the factors of coactivation-weighted weights, 0 for features that are not
// among its companions.
type Companions struct {
	f    clt.Feature
	list map[clt.Feature]Coactive
}

// Companions are those of a feature.
func (s *Store) Companions(f clt.Feature) (*Companions, error) {
	x, err := s.Feature(f)
	if err != nil {
		return nil, err
	}
	c := &Companions{f: f, list: map[clt.Feature]Coactive{}}
	for _, o := range x.Coactive {
		c.list[clt.Feature{Layer: o.Layer, Index: o.Index}] = o
	}
	return c, nil
}

// Residual is E[1(a_t > 0)·a_s], if the feature is the source or the target.
func (c *Companions) Residual(source, target clt.Feature) float64 {
	switch {
	case source == c.f:
		return c.list[target].Residual
	case target == c.f:
		return c.list[source].BackResidual
	}
	return 0
}

// TargetWeighted is E[a_t·a_s]/E[a_t], if the feature is the source or the target.
func (c *Companions) TargetWeighted(source, target clt.Feature) float64 {
	switch {
	case source == c.f:
		return c.list[target].TargetWeighted
	case target == c.f:
		return c.list[source].BackTargetWeighted
	}
	return 0
}
