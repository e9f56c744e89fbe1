package gpt2

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gomlx/go-huggingface/hub"
)

// hubList is what the hub has of a model, and where.
type hubList struct {
	commit string
	base   string // URL of the files, with a slash at the end
	files  []hubFile
}

// hubFile is one of the files that are wanted.
type hubFile struct {
	name   string
	size   int64  // -1 when the hub does not say
	sha256 string // of the content; "" for small files
	blob   string // Git's hash of the content, SHA-1; "" for large files
}

// silentHub is the error when the hub cannot be asked, as opposed to when it says no.
type silentHub struct{ error }

func (e silentHub) Unwrap() error { return e.error }

var (
	namePattern     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?$`)
	revisionPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]*$`)
	commitPattern   = regexp.MustCompile(`^[0-9a-f]{40}([0-9a-f]{24})?$`)
	sha256Pattern   = regexp.MustCompile(`^[0-9a-f]{64}$`)
	sha1Pattern     = regexp.MustCompile(`^[0-9a-f]{40}$`)
)

func hubName(s string) bool     { return namePattern.MatchString(s) && !strings.Contains(s, "..") }
func hubRevision(s string) bool { return revisionPattern.MatchString(s) && !strings.Contains(s, "..") }

// list asks the hub, with some patience.
func (f *fetcher) list(ctx context.Context) (*hubList, error) {
	for try := 0; ; try++ {
		repo, err := f.ask(ctx)
		if err == nil {
			return wantedFiles(repo, f.cfg)
		}
		var silent silentHub
		if !errors.As(err, &silent) || try >= min(f.cfg.Retries, 2) {
			return nil, err
		}
		if err := f.pause(ctx, try, err); err != nil {
			return nil, err
		}
	}
}

// ask lets go-huggingface's client ask for the files of the model. Its client keeps the answer in a cache folder of its
// own, which is a temporary one here: what it makes of a name or a commit in the answer must not touch other files.
//
// The files themselves are not downloaded through that client (version 0.4.3): it takes a connection that breaks for
// the end of the file, starts from zero each time, checks neither size nor hash, follows paths that the server's
// headers and answers contain, and prints its progress.
func (f *fetcher) ask(ctx context.Context) (*hub.Repo, error) {
	cache, err := os.MkdirTemp("", "clt-fetch-")
	if err != nil {
		return nil, fmt.Errorf("scratch folder: %w; set TMPDIR to a folder you can write to", err)
	}
	defer os.RemoveAll(cache) // also where nobody waits for the answer
	repo := hub.New(f.cfg.Name).WithCacheDir(cache).WithRevision(f.cfg.Revision).WithAuth(f.cfg.Token).WithProgressBar(false)
	repo.Verbosity = 0
	if f.cfg.Dataset {
		repo.WithType(hub.RepoTypeDataset)
	}
	if f.cfg.Endpoint != "" {
		repo.WithEndpoint(strings.TrimRight(f.cfg.Endpoint, "/"))
	}
	// It cannot be cancelled, and has no time limit, so it runs beside.
	done := make(chan error, 1)
	go func() {
		defer os.RemoveAll(cache)
		defer func() {
			if p := recover(); p != nil { // as it does when the answer is null
				done <- fmt.Errorf("the answer is not understood: %v", p)
			}
		}()
		_, err := repo.FileURL("") // asks
		done <- err
	}()
	select {
	case err = <-done:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(f.cfg.Stall):
		err = fmt.Errorf("no answer in %v", f.cfg.Stall)
	}
	if err == nil {
		return repo, nil
	}
	text := strings.Join(strings.Fields(err.Error()), " ")
	for _, status := range []string{"400", "401", "403", "404", "410"} {
		if strings.Contains(text, "bad status code "+status) {
			return nil, fmt.Errorf("the hub says: %s; check name and revision, or give a token if the model is not public", text)
		}
	}
	if i := strings.LastIndex(text, `": `); i >= 0 { // behind what was asked for, several times, and temporary files
		text = text[i+3:]
	}
	return nil, silentHub{fmt.Errorf("the hub cannot be asked: %s; check the connection or the endpoint", text)}
}

// wantedFiles checks what the hub lists and keeps what this project reads.
func wantedFiles(repo *hub.Repo, cfg FetchConfig) (*hubList, error) {
	info := repo.Info()
	if info == nil || len(info.Siblings) == 0 {
		return nil, errors.New("the hub lists no files; check the name")
	}
	if len(info.Siblings) > 100_000 {
		return nil, fmt.Errorf("the hub lists %d files, which is too many for a model; check the name", len(info.Siblings))
	}
	if !commitPattern.MatchString(info.CommitHash) {
		return nil, fmt.Errorf("the hub names the commit %q, which is none; check the endpoint", info.CommitHash)
	}
	base, err := repo.FileURL("")
	if err != nil {
		return nil, err
	}
	if _, err := url.Parse(base); err != nil {
		return nil, fmt.Errorf("%w; check the endpoint", err)
	}
	l := &hubList{commit: info.CommitHash, base: base}
	var others []string
	for _, s := range info.Siblings {
		if s == nil {
			s = &hub.FileInfo{}
		}
		if !safeName(s.Name) {
			return nil, fmt.Errorf("the hub lists a file %q, which would not stay in the folder; nothing was downloaded, check the endpoint", s.Name)
		}
		if !cfg.Dataset && !wanted(s.Name) {
			others = append(others, s.Name)
			continue
		}
		file := hubFile{name: s.Name, size: s.Size, blob: s.BlobID}
		if s.LFS != nil {
			file = hubFile{name: s.Name, size: s.LFS.Size, sha256: s.LFS.SHA256}
		}
		if file.size <= 0 && file.sha256 == "" && !sha1Pattern.MatchString(file.blob) {
			file.size = -1
		}
		if file.size < -1 || file.sha256 != "" && !sha256Pattern.MatchString(file.sha256) {
			return nil, fmt.Errorf("the hub lists %s with %d bytes and SHA-256 %q, which cannot be; check the endpoint", s.Name, file.size, file.sha256)
		}
		l.files = append(l.files, file)
	}
	if cfg.Dataset {
		if l.files, err = datasetFiles(l.files, cfg.Pattern); err != nil {
			return nil, err
		}
		err = l.distinct()
	} else {
		l.files = topLevelModel(l.files)
		err = l.check(others)
	}
	if err == nil {
		err = cfg.fits(l.files)
	}
	return l, err
}

// check refuses lists that cannot be used, before anything large is downloaded.
func (l *hubList) check(others []string) error {
	if err := l.distinct(); err != nil {
		return err
	}
	weights := slices.ContainsFunc(l.files, func(f hubFile) bool { return path.Ext(f.name) == ".safetensors" })
	if !weights {
		for _, name := range others {
			switch path.Ext(name) {
			case ".bin", ".h5", ".msgpack", ".pt", ".npz":
				return fmt.Errorf("the hub has %s but no safetensors, which is what can be read; convert it with transformers (save_pretrained)", name)
			}
		}
		return errors.New("the hub has no safetensors under this name; is it a model?")
	}
	return nil
}

// distinct refuses a list with one file twice.
func (l *hubList) distinct() error {
	seen := map[string]bool{}
	for _, f := range l.files {
		if seen[strings.ToLower(f.name)] {
			return fmt.Errorf("the hub lists %s twice; check the endpoint", f.name)
		}
		seen[strings.ToLower(f.name)] = true
	}
	return nil
}

func goodPattern(s string) bool {
	_, err := path.Match(s, "x")
	return err == nil
}

// topLevelModel leaves out folders when the top level is a model by itself: they hold the same in other formats.
func topLevelModel(files []hubFile) []hubFile {
	top := func(f hubFile) bool { return !strings.Contains(f.name, "/") }
	is := func(name string) bool {
		return slices.ContainsFunc(files, func(f hubFile) bool { return f.name == name })
	}
	if !is("config.json") || !is("model.safetensors") && !is("model.safetensors.index.json") {
		return files
	}
	return slices.DeleteFunc(files, func(f hubFile) bool { return !top(f) })
}

// wanted names what this project reads, and the licence.
func wanted(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(part, ".") {
			return false
		}
	}
	switch path.Ext(name) {
	case ".safetensors", ".json", ".yaml", ".yml":
		return name != manifestName
	}
	switch path.Base(name) {
	case "merges.txt", "vocab.bpe", "LICENSE", "LICENSE.md", "LICENSE.txt":
		return true
	}
	return false
}

// safeName reports whether a name stays within the folder on every system.
func safeName(name string) bool {
	if name == "" || name == "." || len(name) > 400 || path.Clean(name) != name || !filepath.IsLocal(filepath.FromSlash(name)) {
		return false
	}
	for _, r := range name {
		if r < ' ' || r == 0x7F || strings.ContainsRune(`\:*?"<>|`, r) {
			return false
		}
	}
	return true
}

// escaped is a name as a part of a URL.
func escaped(name string) string { return (&url.URL{Path: name}).EscapedPath() }

// pause waits before another try.
func (f *fetcher) pause(ctx context.Context, try int, cause error) error {
	wait := min(f.cfg.Wait<<min(try, 10), time.Minute)
	f.now.Note = fmt.Sprintf("%v; trying again in %v", cause, wait)
	f.tell(true)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(wait):
		return nil
	}
}
