package gpt2

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// each answers in place of every large file.
func each(h *fakeHub, f func(w http.ResponseWriter, r *http.Request, data []byte)) {
	h.set(func() {
		h.content = func(w http.ResponseWriter, r *http.Request, nth int) bool {
			f(w, r, h.files["model.safetensors"])
			return true
		}
	})
}

func TestFetchBadContent(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request, data []byte)
		want   string
	}{
		"wrong content": {func(w http.ResponseWriter, r *http.Request, data []byte) {
			bad := append([]byte(nil), data...)
			bad[1<<20] ^= 1
			w.Write(bad)
		}, "the hub says"},
		"truncated": {func(w http.ResponseWriter, r *http.Request, data []byte) {
			w.Header().Set("Content-Length", "1000")
			w.Write(data[:1000])
		}, "ended after 1000 of 3145728 bytes"},
		"truncated without a length": {func(w http.ResponseWriter, r *http.Request, data []byte) {
			w.Write(data[:1000])
			http.NewResponseController(w).Flush()
		}, "ended after 1000"},
		"too long": {func(w http.ResponseWriter, r *http.Request, data []byte) {
			w.Header().Set("Content-Length", fmt.Sprint(len(data)+3))
			w.Write(append(data[:len(data):len(data)], 1, 2, 3))
		}, "the hub sends 3145731 bytes"},
		"too long without a length": {func(w http.ResponseWriter, r *http.Request, data []byte) {
			w.Write(data)
			http.NewResponseController(w).Flush()
			w.Write([]byte("more"))
		}, "more than the 3145728 bytes"},
		"an error page": {func(w http.ResponseWriter, r *http.Request, data []byte) {
			fmt.Fprint(w, "<html>Please log in</html>")
		}, "ended after 26"},
		"compressed": {func(w http.ResponseWriter, r *http.Request, data []byte) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(data[:100])
		}, "though asked not to"},
		"not found":  {func(w http.ResponseWriter, r *http.Request, data []byte) { http.NotFound(w, r) }, "404"},
		"forbidden":  {func(w http.ResponseWriter, r *http.Request, data []byte) { w.WriteHeader(403) }, "token"},
		"overloaded": {func(w http.ResponseWriter, r *http.Request, data []byte) { w.WriteHeader(503) }, "503"},
		"redirects in circles": {func(w http.ResponseWriter, r *http.Request, data []byte) {
			http.Redirect(w, r, r.URL.String(), http.StatusFound)
		}, "10 redirects"},
		"a byte at a time": {func(w http.ResponseWriter, r *http.Request, data []byte) {
			w.Header().Set("Content-Length", fmt.Sprint(len(data)))
			w.Write(data[:1])
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, "broke after 1 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newFakeHub(t)
			each(h, c.answer)
			dir := filepath.Join(t.TempDir(), "model")
			h.fails(t, h.config(dir), c.want)
			h.set(func() { h.content = nil })
			h.fetch(t, dir) // and when the hub is well again, all is well
		})
	}
}

// Answers to a request for the rest that do not fit what is there.
func TestFetchBadRange(t *testing.T) {
	for name, c := range map[string]struct{ header, want string }{
		"another place":   {"bytes 5-3145727/3145728", ""},
		"another length":  {"bytes 1048576-3145727/9999999", "9999999 bytes, its list says"},
		"nonsense":        {"rows 1-2", ""},
		"none":            {"", ""},
		"from the future": {"bytes 1048576-1/3145728", ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := newFakeHub(t)
			h.set(func() {
				h.content = func(w http.ResponseWriter, r *http.Request, nth int) bool {
					switch nth {
					case 1:
						cut(h, 1<<20)(w, r)
					case 2:
						w.Header().Set("Content-Range", c.header)
						w.WriteHeader(http.StatusPartialContent)
						w.Write(make([]byte, 100))
						return true
					}
					return false
				}
			})
			if c.want != "" {
				h.fails(t, h.config(filepath.Join(t.TempDir(), "x")), c.want)
			} else {
				h.fetch(t, t.TempDir())
			}
		})
	}
}

// Names that would put a file elsewhere: nothing at all is downloaded.
func TestFetchHostileNames(t *testing.T) {
	for _, name := range []string{"../evil.json", "/etc/evil.json", "a/../../evil.json", "a/../evil.json", `..\evil.json`, `C:\evil.json`, "C:evil.json",
		"a//evil.json", "./evil.json", "evil.json/", "a/./evil.json", "evil\x00.json", "evil\n.json", "..", ".", "", strings.Repeat("x", 500) + ".json"} {
		h := newFakeHub(t)
		h.set(func() { h.extra = []string{name} })
		dir := filepath.Join(t.TempDir(), "a", "model")
		h.fails(t, h.config(dir), "would not stay in the folder")
		if r := h.asked("resolve"); len(r) > 0 {
			t.Errorf("%q: %q was asked for", name, r)
		}
		if names := tree(t, filepath.Dir(filepath.Dir(dir))); len(names) > 0 {
			t.Errorf("%q: %q were made", name, names)
		}
	}
	// Ours are kept safe too.
	h := newFakeHub(t)
	h.set(func() { h.files["fetch.json"] = []byte(`{"format":"evil"}`); h.files[".fetch/x.json"] = []byte("{}") })
	dir := t.TempDir()
	if _, err := Fetch(context.Background(), h.config(dir), nil); err != nil {
		t.Fatal(err)
	}
	if m, err := readManifest(dir); err != nil || m.Name != h.name || len(m.Files) != 5 {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestFetchBadList(t *testing.T) {
	answer := func(status int, text string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			w.WriteHeader(status)
			fmt.Fprint(w, text)
			return true
		}
	}
	hash := strings.Repeat("0", 40)
	for name, c := range map[string]struct {
		listing func(http.ResponseWriter, *http.Request) bool
		want    string
	}{
		"no such model":  {answer(404, `{"error":"Repository not found"}`), "Repository not found"},
		"not public":     {answer(401, `{"error":"Invalid credentials"}`), "token"},
		"overloaded":     {answer(503, "busy"), "cannot be asked"},
		"a page":         {answer(200, "<html>Welcome</html>"), "cannot be asked"},
		"cut off":        {answer(200, `{"sha":"`), "cannot be asked"},
		"null":           {answer(200, "null"), "not understood"},
		"no files":       {answer(200, `{"sha":"`+hash+`","siblings":[]}`), "lists no files"},
		"a file is null": {answer(200, `{"sha":"`+hash+`","siblings":[null]}`), "would not stay"},
		"hostile commit": {answer(200, `{"sha":"../../../evil","siblings":[{"rfilename":"config.json"}]}`), "commit"},
		"no commit":      {answer(200, `{"siblings":[{"rfilename":"config.json"}]}`), "commit"},
		"negative size":  {answer(200, `{"sha":"`+hash+`","siblings":[{"rfilename":"config.json","size":-5,"blobId":"`+hash+`"}]}`), "cannot be"},
		"hostile hash":   {answer(200, `{"sha":"`+hash+`","siblings":[{"rfilename":"m.safetensors","lfs":{"sha256":"../../x","size":5}}]}`), "cannot be"},
		"listed twice":   {answer(200, `{"sha":"`+hash+`","siblings":[{"rfilename":"m.safetensors"},{"rfilename":"M.safetensors"}]}`), "twice"},
		"another format": {answer(200, `{"sha":"`+hash+`","siblings":[{"rfilename":"config.json"},{"rfilename":"pytorch_model.bin"}]}`), "save_pretrained"},
		"not a model":    {answer(200, `{"sha":"`+hash+`","siblings":[{"rfilename":"config.json"}]}`), "is it a model"},
		"connection breaks": {func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Length", "5000")
			fmt.Fprint(w, `{"sha"`)
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, "cannot be asked"},
		"never answers": {func(w http.ResponseWriter, r *http.Request) bool { <-r.Context().Done(); return true }, "no answer in"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newFakeHub(t)
			h.set(func() { h.listing = c.listing })
			cfg := h.config(filepath.Join(t.TempDir(), "model"))
			cfg.Stall, cfg.Retries = 300*time.Millisecond, 1
			h.fails(t, cfg, c.want)
			if _, err := os.Stat(cfg.Dir); err == nil {
				t.Error("an empty folder is left")
			}
			h.CloseClientConnections()
		})
	}
}

// A list that fails at first and then comes.
func TestFetchPatience(t *testing.T) {
	h := newFakeHub(t)
	tries := 0
	h.set(func() {
		h.listing = func(w http.ResponseWriter, r *http.Request) bool {
			if tries++; tries < 3 {
				w.WriteHeader(502)
				return true
			}
			return false
		}
	})
	h.fetch(t, t.TempDir())
}

// Small files have a Git hash.
func TestFetchSmallFiles(t *testing.T) {
	h := newFakeHub(t)
	h.set(func() {
		h.entry = func(name string, e map[string]any) {
			if name == "vocab.json" {
				e["blobId"] = strings.Repeat("ab", 20)
			}
		}
	})
	h.fails(t, h.config(t.TempDir()), "vocab.json has Git hash")
	h.set(func() { // a hub that says nothing but the names
		h.entry = func(name string, e map[string]any) { delete(e, "size"); delete(e, "blobId"); delete(e, "lfs") }
	})
	h.fetch(t, t.TempDir())
}

// Files that are not ours are not replaced.
func TestFetchForeignFolder(t *testing.T) {
	h := newFakeHub(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "vocab.json"), []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Fetch(context.Background(), h.config(dir), nil); err == nil || !strings.Contains(err.Error(), "choose another folder") {
		t.Errorf("%v", err)
	}
	if got := tree(t, dir); len(got) != 1 || string(read(t, filepath.Join(dir, "vocab.json"))) != "mine" {
		t.Errorf("the folder has %q", got)
	}
	// The same file is as good as fetched.
	if err := os.WriteFile(filepath.Join(dir, "vocab.json"), h.files["vocab.json"], 0o644); err != nil {
		t.Fatal(err)
	}
	h.fetch(t, dir)
	for _, text := range []string{"{", "null", `{"format":"clt-fetch/2"}`, `{"format":"clt-fetch/1","files":[{"name":"../../x"}]}`} {
		if err := os.WriteFile(filepath.Join(dir, "fetch.json"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Fetch(context.Background(), h.config(dir), nil); err == nil || !strings.Contains(err.Error(), "move it away") {
			t.Errorf("record %s: %v", text, err)
		}
	}
}

func TestFetchBadCalls(t *testing.T) {
	for want, change := range map[string]func(*FetchConfig){
		"not the name of a model": func(c *FetchConfig) { c.Name = "../x" },
		`"a/b/c" is not the name`: func(c *FetchConfig) { c.Name = "a/b/c" },
		`"" is not the name`:      func(c *FetchConfig) { c.Name = "" },
		`"a..b" is not the name`:  func(c *FetchConfig) { c.Name = "a..b" },
		"no folder":               func(c *FetchConfig) { c.Dir = "" },
		"revision":                func(c *FetchConfig) { c.Revision = "../main" },
		"is no URL":               func(c *FetchConfig) { c.Endpoint = "ftp://x" },
		"DefaultFetchConfig":      func(c *FetchConfig) { c.Stall = 0 },
	} {
		cfg := DefaultFetchConfig()
		cfg.Name, cfg.Dir = "gpt2", t.TempDir()
		change(&cfg)
		if _, err := Fetch(context.Background(), cfg, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if err := fetchClient(time.Second).CheckRedirect(request(t, "http://x/y"), []*http.Request{request(t, "https://x/y")}); err == nil {
		t.Error("a redirect from https to http is followed")
	}
}

func request(t *testing.T, url string) *http.Request {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A hub that never answers leaves no scratch folder behind, nor does a call that is
// given up.
func TestFetchLeavesNoScratch(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	h := newFakeHub(t)
	release := make(chan struct{})
	defer close(release)
	h.set(func() {
		h.listing = func(w http.ResponseWriter, r *http.Request) bool {
			select {
			case <-release:
			case <-r.Context().Done():
			}
			return true
		}
	})
	cfg := h.config(filepath.Join(t.TempDir(), "m"))
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := Fetch(ctx, cfg, nil); err == nil {
		t.Error("no error")
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}
