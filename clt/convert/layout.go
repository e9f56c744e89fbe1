package convert

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"sort"
	"strings"
)

// Layout names a project's way to lay out a transcoder in files.
type Layout string

// The layouts that Open reads.
const (
	Auto          Layout = "auto"
	CircuitTracer Layout = "circuit-tracer"
	Forge         Layout = "clt-forge"
	Coding        Layout = "crosslayer-coding"
	Sparsify      Layout = "sparsify"
	Sweep         Layout = "gpt2-sweep"
	SAELens       Layout = "saelens"
	ByteDance     Layout = "bytedance"
)

// Layouts lists what -from may be, Auto first.
func Layouts() []Layout {
	return []Layout{Auto, CircuitTracer, Forge, Coding, Sparsify, Sweep, SAELens, ByteDance}
}

// evidence is what a folder holds that a layout would.
type evidence struct {
	layout Layout
	file   string
}

// hookFolder is the name of a layer's folder in the layout of sparsify.
var hookFolder = regexp.MustCompile(`^(?:transformer\.|model\.)?(?:h|layers|blocks)\.(\d{1,4})\.mlp$`)

// maxDepth is how deep below the folder SAELens keeps the folders of layers.
const maxDepth = 3

// Detect finds the layout of a folder from the names of its files. The error says
// what was found if that is no layout, or more than one.
func Detect(fsys fs.FS) (Layout, error) {
	found, pickles, err := look(fsys)
	if err != nil {
		return "", err
	}
	layouts := map[Layout]string{}
	for _, e := range found {
		if _, seen := layouts[e.layout]; !seen {
			layouts[e.layout] = e.file
		}
	}
	switch {
	case len(layouts) == 1:
		return found[0].layout, nil
	case len(layouts) > 1:
		var list []string
		for l, file := range layouts {
			list = append(list, fmt.Sprintf("%s (%s)", l, file))
		}
		sort.Strings(list)
		return "", fmt.Errorf("files of %s are there; say which with -from, or keep one transcoder per folder", strings.Join(list, " and of "))
	case len(pickles) > 0:
		return "", fmt.Errorf("the weights are in %s: a pickle can run code when it is read, so it is not; where you trust it, turn it into safetensors, in that folder: %s", strings.Join(head(pickles, 3), ", "), unpickle(path.Ext(pickles[0])))
	}
	return "", fmt.Errorf("no transcoder of a known layout (%s): %s; name the folder that holds its files", names(Layouts()[1:]), contents(fsys))
}

// look lists evidence for layouts, in the order of Layouts, and pickles.
func look(fsys fs.FS) (found []evidence, pickles []string, err error) {
	has := func(name string) bool { _, err := fs.Stat(fsys, name); return err == nil }
	add := func(l Layout, file string) { found = append(found, evidence{l, file}) }
	cfg, hasCfg := map[string]any{}, has("cfg.json")
	if hasCfg {
		if err := readJSON(fsys, "cfg.json", &cfg); err != nil {
			return nil, nil, err
		}
	}
	numbered := func(name string) bool {
		return has(name+"_0.safetensors") || len(glob(fsys, name+"_*.safetensors")) > 0
	}
	yaml, json := has("config.yaml"), has("config.json")
	if (numbered("W_enc") || numbered("W_dec")) && (yaml || !json) {
		add(CircuitTracer, "W_enc_0.safetensors")
	}
	if numbered("layer") && yaml {
		add(CircuitTracer, "layer_0.safetensors")
	}
	for _, f := range []string{"clt_weights.safetensors", "rank0_clt_weights.safetensors"} {
		if has(f) {
			add(Forge, f)
		}
	}
	if _, ok := cfg["num_features"]; ok {
		add(Coding, "cfg.json")
	}
	if numbered("encoder_layer") || numbered("decoder_layer") {
		add(Sweep, "encoder_layer_0.safetensors")
	}
	if numbered("layer") && !yaml {
		add(Sweep, "layer_0.safetensors without config.yaml")
	}
	if numbered("W_enc") && json && !yaml {
		add(ByteDance, "W_enc_0.safetensors with config.json")
	}
	err = fs.WalkDir(fsys, ".", func(p string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && p != "." && (strings.Count(p, "/") >= maxDepth || strings.HasPrefix(e.Name(), ".")):
			return fs.SkipDir
		case e.Name() == "sae_weights.safetensors":
			add(SAELens, p)
		case e.Name() == "sae.safetensors" && hookFolder.MatchString(path.Base(path.Dir(p))):
			add(Sparsify, p)
		}
		switch path.Ext(p) {
		case ".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt":
			pickles = append(pickles, p)
		}
		return nil
	})
	return found, pickles, err
}

// unpickle is the command that turns all files of an ending below a folder into
// safetensors. It holds no name of a file, which could be read as a command.
func unpickle(ext string) string {
	return `python3 -c "import pathlib, torch, safetensors.torch as s; [s.save_file({k: v.contiguous() for k, v in torch.load(p, map_location='cpu', weights_only=True).items()}, ` +
		`p.with_suffix('.safetensors')) for p in pathlib.Path('.').rglob('*` + ext + `')]"`
}

func glob(fsys fs.FS, pattern string) []string {
	list, _ := fs.Glob(fsys, pattern) // the pattern is ours and valid
	return list
}

// contents says what is in a folder.
func contents(fsys fs.FS) string {
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return err.Error()
	}
	if len(entries) == 0 {
		return "the folder is empty"
	}
	var list []string
	for _, e := range entries {
		list = append(list, fmt.Sprintf("%q", e.Name()))
	}
	return "there is " + strings.Join(head(list, 6), ", ")
}

// head is the first n of a list, and how many more there are.
func head(list []string, n int) []string {
	if len(list) <= n {
		return list
	}
	return append(append([]string{}, list[:n]...), fmt.Sprintf("and %d more", len(list)-n))
}

func names(list []Layout) string {
	var s []string
	for _, l := range list {
		s = append(s, string(l))
	}
	return strings.Join(s, ", ")
}
