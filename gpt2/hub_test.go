package gpt2

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestFetch(t *testing.T) {
	h := newFakeHub(t)
	dir := filepath.Join(t.TempDir(), "models", "tiny")
	var last FetchProgress
	got, err := Fetch(context.Background(), h.config(dir), func(p FetchProgress) {
		if p.Bytes < last.Bytes || p.Bytes > p.Total || p.Done > p.Files {
			t.Errorf("progress %+v after %+v", p, last)
		}
		last = p
	})
	if err != nil {
		t.Fatal(err)
	}
	h.check(t, dir)
	if got.Commit != h.commit || len(got.Files) != 5 || got.Downloaded != last.Total || last.Done != 5 || last.Bytes != last.Total || got.Note != "" {
		t.Errorf("%+v, last progress %+v", got, last)
	}
	h.asked("")
	if again := h.fetch(t, dir); again.Downloaded != 0 || len(again.Files) != 5 {
		t.Errorf("a second call: %+v", again)
	}
	if r := h.asked("resolve"); len(r) > 0 {
		t.Errorf("a second call asks for %q", r)
	}
}

// A file that was changed by hand, or by the hub, is fetched again, and only that.
func TestFetchUpdate(t *testing.T) {
	h := newFakeHub(t)
	dir := t.TempDir()
	h.fetch(t, dir)
	if err := os.WriteFile(filepath.Join(dir, "vocab.json"), []byte(`{"b":0}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := h.fetch(t, dir); got.Downloaded != int64(len(h.files["vocab.json"])) {
		t.Errorf("%d bytes after a file was changed", got.Downloaded)
	}
	h.set(func() {
		h.commit = strings.Repeat("a", 40)
		h.files["model.safetensors"] = slices.Concat([]byte("new"), h.files["model.safetensors"])
	})
	if got := h.fetch(t, dir); got.Downloaded != int64(len(h.files["model.safetensors"])) || got.Commit != h.commit {
		t.Errorf("%d bytes, commit %s", got.Downloaded, got.Commit)
	}
}

func TestFetchOffline(t *testing.T) {
	h := newFakeHub(t)
	dir := t.TempDir()
	cfg := h.config(dir)
	cfg.Offline = true
	h.fails(t, cfg, "has no earlier download")
	h.fetch(t, dir)
	h.asked("")
	if got, err := Fetch(context.Background(), cfg, nil); err != nil || got.Note == "" || len(h.asked("")) > 0 {
		t.Errorf("offline: %+v, %v", got, err)
	}
	h.Close()
	got := h.fetch(t, dir) // nobody listens
	if !strings.Contains(got.Note, "cannot be asked") || got.Commit != h.commit || len(got.Files) != 5 {
		t.Errorf("without a hub: %+v", got)
	}
	cfg.Name = "owner/other"
	if _, err := Fetch(context.Background(), cfg, nil); err == nil || !strings.Contains(err.Error(), "choose another folder") {
		t.Errorf("another model from the same folder: %v", err)
	}
	data := read(t, filepath.Join(dir, "model.safetensors"))
	data[100]++
	os.WriteFile(filepath.Join(dir, "model.safetensors"), data, 0o644)
	if _, err := Fetch(context.Background(), h.config(dir), nil); err == nil || !strings.Contains(err.Error(), "cannot be asked") {
		t.Errorf("without a hub, with a damaged file: %v", err)
	}
	cfg.Name = h.name
	if _, err := Fetch(context.Background(), cfg, nil); err == nil || !strings.Contains(err.Error(), "has changed since") {
		t.Errorf("offline, with a damaged file: %v", err)
	}
}

// cut sends part of what was asked for and breaks the connection.
func cut(h *fakeHub, n int) func(w http.ResponseWriter, r *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		h.serve(&cutWriter{ResponseWriter: w, left: n}, r, strings.TrimPrefix(r.URL.Path, "/cdn/"))
		panic(http.ErrAbortHandler)
	}
}

type cutWriter struct {
	http.ResponseWriter
	left int
}

func (w *cutWriter) Write(p []byte) (int, error) {
	if len(p) > w.left {
		w.ResponseWriter.Write(p[:w.left])
		w.left = 0
		http.NewResponseController(w.ResponseWriter).Flush()
		return 0, io.ErrClosedPipe
	}
	w.left -= len(p)
	return w.ResponseWriter.Write(p)
}

func TestFetchBreaks(t *testing.T) {
	h := newFakeHub(t)
	h.set(func() {
		h.content = func(w http.ResponseWriter, r *http.Request, nth int) bool {
			if nth < 8 {
				cut(h, 300<<10)(w, r)
			}
			return false
		}
	})
	var notes []string
	dir := t.TempDir()
	got, err := Fetch(context.Background(), h.config(dir), func(p FetchProgress) {
		if p.Note != "" {
			notes = append(notes, p.Note)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	h.check(t, dir)
	total := int64(0)
	for _, f := range got.Files {
		total += f.Size
	}
	if got.Downloaded != total || len(notes) != 7 {
		t.Errorf("%d bytes came for %d; notes %q", got.Downloaded, total, notes)
	}
	if r := h.asked("/cdn/"); len(r) != 8 || !strings.Contains(r[7], "bytes=2150400-") {
		t.Errorf("requests %q", r)
	}
}

// What an interrupt leaves is continued by the next call.
func TestFetchInterrupted(t *testing.T) {
	h := newFakeHub(t)
	dir := filepath.Join(t.TempDir(), "model")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	h.set(func() {
		h.content = func(w http.ResponseWriter, r *http.Request, nth int) bool {
			w.Header().Set("Content-Length", fmt.Sprint(len(h.files["model.safetensors"])))
			w.Write(h.files["model.safetensors"][:1<<20])
			http.NewResponseController(w).Flush()
			for range 1000 { // until it has arrived
				time.Sleep(5 * time.Millisecond)
				if parts, _ := filepath.Glob(filepath.Join(dir, stage, "*.part")); len(parts) == 1 {
					if info, err := os.Stat(parts[0]); err == nil && info.Size() == 1<<20 {
						break
					}
				}
			}
			cancel()
			<-r.Context().Done()
			return true
		}
	})
	_, err := Fetch(ctx, h.config(dir), nil)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("%v", err)
	}
	if names := tree(t, dir); len(names) > 0 {
		t.Errorf("the folder has %q", names)
	}
	h.asked("")
	h.set(func() { h.content = nil })
	got := h.fetch(t, dir)
	if r := h.asked("/cdn/"); len(r) != 1 || !strings.HasSuffix(r[0], "bytes=1048576-") {
		t.Errorf("requests %q", r)
	}
	if got.Downloaded > 2<<20+1000 {
		t.Errorf("%d bytes came", got.Downloaded)
	}
	// A part of something else must not become part of the file.
	other := t.TempDir()
	if err := os.MkdirAll(filepath.Join(other, stage), 0o755); err != nil {
		t.Fatal(err)
	}
	list := hubFile{name: "model.safetensors", size: int64(len(h.files["model.safetensors"]))}
	for _, f := range got.Files {
		if f.Name == list.name {
			list.sha256 = f.SHA256
		}
	}
	for _, n := range []int{1 << 20, len(h.files["model.safetensors"]), 5 << 20} {
		part := filepath.Join(other, stage, list.key()+".part")
		os.RemoveAll(other)
		os.MkdirAll(filepath.Dir(part), 0o755)
		if err := os.WriteFile(part, make([]byte, n), 0o644); err != nil {
			t.Fatal(err)
		}
		h.fetch(t, other)
	}
}

func TestFetchIgnoredRange(t *testing.T) {
	h := newFakeHub(t)
	h.set(func() {
		h.content = func(w http.ResponseWriter, r *http.Request, nth int) bool {
			if nth == 1 {
				cut(h, 1<<20)(w, r)
			}
			w.Write(h.files["model.safetensors"])
			return true
		}
	})
	h.fetch(t, t.TempDir())
}

func TestFetchSlow(t *testing.T) {
	h := newFakeHub(t)
	stalls := 0
	h.set(func() {
		h.content = func(w http.ResponseWriter, r *http.Request, nth int) bool {
			if nth > 2 {
				return false
			}
			c := http.NewResponseController(w)
			w.Header().Set("Content-Length", fmt.Sprint(len(h.files["model.safetensors"])))
			for i := range 10 { // slow, but it comes
				w.Write(h.files["model.safetensors"][i*1000 : (i+1)*1000])
				c.Flush()
				time.Sleep(40 * time.Millisecond)
			}
			stalls++
			<-r.Context().Done() // and now it does not
			return true
		}
	})
	cfg := h.config(t.TempDir())
	cfg.Stall = 300 * time.Millisecond
	if _, err := Fetch(context.Background(), cfg, nil); err != nil {
		t.Fatal(err)
	}
	h.check(t, cfg.Dir)
	if stalls == 0 {
		t.Error("it never stalled")
	}
}

// Two downloads into one folder: the second is told to wait.
func TestFetchTwice(t *testing.T) {
	h := newFakeHub(t)
	dir := t.TempDir()
	inside, release := make(chan bool), make(chan bool)
	h.set(func() {
		h.content = func(w http.ResponseWriter, r *http.Request, nth int) bool {
			inside <- true
			<-release
			return false
		}
	})
	done := make(chan error)
	go func() {
		_, err := Fetch(context.Background(), h.config(dir), nil)
		done <- err
	}()
	<-inside
	if _, err := Fetch(context.Background(), h.config(dir), nil); err == nil || !strings.Contains(err.Error(), "is under way") {
		t.Errorf("the second download: %v", err)
	}
	release <- true
	if err := <-done; err != nil {
		t.Error(err)
	}
	h.check(t, dir)
}

// A transcoder: folders, and no model at the top.
func TestFetchFolders(t *testing.T) {
	h := newFakeHub(t)
	h.set(func() {
		h.files = map[string][]byte{"config.yaml": []byte("model_kind: x\n"), "h.0.mlp/cfg.json": []byte("{}"),
			"h.0.mlp/sae.safetensors": []byte("weights"), "W enc é+%.safetensors": []byte("more"), ".git/config.json": []byte("no")}
	})
	dir := t.TempDir()
	if _, err := Fetch(context.Background(), h.config(dir), nil); err != nil {
		t.Fatal(err)
	}
	want := []string{"W enc é+%.safetensors", "config.yaml", "fetch.json", "h.0.mlp/cfg.json", "h.0.mlp/sae.safetensors"}
	if got := tree(t, dir); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	// A link that leads out of the folder is not followed.
	h.set(func() { h.files["h.1.mlp/sae.safetensors"] = []byte("escaped") })
	outside := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(dir, "h.1.mlp")); err != nil {
		t.Fatal(err)
	}
	if _, err := Fetch(context.Background(), h.config(dir), nil); err == nil {
		t.Error("a file was put behind a link")
	}
	if names := tree(t, outside); len(names) > 0 {
		t.Errorf("outside there is %q", names)
	}
}
