package gpt2

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// FetchConfig says what is downloaded from the model hub, and to where.
type FetchConfig struct {
	Name     string        // "gpt2", "owner/name"
	Dir      string        // the folder that is filled
	Revision string        // branch, tag or commit
	Endpoint string        // URL of the hub; "" for the usual one
	Token    string        // for models that are not public
	Offline  bool          // ask nobody: check what is there
	Dataset  bool          // the texts of a dataset instead of a model
	Pattern  string        // of a dataset: the files whose name is like this, such as data/train-*.parquet
	MaxBytes int64         // refuse to download more in all; 0 for no limit
	Retries  int           // tries after a break, counted anew when something came
	Wait     time.Duration // before the first of them; doubled each time
	Stall    time.Duration // a transfer is a break when nothing came for so long
}

// DefaultFetchConfig has all but the name and the folder.
func DefaultFetchConfig() FetchConfig {
	return FetchConfig{Revision: "main", Retries: 4, Wait: time.Second, Stall: 30 * time.Second}
}

// FetchProgress tells how far a download is.
type FetchProgress struct {
	File        string // under way; "" between files
	Done, Files int    // files
	Bytes       int64  // here, those of earlier calls included
	Total       int64  // of all files
	Note        string // a remark for people, such as a break
}

// Fetched is what a folder has after Fetch.
type Fetched struct {
	Dir, Name, Commit string
	Files             []FetchedFile
	Downloaded        int64  // bytes that came over the line
	Note              string // why the hub was not asked, if it was not
}

// FetchedFile is one file, checked.
type FetchedFile struct {
	Name   string `json:"name"` // with slashes
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	Hub    string `json:"hub"` // what the hub identifies it by
}

// Fetch downloads the files of a model, or of a transcoder, that this project reads: weights as safetensors,
// configuration, tokenizer. Each is checked for its size and against the hub's SHA-256 (small files: against the Git
// hash, which is all that the hub has). A download that was broken off goes on where it stopped. Nothing appears in
// the folder under its name before all is there and right. When the hub does not answer and an earlier call has
// filled the folder, that is checked and used.
//
// report may be nil.
func Fetch(ctx context.Context, cfg FetchConfig, report func(FetchProgress)) (Fetched, error) {
	if report == nil {
		report = func(FetchProgress) {}
	}
	if err := cfg.Validate(); err != nil {
		return Fetched{}, err
	}
	f := &fetcher{cfg: cfg, report: report, client: fetchClient(cfg.Stall)}
	got, err := f.fetch(ctx)
	if err != nil && ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
		err = fmt.Errorf("%w (%w)", ctx.Err(), err)
	}
	if err != nil {
		return got, fmt.Errorf("gpt2: fetch %s: %w", cfg.Name, err)
	}
	return got, nil
}

// Validate names what cannot be.
func (c FetchConfig) Validate() error {
	switch {
	case !hubName(c.Name):
		return fmt.Errorf("gpt2: fetch: %q is not the name of a model; give one as in gpt2 or owner/name", c.Name)
	case c.Pattern != "" && !c.Dataset:
		return fmt.Errorf("gpt2: fetch %s: a pattern %q for a model; it is for datasets", c.Name, c.Pattern)
	case c.Pattern != "" && !goodPattern(c.Pattern):
		return fmt.Errorf("gpt2: fetch %s: the pattern %q cannot be read; write it as in data/*.parquet", c.Name, c.Pattern)
	case c.Dir == "":
		return fmt.Errorf("gpt2: fetch %s: no folder; name one", c.Name)
	case !hubRevision(c.Revision):
		return fmt.Errorf("gpt2: fetch %s: revision %q cannot be; give a branch, a tag or a commit", c.Name, c.Revision)
	case c.Endpoint != "" && !strings.HasPrefix(c.Endpoint, "http://") && !strings.HasPrefix(c.Endpoint, "https://"):
		return fmt.Errorf("gpt2: fetch %s: endpoint %q is no URL; it begins with https://", c.Name, c.Endpoint)
	case c.Retries < 0 || c.Stall <= 0 || c.Wait < 0:
		return fmt.Errorf("gpt2: fetch %s: retries %d, wait %v, stall %v; start from DefaultFetchConfig", c.Name, c.Retries, c.Wait, c.Stall)
	}
	return nil
}

// fetchClient follows redirects, but not from an encrypted line to an open one.
func fetchClient(stall time.Duration) *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.ResponseHeaderTimeout = stall
	return &http.Client{Transport: t, CheckRedirect: func(to *http.Request, via []*http.Request) error {
		if len(via) >= 10 {
			return errors.New("more than 10 redirects")
		}
		if via[0].URL.Scheme == "https" && to.URL.Scheme != "https" {
			return fmt.Errorf("redirected from https to %s", to.URL.Scheme)
		}
		return nil
	}}
}

// fetcher is one download under way.
type fetcher struct {
	cfg    FetchConfig
	report func(FetchProgress)
	client *http.Client

	root       *os.Root // the folder
	made       bool     // by this call
	now        FetchProgress
	reported   time.Time
	downloaded int64
}

// stage is the subfolder for what is not complete.
const stage = ".fetch"

func (f *fetcher) fetch(ctx context.Context) (Fetched, error) {
	old, err := readManifest(f.cfg.Dir)
	if err != nil {
		return Fetched{}, err
	}
	if f.cfg.Offline {
		return f.reuse(old, "not asked, as wished")
	}
	if _, err := os.Stat(f.cfg.Dir); errors.Is(err, os.ErrNotExist) {
		f.made = true
	}
	if err := os.MkdirAll(filepath.Join(f.cfg.Dir, stage), 0o755); err != nil {
		return Fetched{}, fmt.Errorf("%w; is the folder writable?", err)
	}
	if f.root, err = os.OpenRoot(f.cfg.Dir); err != nil {
		return Fetched{}, err
	}
	defer f.root.Close()
	unlock, err := lockFolder(filepath.Join(f.cfg.Dir, stage, "lock"))
	if err != nil {
		return Fetched{}, err
	}
	defer unlock()
	list, err := f.list(ctx)
	if err != nil {
		var silent silentHub
		if old != nil && errors.As(err, &silent) && ctx.Err() == nil {
			if got, rerr := f.reuse(old, silent.Error()); rerr == nil {
				f.tidy()
				return got, nil
			}
		}
		f.tidy()
		return Fetched{}, err
	}
	return f.download(ctx, list, old)
}

// reuse checks an earlier download.
func (f *fetcher) reuse(m *manifest, why string) (Fetched, error) {
	switch {
	case m == nil:
		return Fetched{}, fmt.Errorf("%s has no earlier download; fetch it once with the hub within reach", f.cfg.Dir)
	case m.Name != f.cfg.Name || m.Revision != f.cfg.Revision || m.Dataset != f.cfg.Dataset:
		return Fetched{}, fmt.Errorf("%s holds %s at %s; choose another folder", f.cfg.Dir, m.Name, m.Revision)
	case m.Pattern != f.cfg.Pattern:
		return Fetched{}, fmt.Errorf("%s holds the files like %q of %s, not those like %q; fetch these with the hub within reach", f.cfg.Dir, m.Pattern, m.Name, f.cfg.Pattern)
	}
	for _, file := range m.Files {
		if err := f.checkOld(file); err != nil {
			return Fetched{}, fmt.Errorf("%w; fetch it again with the hub within reach", err)
		}
	}
	return Fetched{Dir: f.cfg.Dir, Name: m.Name, Commit: m.Commit, Files: m.Files, Note: why}, nil
}

// checkOld checks a file of an earlier download.
func (f *fetcher) checkOld(file FetchedFile) error {
	path := filepath.Join(f.cfg.Dir, filepath.FromSlash(file.Name))
	sum, err := sumFile(path, file.Size)
	if err != nil {
		return err
	}
	if sum.sha256 != file.SHA256 {
		return fmt.Errorf("%s has changed since it was fetched", path)
	}
	return nil
}

// download brings every file of the list to the stage, then all into the folder.
func (f *fetcher) download(ctx context.Context, list *hubList, old *manifest) (Fetched, error) {
	f.now.Files = len(list.files)
	m := &manifest{Format: manifestFormat, Name: f.cfg.Name, Revision: f.cfg.Revision, Commit: list.commit,
		Dataset: f.cfg.Dataset, Pattern: f.cfg.Pattern, Files: make([]FetchedFile, len(list.files))}
	var missing []int
	for i, file := range list.files {
		done, here, err := f.have(file, old)
		if err != nil {
			f.tidy()
			return Fetched{}, err
		}
		f.now.Total += max(file.size, 0)
		if m.Files[i] = done; here {
			f.now.Done++
			f.now.Bytes += done.Size
		} else {
			missing = append(missing, i)
		}
	}
	var staged []hubFile
	for _, i := range missing {
		file := list.files[i]
		sum, err := f.get(ctx, list, file)
		if err != nil {
			f.tidy()
			return Fetched{}, err
		}
		m.Files[i] = FetchedFile{Name: file.name, Size: sum.size, SHA256: sum.sha256, Hub: file.identity()}
		staged = append(staged, file)
		f.now.Done++
		f.now.File = ""
		f.tell(true)
	}
	for _, file := range staged {
		if err := f.place(file); err != nil {
			return Fetched{}, err
		}
	}
	if err := m.write(f.cfg.Dir); err != nil {
		return Fetched{}, err
	}
	f.clean()
	return Fetched{Dir: f.cfg.Dir, Name: m.Name, Commit: m.Commit, Files: m.Files, Downloaded: f.downloaded}, nil
}

// have reports whether the folder has the file already, from an earlier call or put there by hand.
func (f *fetcher) have(file hubFile, old *manifest) (FetchedFile, bool, error) {
	path := filepath.Join(f.cfg.Dir, filepath.FromSlash(file.name))
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return FetchedFile{}, false, nil
	}
	if err != nil {
		return FetchedFile{}, false, err
	}
	if !info.Mode().IsRegular() {
		return FetchedFile{}, false, fmt.Errorf("%s is not a file; move it away or choose another folder", path)
	}
	sum, err := sumFile(path, -1)
	if err != nil {
		return FetchedFile{}, false, err
	}
	if file.check(sum) == nil {
		return FetchedFile{Name: file.name, Size: sum.size, SHA256: sum.sha256, Hub: file.identity()}, true, nil
	}
	if old == nil {
		return FetchedFile{}, false, fmt.Errorf("%s is there and is another file than the hub's; move it away or choose another folder", path)
	}
	return FetchedFile{}, false, nil
}

// place gives a staged file its name.
func (f *fetcher) place(file hubFile) error {
	name := filepath.FromSlash(file.name)
	if dir := filepath.Dir(name); dir != "." {
		if err := f.root.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return f.root.Rename(filepath.Join(stage, file.key()+".ok"), name)
}

// clean removes the stage; tidy does when it holds nothing to go on from.
func (f *fetcher) clean() { _ = f.root.RemoveAll(stage) }

func (f *fetcher) tidy() {
	entries, err := os.ReadDir(filepath.Join(f.cfg.Dir, stage))
	if err != nil {
		return
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".part") || strings.HasSuffix(e.Name(), ".ok") {
			return
		}
	}
	f.clean()
	if f.made {
		_ = os.Remove(f.cfg.Dir)
	}
}

// tell reports, at most five times a second unless now.
func (f *fetcher) tell(now bool) {
	if now || time.Since(f.reported) > 200*time.Millisecond {
		f.reported = time.Now()
		f.report(f.now)
		f.now.Note = ""
	}
}
