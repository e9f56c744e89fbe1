package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFeatures builds a small store of the pocket model and looks at it in every way.
func TestFeatures(t *testing.T) {
	dir := t.TempDir()
	store, settings := filepath.Join(dir, "features"), filepath.Join(dir, "c.json")
	if err := os.WriteFile(settings, []byte(`{"top":6,"groups":3,"per_group":2}`), 0o666); err != nil {
		t.Fatal(err)
	}
	text := must(t, "features", "build", "-world", "-tokens", "3000", "-backend", "go", "-config", settings, "-o", store)
	if !strings.Contains(text, "2048 features on 3000 tokens of the pocket world") || !strings.Contains(text, "never active") {
		t.Errorf("build says %q", text)
	}
	for _, name := range []string{"index.json.gz", "layer_3.bin", "store.json"} {
		if _, err := os.Stat(filepath.Join(store, name)); err != nil {
			t.Error(err)
		}
	}
	found := decode[struct {
		Total int
		Hits  []struct {
			Layer, Index int
			Label        string
			Tokens       []string
			Score        float64
		}
	}](t, must(t, "features", "search", "-store", store, "-json", "Paris"))
	if found.Total == 0 || len(found.Hits) == 0 || !strings.Contains(strings.Join(found.Hits[0].Tokens, ""), "Paris") {
		t.Fatalf("search for Paris: %+v", found)
	}
	name := featureName(found.Hits[0].Layer, found.Hits[0].Index)
	f := decode[struct {
		Layer, Index, Tokens, Active int
		Groups                       []struct{ Examples []struct{ Tokens []string } }
		Targets                      []struct{ Norm float64 }
	}](t, must(t, "features", "show", name, "-store", store, "-json"))
	if f.Layer != found.Hits[0].Layer || f.Index != found.Hits[0].Index || f.Tokens != 3000 || f.Active == 0 || len(f.Groups) < 2 || len(f.Targets) != 4-f.Layer {
		t.Errorf("show: %+v", f)
	}
	if text := must(t, "features", "show", store, name); !strings.Contains(text, "⟦ Paris⟧") || !strings.Contains(text, "raises") {
		t.Errorf("for people: %s", text)
	}
	page := filepath.Join(dir, "card.html")
	must(t, "features", "show", name, "-store", store, "-o", page)
	html, err := os.ReadFile(page)
	if err != nil || !strings.Contains(string(html), "default-src 'none'") || !strings.Contains(string(html), "Top examples") {
		t.Errorf("page of %d bytes, %v", len(html), err)
	}
	if stdout := must(t, "features", "show", name, "-store", store, "-html"); stdout != string(html) {
		t.Error("the page on stdout is another one")
	}
	if text := must(t, "features", "label", name, "Paris", "itself", "-store", store); text != name+": Paris itself\n" {
		t.Errorf("label says %q", text)
	}
	if text := must(t, "features", "search", "label:itself", "-store", store); !strings.Contains(text, "1 of 1 features") || !strings.Contains(text, "Paris itself") {
		t.Errorf("by label: %s", text)
	}
	if text := must(t, "weights", strings.TrimPrefix(name, "L"), "-store", store, "-backend", "go"); !strings.Contains(text, "TWERA, on 3000 tokens (of a store") {
		t.Errorf("weights: %s", text)
	}
}
