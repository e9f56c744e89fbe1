package engine

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etredal/cross-layer-transcoder/clt/features"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// pocketStore builds a small store of the pocket model.
func pocketStore(t *testing.T, s *Service) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "features")
	r, err := s.FeaturesBuild(t.Context(), wire.FeaturesBuildRequest{Setup: wire.Setup{Backend: "go"}, World: true, Tokens: 4000, Config: []byte(`{"top":8,"groups":4,"per_group":2}`), Out: dir}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.Tokens != 4000 || r.Features != 2048 || r.Dead < 100 || r.Dead > 1500 || r.Path != dir {
		t.Errorf("store %+v", r)
	}
	return dir
}

// TestFeatureStoreOfThePocketModel: it finds the features of Paris, encodes what it
// stored to what it stored, names features, and weighs weights.
func TestFeatureStoreOfThePocketModel(t *testing.T) {
	s := testService(t)
	set := wire.Setup{Backend: "go"}
	dir := pocketStore(t, s)
	found, err := s.Features(t.Context(), wire.FeaturesRequest{Setup: set, Store: dir, Query: "token:Paris"}, nil)
	if err != nil || len(found.Hits) == 0 || found.Store.Corpus != "the pocket world" {
		t.Fatalf("%+v, %v", found, err)
	}
	best := found.Hits[0]
	if strings.TrimSpace(best.Tokens[0]) != "Paris" || best.Label == "" || !best.Guess {
		t.Errorf("the best hit for Paris is %+v", best)
	}
	ask := wire.FeatureRequest{Setup: set, Store: dir}
	for _, h := range found.Hits {
		ask.Features = append(ask.Features, wire.FeatureID{Layer: h.Layer, Index: h.Index})
	}
	got, err := s.Feature(t.Context(), ask, nil)
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, raw := range got.Features {
		var f features.Feature
		if err := json.Unmarshal(raw, &f); err != nil {
			t.Fatal(err)
		}
		checked += encodedAgain(t, s, f)
	}
	if checked == 0 {
		t.Error("no example begins where its window does, so none was encoded again")
	}
	t.Logf("%d examples encoded again", checked)
	brief, err := s.Feature(t.Context(), wire.FeatureRequest{Setup: set, Store: dir, Features: []wire.FeatureID{{Layer: best.Layer, Index: best.Index}, {}}, Brief: 2}, nil)
	if err != nil || len(brief.Features) != 2 || len(brief.Features[0]) > len(got.Features[0])/2 {
		t.Errorf("brief: %d features, %v", len(brief.Features), err)
	}
	w, err := s.Weights(t.Context(), wire.WeightsRequest{Setup: set, Layer: best.Layer, Index: best.Index, Store: dir, Top: 5}, nil)
	if err != nil || !w.Store || w.Seen != 4000 || len(w.Outputs)+len(w.Inputs) == 0 {
		t.Errorf("weights: %+v, %v", w, err)
	}
	label := wire.LabelRequest{Setup: set, Store: dir, FeatureID: wire.FeatureID{Layer: best.Layer, Index: best.Index}, Label: "capital of France"}
	if r, err := s.Label(t.Context(), label, nil); err != nil || r.Label != "capital of France" || r.Guess {
		t.Errorf("label: %+v, %v", r, err)
	}
	if r, err := s.Features(t.Context(), wire.FeaturesRequest{Store: dir, Query: "label:France"}, nil); err != nil || r.Total != 1 || r.Hits[0].Index != best.Index {
		t.Errorf("by label, without a model: %+v, %v", r, err)
	}
	refusedStores(t, s, dir)
}

// encodedAgain holds a feature's strongest examples that can be encoded by themselves,
// because they begin where their window does, against the model; how many those are.
func encodedAgain(t *testing.T, s *Service, f features.Feature) (checked int) {
	t.Helper()
	for _, e := range f.Groups[0].Examples {
		if e.Pos != e.Peak {
			continue
		}
		prompt := strings.Join(e.Tokens[1:], "")
		r, err := s.Encode(t.Context(), wire.EncodeRequest{Setup: wire.Setup{Backend: "go"}, Prompt: wire.Prompt{Text: prompt}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		value := 0.0
		for _, a := range r.Active {
			if a.Layer == f.Layer && a.Index == f.Index && a.Pos == e.Pos {
				value = a.Value
			}
		}
		if math.Abs(value-e.Value) > 1e-3 {
			t.Errorf("%q: the store says %g, encoded again %g", prompt, e.Value, value)
		}
		checked++
	}
	return checked
}

// refusedStores: another transcoder, no store, a folder of something else.
func refusedStores(t *testing.T, s *Service, dir string) {
	t.Helper()
	other := wire.Setup{Backend: "go", CLT: "pocket-batchtopk"}
	for _, c := range []struct {
		what, want string
		call       func() error
	}{
		{"another transcoder", "another transcoder", func() error {
			_, err := s.Features(t.Context(), wire.FeaturesRequest{Setup: other, Store: dir}, nil)
			return err
		}},
		{"no store", "clt features build", func() error {
			_, err := s.Features(t.Context(), wire.FeaturesRequest{Setup: other, Store: t.TempDir()}, nil)
			return err
		}},
		{"a folder of something else", "holds other files", func() error {
			_, err := s.FeaturesBuild(t.Context(), wire.FeaturesBuildRequest{Setup: other, World: true, Out: "."}, nil)
			return err
		}},
		{"no data", "world or texts", func() error {
			_, err := s.FeaturesBuild(t.Context(), wire.FeaturesBuildRequest{Setup: other, Out: t.TempDir()}, nil)
			return err
		}},
		{"unknown settings", "did you mean top?", func() error {
			_, err := s.FeaturesBuild(t.Context(), wire.FeaturesBuildRequest{Setup: other, World: true, Config: []byte(`{"topp":1}`)}, nil)
			return err
		}},
		{"a feature that is not there", "there is no feature", func() error {
			_, err := s.Feature(t.Context(), wire.FeatureRequest{Store: dir, Features: []wire.FeatureID{{Layer: 4}}}, nil)
			return err
		}},
		{"store and texts", "give one", func() error {
			_, err := s.Weights(t.Context(), wire.WeightsRequest{Setup: wire.Setup{Backend: "go"}, Store: dir, World: true}, nil)
			return err
		}},
	} {
		if err := c.call(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
}

// TestPocketStoreIsBuiltOnFirstUse in the cache, and not again.
func TestPocketStoreIsBuiltOnFirstUse(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	s := testService(t)
	set := wire.Setup{Backend: "go", CLT: "pocket-per-layer"}
	cfg := worldFeatureTokens
	worldFeatureTokens = 2000
	defer func() { worldFeatureTokens = cfg }()
	told := 0
	first, err := s.Features(t.Context(), wire.FeaturesRequest{Setup: set, Query: "dead", Top: -1}, func(wire.Progress) { told++ })
	if err != nil || first.Total != first.Store.Dead || told == 0 {
		t.Fatalf("%d of %d dead, %d reports, %v", first.Total, first.Store.Dead, told, err)
	}
	info, err := os.Stat(filepath.Join(first.Store.Path, "store.json"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Features(t.Context(), wire.FeaturesRequest{Setup: set}, nil); err != nil {
		t.Fatal(err)
	}
	if again, err := os.Stat(filepath.Join(first.Store.Path, "store.json")); err != nil || again.ModTime() != info.ModTime() {
		t.Errorf("the store was built twice, %v", err)
	}
}
