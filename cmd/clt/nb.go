package main

import (
	"flag"
	"os"
	"path/filepath"

	"github.com/etredal/cross-layer-transcoder/internal/atomicfile"
	"github.com/etredal/cross-layer-transcoder/internal/notebook"
)

func nbVerb(f *flag.FlagSet) func(c *call) error {
	inPlace := f.Bool("in-place", false, "run: save the outputs in the notebook itself, not in out/nb")
	page := f.Bool("report", false, "run: also write out/NAME.html")
	withoutJupyter := f.Bool("plain", false, "run: with nothing but Go, as happens where there is no Jupyter")
	strip := f.Bool("strip", false, "clean: remove outputs too")
	return func(c *call) error {
		if len(c.args) == 0 {
			return badCall("run, clean, check or make is missing; say what to do with the notebooks")
		}
		what, files := c.args[0], tutorials(c.args[1:])
		if what != "run" && what != "clean" && what != "check" && what != "make" {
			return badCall("nb %s is not known; use run, clean, check or make", what)
		}
		if len(files) == 0 {
			return badCall("no notebook; name one or more")
		}
		for i := range files {
			files[i] = byNumber(files[i])
		}
		if err := checkFiles(files); err != nil {
			return err
		}
		switch what {
		case "run":
			if *withoutJupyter || !hasJupyter() {
				return c.runPlain(files, *inPlace, *page)
			}
			args := []string{"run"}
			if *inPlace {
				args = append(args, "--in-place")
			}
			if *page {
				args = append(args, "--report")
			}
			return c.notebookScript(append(args, files...)...)
		case "clean":
			return c.cleanNotebooks(files, *strip)
		case "make":
			return c.makeNotebooks(files)
		}
		return c.checkNotebooks(files)
	}
}

// cleanNotebooks writes notebooks in normal form; it looks at all before it
// writes one.
func (c *call) cleanNotebooks(files []string, strip bool) error {
	cleaned := make([][]byte, len(files))
	for i, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		n, err := notebook.Parse(filepath.Base(name), data)
		if err != nil {
			return err
		}
		n.Clean(strip)
		if b := n.Bytes(); string(b) != string(data) {
			cleaned[i] = b
		}
	}
	for i, name := range files {
		if cleaned[i] == nil {
			continue
		}
		if err := atomicfile.Write(name, cleaned[i]); err != nil {
			return err
		}
		c.remark("cleaned %s", name)
	}
	return c.checkNotebooks(files)
}

// checkNotebooks prints every fault with its place.
func (c *call) checkNotebooks(files []string) error {
	count := 0
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		faults := notebook.Check(filepath.Base(name), data)
		for _, fault := range faults {
			c.printf("%s: %s\n", name, fault)
		}
		if len(faults) == 0 {
			c.printf("%s: ok\n", name)
		}
		count += len(faults)
	}
	return faultsError(count)
}
