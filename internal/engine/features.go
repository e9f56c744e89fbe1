package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/clt/features"
	"github.com/etredal/cross-layer-transcoder/clt/replacement"
	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/gpt2/pocket"
	"github.com/etredal/cross-layer-transcoder/gpt2/pocket/world"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
	"github.com/etredal/cross-layer-transcoder/internal/strictjson"
)

const (
	featureSeed = 0x46454154 // of sentences of the world that no training sees
	featureHits = 20
)

// worldFeatureTokens is how much of the pocket world a store looks at, unless told
// otherwise.
var worldFeatureTokens = 200_000

// FeaturesBuild makes the feature store of a transcoder. An interrupted build goes on
// where it stopped when it is called again.
func (s *Service) FeaturesBuild(ctx context.Context, req wire.FeaturesBuildRequest, report func(wire.Progress)) (wire.FeatureStore, error) {
	s.building.Lock() // one at a time: it takes all cores
	defer s.building.Unlock()
	return s.buildFeatures(ctx, req, report)
}

func (s *Service) buildFeatures(ctx context.Context, req wire.FeaturesBuildRequest, report func(wire.Progress)) (out wire.FeatureStore, err error) {
	cfg := features.DefaultConfig()
	if len(req.Config) > 0 {
		if err := strictjson.Decode(req.Config, &cfg); err != nil {
			return out, fmt.Errorf("engine: features: config: %w", err)
		}
	}
	if req.Tokens != 0 {
		cfg.Tokens = req.Tokens
	}
	if err := cfg.Validate(); err != nil {
		return out, err
	}
	r, err := s.running(ctx, req.Setup, report)
	if err != nil {
		return out, err
	}
	dir := req.Out
	if dir == "" {
		if dir, err = s.storeDir(r, req.Setup); err != nil {
			return out, err
		}
	}
	if err := refuseFolder(dir); err != nil {
		return out, err
	}
	source, corpus, err := featureSource(ctx, r, req.World, req.Texts, &cfg, report)
	if err != nil {
		return out, err
	}
	origin := features.Origin{Model: features.Artifact{Name: r.LM.Name, SHA256: r.LM.SHA256}, CLT: features.Artifact(r.ID),
		Tokenizer: features.TokenizerHash(r.LM.Tokenizer), Corpus: corpus}
	begin := time.Now()
	if _, err := features.Build(ctx, r.LM, r.CLT, origin, source, cfg, dir, func(p features.Progress) {
		tell(report, wire.Progress{Phase: p.Phase, Done: p.Done, Total: p.Total})
	}); err != nil {
		return out, err
	}
	store, err := features.Open(dir)
	if err != nil {
		return out, err
	}
	out = storeInfo(store, dir)
	out.Seconds = time.Since(begin).Seconds()
	return out, nil
}

// refuseFolder keeps a build from replacing a folder that is no store.
func refuseFolder(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("engine: features: %w; give a folder", err)
	}
	for _, e := range entries {
		if e.Name() == "store.json" || e.Name() == "labels.json" && len(entries) == 1 {
			return nil
		}
	}
	return fmt.Errorf("engine: features: %s holds other files; give a folder of its own, such as %s", filepath.Base(dir), filepath.Join(filepath.Base(dir), "features"))
}

// featureSource opens the texts in order, once.
func featureSource(ctx context.Context, r *replacement.Model, useWorld bool, sources []string, cfg *features.Config, report func(wire.Progress)) (gpt2.TokenSource, features.Artifact, error) {
	var none features.Artifact
	m := r.LM
	if useWorld == (len(sources) > 0) {
		return nil, none, fmt.Errorf("engine: features: give either the world or texts as data")
	}
	if m.Tokenizer == nil {
		_, err := m.Encode("x", false)
		return nil, none, err
	}
	window := min(m.Config.Context, longestWindow)
	rows := features.Rows(r.CLT.Layers, r.CLT.Features, window)
	if useWorld {
		if cfg.Tokens == 0 {
			cfg.Tokens = worldFeatureTokens
		}
		return pocket.Windows(world.New(pocket.WorldSeed), m.Tokenizer, rows, window, featureSeed), features.Artifact{Name: "the pocket world"}, nil
	}
	limit := 0
	if cfg.Tokens > 0 { // what follows is not looked at, and so not read
		limit = cfg.Tokens + rows*window
	}
	t, err := packTexts(ctx, m.Tokenizer, sources, limit, report)
	if err != nil {
		return nil, none, err
	}
	name := sourceNames(sources)
	if !t.Whole && cfg.Tokens == 0 {
		name = fmt.Sprintf("the first %d tokens of %s", len(t.IDs), name)
	}
	source, err := features.Windows(t.IDs, m.Config.BOS, rows, window)
	if room := window - 1; cfg.Tokens == 0 && m.Config.BOS >= 0 && room > 0 { // for the progress: all that there is
		cfg.Tokens = len(t.IDs)
	}
	return source, features.Artifact{Name: name, SHA256: t.SHA256}, err
}

// sourceNames names texts for people, without their folders.
func sourceNames(sources []string) string {
	var names []string
	for i, p := range sources {
		if i == 3 {
			names = append(names, fmt.Sprintf("%d more", len(sources)-i))
			break
		}
		names = append(names, filepath.Base(p))
	}
	return strings.Join(names, ", ")
}

// storeDir is where the store of a transcoder is unless a person says otherwise.
func (s *Service) storeDir(r *replacement.Model, set wire.Setup) (string, error) {
	if isDir(set.CLT) {
		return filepath.Join(set.CLT, "features"), nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return s.scratchFile("features-" + r.ID.SHA256[:16])
	}
	return filepath.Join(cache, "clt", "features", fmt.Sprintf("%s-%s", r.ID.SHA256[:16], r.LM.SHA256[:16])), nil
}

// openStore opens the store of a transcoder, once for each state of its folder, and
// refuses one of something else. That of the pocket model is built on first use. A
// folder without a model and a transcoder is opened as it is.
func (s *Service) openStore(ctx context.Context, set wire.Setup, dir string, report func(wire.Progress)) (*features.Store, string, error) {
	if dir != "" && set.Model == "" && set.CLT == "" {
		store, err := s.store(dir)
		return store, dir, err
	}
	r, _, err := s.join(set)
	if err != nil {
		return nil, "", err
	}
	own := dir == ""
	if own {
		if dir, err = s.storeDir(r, set); err != nil {
			return nil, "", err
		}
	}
	if err := s.ensureStore(ctx, r, set, dir, own, report); err != nil {
		return nil, "", err
	}
	store, err := s.store(dir)
	if err != nil {
		return nil, "", err
	}
	return store, dir, store.Manifest.Origin.Refuse(r.LM.SHA256, r.ID.SHA256, features.TokenizerHash(r.LM.Tokenizer))
}

// store opens a folder, once for each state of it.
func (s *Service) store(dir string) (*features.Store, error) {
	stamp, err := stampOf(dir)
	if err != nil {
		return nil, fmt.Errorf("engine: features: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if store := s.stores[dir+"|"+stamp]; store != nil {
		return store, nil
	}
	store, err := features.Open(dir)
	if err != nil {
		return nil, err
	}
	clear(s.stores) // what was there before has changed
	s.stores[dir+"|"+stamp] = store
	return store, nil
}

// ensureStore builds the store of the pocket model if there is none yet.
func (s *Service) ensureStore(ctx context.Context, r *replacement.Model, set wire.Setup, dir string, own bool, report func(wire.Progress)) error {
	s.building.Lock()
	defer s.building.Unlock()
	if _, err := os.Stat(filepath.Join(dir, "store.json")); err == nil {
		return nil
	}
	if !own || r.LM.Name != pocket.Name || isDir(set.CLT) {
		return fmt.Errorf("engine: there is no feature store in %s; make one with clt features build -model %s -clt %s -texts FILE", filepath.Base(dir), r.LM.Name, r.ID.Name)
	}
	_, err := s.buildFeatures(ctx, wire.FeaturesBuildRequest{Setup: set, World: true, Out: dir}, report)
	return err
}

func storeInfo(s *features.Store, dir string) wire.FeatureStore {
	m := s.Manifest
	return wire.FeatureStore{Path: dir, Corpus: m.Origin.Corpus.Name, Tokens: m.Summary.Tokens, Features: m.Summary.Features, Dead: m.Summary.Dead, Bytes: m.Summary.Bytes}
}

// Features searches a feature store by label, token and logit.
func (s *Service) Features(ctx context.Context, req wire.FeaturesRequest, report func(wire.Progress)) (out wire.FeaturesResponse, err error) {
	store, dir, err := s.openStore(ctx, req.Setup, req.Store, report)
	if err != nil {
		return out, err
	}
	switch {
	case req.Top == 0:
		req.Top = featureHits
	case req.Top < 0:
		req.Top = 0
	}
	hits, total, err := store.Search(req.Query, req.Top)
	if err != nil {
		return out, err
	}
	out = wire.FeaturesResponse{Store: storeInfo(store, dir), Total: total, Hits: []wire.FeatureHit{}}
	for _, h := range hits {
		out.Hits = append(out.Hits, wire.FeatureHit{Layer: h.Layer, Index: h.Index, Label: h.Label, Guess: h.Guess, Active: h.Active, Density: h.Density, Max: h.Max,
			Tokens: h.Tokens, Logits: h.Logits, Score: h.Score, Why: h.Why})
	}
	return out, nil
}

// Feature reads what a store knows of some features.
func (s *Service) Feature(ctx context.Context, req wire.FeatureRequest, report func(wire.Progress)) (out wire.FeatureResponse, err error) {
	store, dir, err := s.openStore(ctx, req.Setup, req.Store, report)
	if err != nil {
		return out, err
	}
	out = wire.FeatureResponse{Store: storeInfo(store, dir), Features: []json.RawMessage{}}
	for _, id := range req.Features {
		if err := ctx.Err(); err != nil {
			return out, err
		}
		f, err := store.Feature(clt.Feature(id))
		if err != nil {
			return out, err
		}
		if req.Brief > 0 {
			f.Groups = f.Groups[:min(1, len(f.Groups))]
			for g := range f.Groups {
				f.Groups[g].Examples = f.Groups[g].Examples[:min(req.Brief, len(f.Groups[g].Examples))]
			}
			f.Histogram, f.Targets, f.Embed, f.Extended, f.Coactive = nil, nil, nil, nil, nil
		}
		data, err := json.Marshal(f)
		if err != nil {
			return out, fmt.Errorf("engine: feature: %w", err)
		}
		out.Features = append(out.Features, data)
	}
	return out, nil
}

// Label names a feature in its store.
func (s *Service) Label(ctx context.Context, req wire.LabelRequest, report func(wire.Progress)) (out wire.LabelResponse, err error) {
	store, _, err := s.openStore(ctx, req.Setup, req.Store, report)
	if err != nil {
		return out, err
	}
	f := clt.Feature(req.FeatureID)
	if err := store.SetLabel(f, req.Label); err != nil {
		return out, err
	}
	out.Label, out.Guess, err = store.Label(f)
	return out, err
}
