package corpus

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// DefaultField is the key or column that is read unless a source names another.
const DefaultField = "text"

// File is one file to be read.
type File struct {
	Path  string
	Field string // of JSON lines and parquet
	Size  int64  // bytes
}

// Name is the last part of the path, for messages.
func (f File) Name() string { return filepath.Base(f.Path) }

// Plain says that the file is one text as it stands.
func (f File) Plain() bool { return f.format() == "text" }

// format is what the name of a file says of its content, without what packs it.
func (f File) format() string {
	name := strings.ToLower(f.Path)
	for _, packed := range []string{".gz", ".zst"} {
		name = strings.TrimSuffix(name, packed)
	}
	switch filepath.Ext(name) {
	case ".jsonl", ".ndjson", ".json":
		return "jsonl"
	case ".parquet":
		return "parquet"
	}
	return "text"
}

// Readable says whether a file's name is one of a text, so that a folder's other files are left out.
func Readable(name string) bool {
	name = strings.ToLower(name)
	for _, packed := range []string{".gz", ".zst"} {
		name = strings.TrimSuffix(name, packed)
	}
	return slices.Contains([]string{".txt", ".text", ".jsonl", ".ndjson", ".parquet"}, filepath.Ext(name))
}

// Corpus is a list of files.
type Corpus struct{ Files []File }

// Open finds the files of sources: in the order given, those of a folder or a pattern by name. It opens none of them.
func Open(sources ...string) (*Corpus, error) {
	c := &Corpus{}
	for _, s := range sources {
		list, err := expand(s)
		if err != nil {
			return nil, fmt.Errorf("corpus: %w", err)
		}
		c.Files = append(c.Files, list...)
	}
	if len(c.Files) == 0 {
		return nil, errors.New("corpus: no texts; name a file, a folder or a pattern")
	}
	return c, nil
}

func expand(source string) ([]File, error) {
	path, field := source, DefaultField
	if _, err := os.Lstat(source); err != nil { // a file's own name may hold the sign
		if i := strings.LastIndex(source, "#"); i >= 0 {
			path, field = source[:i], source[i+1:]
		}
		if field == "" || path == "" {
			return nil, fmt.Errorf("%q names no file or no field; write FILE#FIELD", source)
		}
	}
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return folder(path, field)
	case err == nil && !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is neither a file nor a folder; name a file", path)
	case err == nil:
		return []File{{path, field, info.Size()}}, nil
	case !strings.ContainsAny(path, "*?["):
		return nil, fmt.Errorf("%w; check the path", err)
	}
	names, err := filepath.Glob(path)
	if err != nil {
		return nil, fmt.Errorf("the pattern %q cannot be read: %w; write it as in data/*.jsonl", path, err)
	}
	var list []File
	for _, n := range names {
		if strings.HasPrefix(filepath.Base(n), ".") && !strings.HasPrefix(filepath.Base(path), ".") {
			continue
		}
		if info, err := os.Stat(n); err == nil && info.Mode().IsRegular() {
			list = append(list, File{n, field, info.Size()})
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("no file is named like %s; check the pattern", path)
	}
	return list, nil
}

// folder lists the texts below a folder, hidden ones left out.
func folder(root, field string) ([]File, error) {
	var list []File
	var others []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path != root && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		case d.IsDir():
			return nil
		case !Readable(path):
			others = append(others, d.Name())
			return nil
		}
		info, err := os.Stat(path)
		if err == nil && info.Mode().IsRegular() {
			list = append(list, File{path, field, info.Size()})
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		what := "is empty"
		if len(others) > 0 {
			what = fmt.Sprintf("has %s, but no txt, jsonl or parquet", brief(others))
		}
		return nil, fmt.Errorf("the folder %s %s; name a folder with texts, or the files themselves", root, what)
	}
	return list, nil
}

// brief lists a few names.
func brief(names []string) string {
	const most = 8
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}
