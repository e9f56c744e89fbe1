package gpt2

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/etredal/cross-layer-transcoder/internal/atomicfile"
)

// identity is what tells one version of a file from another.
func (h hubFile) identity() string {
	if h.sha256 != "" {
		return "sha256:" + h.sha256
	}
	if h.blob != "" {
		return "git:" + h.blob
	}
	return ""
}

// key names a file on the stage, so that a part of one version is never continued with another.
func (h hubFile) key() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%d\n%s", h.name, h.size, h.identity()))
	return hex.EncodeToString(sum[:12])
}

// sums are what a file's content is recognised by.
type sums struct {
	size            int64
	sha256, gitBlob string
}

// sumFile reads a file; it must have size bytes, unless that is -1.
func sumFile(path string, size int64) (sums, error) {
	f, err := os.Open(path)
	if err != nil {
		return sums{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return sums{}, err
	}
	if size >= 0 && info.Size() != size {
		return sums{}, fmt.Errorf("%s has %d bytes, want %d", path, info.Size(), size)
	}
	s256, s1 := sha256.New(), sha1.New()
	fmt.Fprintf(s1, "blob %d\x00", info.Size())
	w := io.Writer(s256)
	if info.Size() < 64<<20 { // larger files have a SHA-256 on the hub
		w = io.MultiWriter(s256, s1)
	}
	n, err := io.Copy(w, f)
	if err != nil {
		return sums{}, fmt.Errorf("%s: %w", path, err)
	}
	return sums{n, hex.EncodeToString(s256.Sum(nil)), hex.EncodeToString(s1.Sum(nil))}, nil
}

// check compares a content with what the hub says of it.
func (h hubFile) check(s sums) error {
	switch {
	case h.size >= 0 && s.size != h.size:
		return fmt.Errorf("%s has %d bytes, the hub says %d", h.name, s.size, h.size)
	case h.sha256 != "" && s.sha256 != h.sha256:
		return fmt.Errorf("%s has SHA-256 %s, the hub says %s", h.name, s.sha256, h.sha256)
	case h.sha256 == "" && sha1Pattern.MatchString(h.blob) && s.size < 64<<20 && s.gitBlob != h.blob:
		return fmt.Errorf("%s has Git hash %s, the hub says %s", h.name, s.gitBlob, h.blob)
	}
	return nil
}

// get brings one file to the stage, checked, and returns what it is.
func (f *fetcher) get(ctx context.Context, list *hubList, file hubFile) (sums, error) {
	f.now.File = file.name
	f.tell(true)
	part := filepath.Join(f.cfg.Dir, stage, file.key()+".part")
	ok := filepath.Join(f.cfg.Dir, stage, file.key()+".ok")
	before := f.now.Bytes
	if sum, err := sumFile(ok, file.size); err == nil && file.check(sum) == nil {
		f.now.Bytes = before + sum.size
		return sum, nil
	}
	_, err := os.Stat(part)
	continued := err == nil
	for {
		if err := f.transfer(ctx, list.base+escaped(file.name), part, file, before); err != nil {
			return sums{}, fmt.Errorf("%s: %w", file.name, err)
		}
		sum, err := sumFile(part, file.size)
		if err == nil {
			err = file.check(sum)
		}
		if err == nil {
			if f.now.Bytes = before + sum.size; file.identity() == "" {
				f.now.Note = "the hub gives no hash of " + file.name + "; only its size was checked"
			}
			return sum, os.Rename(part, ok)
		}
		os.Remove(part)
		f.now.Bytes = before
		if !continued {
			return sums{}, fmt.Errorf("%w; what came was thrown away, fetch it again", err)
		}
		continued = false // the old part may have been bad: once more, from the start
		f.now.Note = err.Error() + "; once more from the start"
		f.tell(true)
	}
}

// manifest is what a folder knows about its download.
type manifest struct {
	Format   string        `json:"format"`
	Name     string        `json:"name"`
	Revision string        `json:"revision"`
	Commit   string        `json:"commit"`
	Dataset  bool          `json:"dataset,omitempty"`
	Pattern  string        `json:"pattern,omitempty"`
	Files    []FetchedFile `json:"files"`
}

const (
	manifestName   = "fetch.json"
	manifestFormat = "clt-fetch/1"
)

// readManifest returns nil when there is none.
func readManifest(dir string) (*manifest, error) {
	name := filepath.Join(dir, manifestName)
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	m := &manifest{}
	if err := json.Unmarshal(data, m); err != nil || m.Format != manifestFormat {
		return nil, fmt.Errorf("%s is not the record of a download; move it away or choose another folder", name)
	}
	for _, f := range m.Files {
		if !safeName(f.Name) {
			return nil, fmt.Errorf("%s lists a file %q; move it away or choose another folder", name, f.Name)
		}
	}
	return m, nil
}

func (m *manifest) write(dir string) error {
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, manifestName), append(data, '\n'))
}
