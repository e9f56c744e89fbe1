package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/clt/convert"
	"github.com/etredal/cross-layer-transcoder/internal/engine"
	"github.com/etredal/cross-layer-transcoder/internal/notebook"
)

// verdict is one checked file, as JSON.
type verdict struct {
	Path   string   `json:"path"`
	Kind   string   `json:"kind"`
	OK     bool     `json:"ok"`
	Faults []string `json:"faults"`
}

func validateVerb(f *flag.FlagSet) func(c *call) error {
	asJSON := f.Bool("json", false, "a list with the faults of each file")
	return func(c *call) error {
		if len(c.args) == 0 {
			return badCall("nothing to check; name graph files, transcoder folders or notebooks")
		}
		var all []verdict
		count := 0
		for _, path := range c.args {
			v, err := validate(path)
			if err != nil {
				return err
			}
			all = append(all, v)
			count += len(v.Faults)
		}
		if *asJSON {
			if err := c.json(all); err != nil {
				return err
			}
			return faultsError(count)
		}
		for _, v := range all {
			if v.OK {
				c.printf("%s: ok, %s\n", v.Path, v.Kind)
			}
			for _, fault := range v.Faults {
				c.printf("%s: %s\n", v.Path, fault)
			}
		}
		return faultsError(count)
	}
}

func faultsError(n int) error {
	switch n {
	case 0:
		return nil
	case 1:
		return errors.New("1 fault; correct it")
	}
	return fmt.Errorf("%d faults; correct them", n)
}

// validate checks a file by what it is.
func validate(path string) (verdict, error) {
	info, err := os.Stat(path)
	if err != nil {
		return verdict{}, badCall("%w; check the path", err)
	}
	v := verdict{Path: path, Faults: []string{}}
	fault := func(err error) {
		if err != nil {
			v.Faults = append(v.Faults, strings.ReplaceAll(err.Error(), "\n", " "))
		}
	}
	switch ext := strings.ToLower(filepath.Ext(path)); {
	case info.IsDir():
		var faults []error
		v.Kind, faults = validateTranscoder(path)
		for _, err := range faults {
			fault(err)
		}
	case ext == ".ipynb":
		v.Kind = "notebook"
		data, err := os.ReadFile(path)
		if err != nil {
			return v, err
		}
		for _, x := range notebook.Check(filepath.Base(path), data) {
			v.Faults = append(v.Faults, x.String())
		}
	case ext == ".json":
		v.Kind = "graph"
		data, err := os.ReadFile(path)
		if err != nil {
			return v, err
		}
		for _, err := range attribution.ValidateJSON(data) {
			fault(err)
		}
		if len(v.Faults) == 0 {
			fault(validateGraph(path))
		}
	case ext == ".safetensors":
		v.Kind = "graph"
		fault(validateGraph(path))
	default:
		return v, badCall("%s is neither a graph (.json, .safetensors) nor a notebook nor a folder; name one of these", path)
	}
	v.OK = len(v.Faults) == 0
	return v, nil
}

func validateGraph(path string) error {
	g, err := engine.LoadGraph(path)
	if err != nil {
		return err
	}
	return g.Validate()
}

// validateTranscoder says all that is wrong with a folder in any layout.
func validateTranscoder(dir string) (kind string, faults []error) {
	layout, err := convert.Detect(os.DirFS(dir))
	if err != nil {
		return "transcoder", []error{err}
	}
	if kind = "transcoder"; layout != convert.CircuitTracer {
		kind += " of the layout " + string(layout)
	}
	return kind, convert.Check(os.DirFS(dir), layout)
}
