package main

import (
	"flag"
	"os"
	"path/filepath"

	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/internal/engine"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// fetched is what fetch -json prints.
type fetched struct {
	Dir        string             `json:"dir"`
	Name       string             `json:"name"`
	Commit     string             `json:"commit"`
	Downloaded int64              `json:"downloaded"` // bytes of this call
	Note       string             `json:"note,omitempty"`
	Files      []gpt2.FetchedFile `json:"files"`
}

func fetchVerb(f *flag.FlagSet) func(c *call) error {
	cfg := gpt2.DefaultFetchConfig()
	f.StringVar(&cfg.Dir, "o", "", "`folder` that is filled (default: where -model finds the name, out/models/NAME in a clone)")
	f.StringVar(&cfg.Endpoint, "endpoint", "", "`URL` of the hub or of a mirror (default: HF_ENDPOINT, or the public hub)")
	f.StringVar(&cfg.Revision, "revision", cfg.Revision, "`branch`, tag or commit")
	f.BoolVar(&cfg.Offline, "offline", false, "ask nobody: check what an earlier call fetched")
	f.BoolVar(&cfg.Dataset, "dataset", false, "the texts of a dataset instead of a model; -texts hub:NAME then reads them")
	f.StringVar(&cfg.Pattern, "files", "", "of a dataset: the files whose name is like this `pattern` (default: the training part)")
	asJSON := f.Bool("json", false, "folder, commit and files as JSON")
	return func(c *call) error {
		if len(c.args) != 1 {
			return badCall("%d names; give the name of one model or transcoder, such as gpt2", len(c.args))
		}
		if cfg.Name = c.args[0]; cfg.Dir == "" {
			if cfg.Dir = fetchDir(cfg.Name); cfg.Dataset {
				cfg.Dir = engine.DatasetDir(cfg.Name, cfg.Revision)
			}
		}
		cfg.Token = os.Getenv("HF_TOKEN")
		if err := cfg.Validate(); err != nil {
			return usageError{err}
		}
		if err := outputDir(cfg.Dir); err != nil {
			return err
		}
		c.saved = "what came is kept; the same call goes on from there"
		show := c.progress()
		got, err := gpt2.Fetch(c.ctx, cfg, func(p gpt2.FetchProgress) {
			if p.Note != "" {
				c.remark("%s", p.Note)
			}
			show(wire.Progress{Phase: "MiB", Done: int(p.Bytes >> 20), Total: int((p.Total + 1<<20 - 1) >> 20), Message: p.File})
		})
		c.bar.clear()
		if err != nil {
			return err
		}
		if got.Note != "" {
			c.remark("%s; the files of an earlier call are whole", got.Note)
		}
		if *asJSON {
			return c.json(fetched{got.Dir, got.Name, got.Commit, got.Downloaded, got.Note, got.Files})
		}
		for _, file := range got.Files {
			c.printf("%s  %12d  %s\n", file.SHA256, file.Size, filepath.Join(got.Dir, filepath.FromSlash(file.Name)))
		}
		return nil
	}
}

// fetchDir is where the engine looks for the name: in the clone, or in the user's cache.
func fetchDir(name string) string {
	name = filepath.FromSlash(name)
	if root := os.Getenv("CLT_ROOT"); root != "" {
		return filepath.Join(root, "out", "models", name)
	}
	_, err := os.Stat("go.mod")
	if cache, cerr := os.UserCacheDir(); err != nil && cerr == nil {
		return filepath.Join(cache, "clt", "models", name)
	}
	return filepath.Join("out", "models", name)
}
