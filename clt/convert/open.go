package convert

import (
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// Options says what the files of a transcoder leave open, or say wrongly. The
// zero value takes everything from the files.
type Options struct {
	From       Layout    // "" is Auto
	Read       gpt2.Site // what the encoders read
	Activation string    // activation function: relu or topk
	K          int       // active features per layer and token, with Activation topk
	Model      string    // name of the model under study
	Layers     int       // layers of that model, if a set of per-layer transcoders leaves some out
	Lazy       bool      // leave decoders on the disk where the layout allows; see clt.LoadLazy
}

// Report says how a transcoder was read.
type Report struct {
	Layout  Layout
	Remarks []string // what a person should know before trusting it
}

// reader is a transcoder being read.
type reader struct {
	fs.FS
	opt     Options
	t       *clt.Transcoder
	remarks []string
	faults  *faults
}

// Open reads a transcoder from a folder in any of Layouts.
func Open(dir string, opt Options) (*clt.Transcoder, Report, error) {
	if info, err := os.Stat(dir); err != nil {
		return nil, Report{}, fmt.Errorf("convert: %w; check the path", err)
	} else if !info.IsDir() {
		return nil, Report{}, fmt.Errorf("convert: %s is a file; name the folder that holds the transcoder's files", dir)
	}
	return open(os.DirFS(dir), dir, dir, opt)
}

// OpenFS is Open from a file system, such as an embedded one; name is used in
// errors.
func OpenFS(fsys fs.FS, name string, opt Options) (*clt.Transcoder, Report, error) {
	return open(fsys, "", name, opt)
}

func open(fsys fs.FS, disk, name string, opt Options) (*clt.Transcoder, Report, error) {
	fail := func(err error) (*clt.Transcoder, Report, error) {
		return nil, Report{}, fmt.Errorf("convert: %s: %w", name, err)
	}
	layout := opt.From
	if layout == "" || layout == Auto {
		var err error
		if layout, err = Detect(fsys); err != nil {
			return fail(err)
		}
	}
	t, rep, err := openAs(fsys, disk, opt, layout, nil)
	if err != nil {
		return fail(err)
	}
	return t, rep, nil
}

// openAs reads a known layout; faults, if not nil, takes in all that are found.
func openAs(fsys fs.FS, disk string, opt Options, layout Layout, all *faults) (*clt.Transcoder, Report, error) {
	fail := func(err error) (*clt.Transcoder, Report, error) { return nil, Report{}, err }
	if opt.Read != "" && !slices.Contains(clt.ReadSites(), opt.Read) {
		return fail(fmt.Errorf("the encoders are said to read %q; choose one of %v", opt.Read, clt.ReadSites()))
	}
	r := &reader{FS: fsys, opt: opt, t: &clt.Transcoder{}, faults: all}
	read, ok := map[Layout]func() error{CircuitTracer: nil, Forge: r.forge, Coding: r.coding, Sparsify: r.sparsify, Sweep: r.sweep,
		SAELens: r.saelens, ByteDance: r.byteDance}[layout]
	if !ok {
		return fail(fmt.Errorf("layout %q is not known; choose one of %s", layout, names(Layouts())))
	}
	if layout == CircuitTracer {
		read = func() (err error) { r.t, err = circuitTracer(fsys, disk, opt.Lazy); return err }
	}
	if err := read(); err != nil {
		return fail(fmt.Errorf("read as %s: %w", layout, err))
	}
	if err := r.override(layout); err != nil {
		return fail(err)
	}
	if all != nil && len(all.list) > 0 {
		return fail(nil)
	}
	if layout != CircuitTracer {
		r.t.Info.Source = string(layout)
		if err := r.t.Validate(); err != nil {
			return fail(fmt.Errorf("read as %s: %w", layout, err))
		}
	}
	return r.t, Report{layout, r.remarks}, nil
}

func circuitTracer(fsys fs.FS, disk string, lazy bool) (*clt.Transcoder, error) {
	switch {
	case disk == "":
		return clt.LoadFS(fsys, "the files")
	case lazy:
		return clt.LoadLazy(disk)
	}
	return clt.Load(disk)
}

// override applies what the options say against the files.
func (r *reader) override(layout Layout) error {
	t, o := r.t, r.opt
	if o.Read != "" {
		t.Read = o.Read
	}
	if o.Model != "" {
		t.Model = o.Model
	}
	if o.Activation == "" || layout == Sparsify { // there the reader needs to know
		return nil
	}
	if o.Activation != clt.ActReLU && o.Activation != clt.ActTopK {
		return fmt.Errorf("activation %q cannot be chosen; it can be read as relu, or as topk with k", o.Activation)
	}
	t.Activation, t.K, t.Threshold = o.Activation, 0, nil
	if o.Activation == clt.ActTopK {
		t.K = o.K
	}
	return t.Config.Validate()
}

// remark adds something that a person should know.
func (r *reader) remark(format string, args ...any) {
	r.remarks = append(r.remarks, fmt.Sprintf(format, args...))
}
