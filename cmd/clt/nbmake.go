package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/etredal/cross-layer-transcoder/internal/atomicfile"
	"github.com/etredal/cross-layer-transcoder/internal/notebook"
)

// tutorials lets a tutorial be called by its number, as in nb run 05: in the working
// directory, or in the clone that CLT_ROOT names.
func tutorials(names []string) []string {
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = name
		if len(name) != 2 || strings.Trim(name, "0123456789") != "" {
			continue
		}
		for _, root := range []string{".", os.Getenv("CLT_ROOT")} {
			if found, err := filepath.Glob(filepath.Join(root, "tutorials", name+"-*.ipynb")); err == nil && len(found) == 1 {
				list[i] = found[0]
				break
			}
		}
	}
	return list
}

// makeNotebooks makes notebooks of masters: src/NAME.md becomes NAME.ipynb beside
// the folder src, and, if it has exercises, solutions/NAME.ipynb too. Cells that did
// not change keep their outputs.
func (c *call) makeNotebooks(masters []string) error {
	for _, file := range masters {
		name, isMaster := strings.CutSuffix(filepath.Base(file), ".md")
		if !isMaster {
			return badCall("%s is no master; nb make takes Markdown files such as tutorials/src/05-local.md", file)
		}
		master, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		dir := filepath.Dir(filepath.Dir(filepath.Clean(file)))
		if err := c.makeNotebook(filepath.Join(dir, name+".ipynb"), name, master, false); err != nil {
			return err
		}
		if !strings.Contains(string(master), "```go stub\n") {
			continue
		}
		if err := c.makeNotebook(filepath.Join(dir, "solutions", name+".ipynb"), name, master, true); err != nil {
			return err
		}
	}
	return nil
}

func (c *call) makeNotebook(path, name string, master []byte, solved bool) error {
	var old *notebook.Notebook
	before, err := os.ReadFile(path)
	switch {
	case err == nil:
		if old, err = notebook.Parse(filepath.Base(path), before); err != nil {
			return fmt.Errorf("%w; move it away if it is not worth keeping", err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	n, err := notebook.FromMaster(name, master, solved, old)
	if err != nil {
		return err
	}
	if b := n.Bytes(); string(b) != string(before) {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := atomicfile.Write(path, b); err != nil {
			return err
		}
		c.remark("made %s", path)
	}
	return nil
}
