package main

import (
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/clt/replacement"
	"github.com/etredal/cross-layer-transcoder/internal/engine"
	"github.com/etredal/cross-layer-transcoder/internal/notebook"
	"github.com/etredal/cross-layer-transcoder/viz"
)

func reportVerb(f *flag.FlagSet) func(c *call) error {
	out := f.String("o", "", "HTML `file` (default: out/NAME.html)")
	store := f.String("features", "", "`folder` of a feature store: labels and cards in the page of a graph")
	noInput := f.Bool("no-input", false, "notebooks: leave the code out")
	cut := pruneFlags(f)
	return func(c *call) error {
		if len(c.args) != 1 {
			return badCall("%d files; give one notebook or graph", len(c.args))
		}
		path := c.args[0]
		if err := checkFiles(c.args); err != nil {
			return err
		}
		if *out == "" {
			*out = filepath.Join("out", strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))+".html")
		}
		if err := output(*out); err != nil {
			return err
		}
		if strings.EqualFold(filepath.Ext(path), ".ipynb") {
			c.warnStale(path)
			if !hasConverter() {
				c.remark("there is no Jupyter here: the page is written with Go alone, its pictures stand still and formulas are text; make setup installs it")
				return c.plainReport(path, *out, *noInput)
			}
			args := []string{"report", "-o", *out}
			if *noInput {
				args = append(args, "--no-input")
			}
			if err := c.notebookScript(append(args, path)...); err != nil {
				return err
			}
			c.remark("wrote %s", *out)
			return nil
		}
		if err := cut.cfg.Validate(); err != nil {
			return usageError{err}
		}
		g, err := engine.LoadGraph(path)
		if err != nil {
			return err
		}
		d := drawing{cut: cut, theme: "light"}
		small, opts, err := d.view(g)
		if err != nil {
			return err
		}
		if opts.Features, err = c.knownFeatures(*store, small); err != nil {
			return err
		}
		page, err := graphPage(c, path, small, opts)
		if err != nil {
			return err
		}
		return c.write(*out, page)
	}
}

// warnStale says in one line if the outputs of a notebook are not of one run.
func (c *call) warnStale(path string) {
	data, err := os.ReadFile(path)
	if err != nil {
		return // who writes the report says so
	}
	if faults := notebook.Stale(filepath.Base(path), data); len(faults) > 0 {
		c.warn([]string{"the outputs are not of one run: " + faults[0].String()})
	}
}

// graphPage is one graph as a page, with where it comes from.
func graphPage(c *call, path string, g *attribution.Graph, opts viz.GraphOptions) ([]byte, error) {
	p := provenance()
	if data, err := os.ReadFile(path); err == nil {
		sum := sha256.Sum256(data)
		p.GraphSHA256 = hex.EncodeToString(sum[:])
	}
	whole := g
	if opts.Full != nil {
		whole = opts.Full
	}
	if e := whole.Settings.RowIdentity; e >= 0 {
		limit := replacement.RowTolerance(whole.Settings.DType == "f64")
		p.Checks = append(p.Checks, viz.CheckResult{Name: "row identity", Value: e, Limit: limit, Pass: e <= limit})
	}
	p.Command = fmt.Sprintf("clt %s %s", c.verb, viz.ShellWord(filepath.Base(path)))
	return viz.GraphPage(g, viz.PageOptions{Title: opts.Title, Provenance: p, Graph: opts})
}

// provenance is what this program knows about itself.
func provenance() viz.Provenance {
	p := viz.Provenance{Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.NumCPU(), Created: sourceDate()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return p
	}
	p.Tool = strings.TrimSpace(info.Main.Path + " " + info.Main.Version)
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			p.Revision = s.Value
		case "vcs.modified":
			p.Dirty = s.Value == "true"
		}
	}
	return p
}
