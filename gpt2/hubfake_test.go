package gpt2

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeHub behaves like the model hub: a list of files by its API, small files directly, large ones by a redirect to
// another path, ranges, hashes.
type fakeHub struct {
	*httptest.Server
	name, commit string

	mu       sync.Mutex
	files    map[string][]byte
	requests []string                                                   // method, path, range
	listing  func(w http.ResponseWriter, r *http.Request) bool          // answers in place of the list
	content  func(w http.ResponseWriter, r *http.Request, nth int) bool // answers in place of a large file
	entry    func(name string, entry map[string]any)                    // changes an entry of the list
	extra    []string                                                   // names that are listed without being there
	count    map[string]int
}

// large files are those that the hub keeps apart and has a SHA-256 of.
func large(name string) bool {
	return strings.HasSuffix(name, ".safetensors") || strings.HasSuffix(name, ".bin") || strings.HasSuffix(name, ".parquet")
}

func newFakeHub(t *testing.T) *fakeHub {
	t.Helper()
	weights := make([]byte, 3<<20)
	for i := range weights {
		weights[i] = byte(i*i>>7 + i)
	}
	h := &fakeHub{name: "owner/tiny-gpt2", commit: strings.Repeat("0123456789", 4), count: map[string]int{}, files: map[string][]byte{
		"config.json":              []byte(`{"model_type":"gpt2"}`),
		"vocab.json":               []byte(`{"a":0}`),
		"merges.txt":               []byte("#version: 0.2\n"),
		"model.safetensors":        weights,
		"README.md":                []byte("# tiny\n"),
		".gitattributes":           []byte("*.bin filter=lfs\n"),
		"pytorch_model.bin":        []byte("not wanted"),
		"onnx/config.json":         []byte("{}"),
		"onnx/decoder.safetensors": []byte("not wanted"),
		"generation_config.json":   {},
	}}
	h.Server = httptest.NewServer(h)
	t.Cleanup(func() { h.CloseClientConnections(); h.Close() })
	return h
}

func (h *fakeHub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	h.requests = append(h.requests, strings.TrimSpace(r.Method+" "+r.URL.Path+" "+r.Header.Get("Range")))
	h.count[r.URL.Path]++
	nth := h.count[r.URL.Path]
	listing, content := h.listing, h.content
	h.mu.Unlock()
	switch path := strings.Replace(strings.Replace(r.URL.Path, "/api/datasets/", "/api/models/", 1), "/datasets/"+h.name, "/"+h.name, 1); {
	case strings.HasPrefix(path, "/api/models/"+h.name+"/revision/"):
		if listing == nil || !listing(w, r) {
			h.list(w)
		}
	case strings.HasPrefix(path, "/"+h.name+"/resolve/"+h.commit+"/"):
		name := strings.TrimPrefix(path, "/"+h.name+"/resolve/"+h.commit+"/")
		if large(name) {
			http.Redirect(w, r, "/cdn/"+escaped(name)+"?signature=x", http.StatusFound)
			return
		}
		h.serve(w, r, name)
	case strings.HasPrefix(path, "/cdn/") && r.URL.Query().Get("signature") == "x":
		if content == nil || !content(w, r, nth) {
			h.serve(w, r, strings.TrimPrefix(path, "/cdn/"))
		}
	default:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"error":"Repository not found"}`)
	}
}

func (h *fakeHub) serve(w http.ResponseWriter, r *http.Request, name string) {
	h.mu.Lock()
	data, ok := h.files[name]
	h.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}

func (h *fakeHub) list(w http.ResponseWriter) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var siblings []map[string]any
	for _, name := range append(slices.Sorted(maps.Keys(h.files)), h.extra...) {
		data := h.files[name]
		blob := sha1.Sum(fmt.Appendf(nil, "blob %d\x00%s", len(data), data))
		e := map[string]any{"rfilename": name, "size": len(data), "blobId": hex.EncodeToString(blob[:])}
		if sum := sha256.Sum256(data); large(name) {
			e["lfs"] = map[string]any{"sha256": hex.EncodeToString(sum[:]), "size": len(data), "pointerSize": 134}
		}
		if h.entry != nil {
			h.entry(name, e)
		}
		siblings = append(siblings, e)
	}
	json.NewEncoder(w).Encode(map[string]any{"id": h.name, "sha": h.commit, "siblings": siblings})
}

// set changes the hub's behaviour while it runs.
func (h *fakeHub) set(change func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change()
}

// asked returns the requests for a path, and forgets them.
func (h *fakeHub) asked(part string) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []string
	for _, r := range h.requests {
		if strings.Contains(r, part) {
			out = append(out, r)
		}
	}
	h.requests, h.count = nil, map[string]int{}
	return out
}

func (h *fakeHub) config(dir string) FetchConfig {
	cfg := DefaultFetchConfig()
	cfg.Name, cfg.Dir, cfg.Endpoint = h.name, dir, h.URL
	cfg.Wait, cfg.Stall, cfg.Retries = time.Millisecond, 5*time.Second, 3
	return cfg
}

// fetch must succeed.
func (h *fakeHub) fetch(t *testing.T, dir string) Fetched {
	t.Helper()
	got, err := Fetch(context.Background(), h.config(dir), nil)
	if err != nil {
		t.Fatal(err)
	}
	h.check(t, dir)
	return got
}

// fails must not, must say want, and must leave nothing under a file's name.
func (h *fakeHub) fails(t *testing.T, cfg FetchConfig, want string) {
	t.Helper()
	_, err := Fetch(context.Background(), cfg, nil)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got error %v, want %q in it", err, want)
	} else if !strings.HasPrefix(err.Error(), "gpt2: fetch") || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %q is not one line of this package", err)
	}
	if names := tree(t, cfg.Dir); len(names) > 0 {
		t.Errorf("after %q the folder has %q", want, names)
	}
}

// check compares a folder with what the hub has.
func (h *fakeHub) check(t *testing.T, dir string) {
	t.Helper()
	want := []string{"config.json", "fetch.json", "generation_config.json", "merges.txt", "model.safetensors", "vocab.json"}
	if got := tree(t, dir); !slices.Equal(got, want) {
		t.Errorf("the folder has %q, want %q", got, want)
	}
	for _, name := range want {
		if data, ok := h.files[name]; ok && !bytes.Equal(read(t, filepath.Join(dir, name)), data) {
			t.Errorf("%s differs from the hub's", name)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, stage)); err == nil {
		t.Error("the stage is left")
	}
}

// tree lists the files of a folder but for the stage.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if d.IsDir() && d.Name() == stage {
			return filepath.SkipDir
		}
		if !d.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			out = append(out, filepath.ToSlash(rel))
		}
		return nil
	})
	slices.Sort(out)
	return out
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
