package main

import (
	"context"
	"crypto/sha1"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// serveModel is a hub with one model: a folder.
func serveModel(t *testing.T, dir string) *httptest.Server {
	commit := strings.Repeat("ab", 20)
	var siblings []map[string]any
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			continue
		}
		blob := sha1.Sum(fmt.Appendf(nil, "blob %d\x00%s", len(data), data))
		siblings = append(siblings, map[string]any{"rfilename": e.Name(), "size": len(data), "blobId": fmt.Sprintf("%x", blob)})
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/api/models/tiny/revision/main", func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(map[string]any{"sha": commit, "siblings": siblings})
	})
	mux.Handle("/tiny/resolve/"+commit+"/", http.StripPrefix("/tiny/resolve/"+commit+"/", http.FileServer(http.Dir(dir))))
	end := make(chan struct{}) // an abandoned request may come when the test is already over
	mux.HandleFunc("/api/models/slow/revision/main", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-end:
		}
	})
	s := httptest.NewServer(mux)
	t.Cleanup(func() { close(end); s.CloseClientConnections(); s.Close() })
	return s
}

func TestFetch(t *testing.T) {
	hub := serveModel(t, tiny2)
	dir := filepath.Join(t.TempDir(), "models", "tiny")
	out := must(t, "fetch", "tiny", "-o", dir, "-endpoint", hub.URL)
	if !strings.Contains(out, "model.safetensors") || !strings.Contains(out, "config.json") {
		t.Fatalf("it says %q", out)
	}
	// What was fetched is a model.
	if a, b := must(t, "run", "-backend", "go", "-model", dir, "-ids", "1,2,3", "-json"), must(t, tiny("run", "-ids", "1,2,3", "-json")...); a != b {
		t.Errorf("the fetched model predicts %s, the original %s", a, b)
	}
	hub.CloseClientConnections()
	hub.Close()
	r := cli(t, "fetch", "tiny", "-o", dir, "-endpoint", hub.URL, "-json")
	var got fetched
	if err := json.Unmarshal([]byte(r.out), &got); err != nil || r.status != 0 || got.Downloaded != 0 || len(got.Files) < 2 || got.Note == "" {
		t.Errorf("without the hub: exit %d, %s, %s", r.status, r.out, r.stderr)
	}
}

func TestFetchWrong(t *testing.T) {
	hub := serveModel(t, tiny2)
	dir := filepath.Join(t.TempDir(), "x")
	for _, c := range []struct {
		status int
		want   string
		args   []string
	}{
		{statusUsage, "0 names", nil},
		{statusUsage, "2 names", []string{"a", "b"}},
		{statusUsage, "not the name of a model", []string{"../../x"}},
		{statusUsage, "is no URL", []string{"tiny", "-endpoint", "hub"}},
		{statusUsage, "is a file", []string{"tiny", "-o", filepath.Join(tiny2, "config.json")}},
		{statusFailed, "check name", []string{"none", "-o", dir, "-endpoint", hub.URL}},
		{statusFailed, "earlier download", []string{"tiny", "-o", dir, "-offline"}},
	} {
		r := cli(t, append([]string{"fetch"}, c.args...)...)
		if r.status != c.status || !strings.Contains(r.stderr, c.want) || !message.MatchString(lastLine(r.stderr)) || r.out != "" {
			t.Errorf("fetch %q: exit %d, %q, want %d and %q", c.args, r.status, r.stderr, c.status, c.want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(100*time.Millisecond, cancel)
	var out, stderr strings.Builder
	if status := run(ctx, []string{"fetch", "slow", "-o", dir, "-endpoint", hub.URL}, strings.NewReader(""), &out, &stderr); status != statusInterrupted || !strings.Contains(stderr.String(), "goes on from there") {
		t.Errorf("interrupted: exit %d, %q", status, stderr.String())
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("a folder is left")
	}
}
