package clt

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"

	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// Load reads a transcoder from a folder in circuit-tracer's layout, with or
// without clt.json (see Save). Every tensor must be there, with the right shape
// and finite values.
func Load(dir string) (*Transcoder, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("clt: load %s: %w; is the path right?", dir, err)
	}
	t, err := load(os.DirFS(dir), nil)
	if err != nil {
		return nil, fmt.Errorf("clt: load %s: %w", dir, err)
	}
	return t, nil
}

// LoadFS is Load from a file system, such as an embedded one; name is used in
// errors.
func LoadFS(fsys fs.FS, name string) (*Transcoder, error) {
	t, err := load(fsys, nil)
	if err != nil {
		return nil, fmt.Errorf("clt: load %s: %w", name, err)
	}
	return t, nil
}

// load reads all tensors, or with lazy leaves the decoders where they are.
func load(dir fs.FS, lazy *lazyDecoders) (*Transcoder, error) {
	layers, perLayer, err := countLayers(dir)
	if err != nil {
		return nil, err
	}
	yaml, err := readYAML(dir)
	if err != nil {
		return nil, err
	}
	t := &Transcoder{Config: Config{Layers: layers, PerLayer: perLayer}, lazy: lazy}
	side, err := readSidecar(dir)
	if err != nil {
		return nil, err
	}
	if err := t.describe(yaml); err != nil {
		return nil, err
	}
	for l := range layers {
		if err := t.readLayer(dir, l); err != nil {
			return nil, err
		}
	}
	if t.Activation == "" {
		t.Activation = ActReLU
		if t.Threshold != nil {
			t.Activation = ActJumpReLU
		}
	}
	if side != nil {
		if err := t.adopt(side); err != nil {
			return nil, err
		}
	}
	return t, t.Validate()
}

// countLayers finds the layout and the number of layers from the file names.
func countLayers(dir fs.FS) (layers int, perLayer bool, err error) {
	count := func(pattern string) int {
		for n := 0; ; n++ {
			if _, err := fs.Stat(dir, fmt.Sprintf(pattern, n)); err != nil {
				return n
			}
		}
	}
	clt, plt := count("W_enc_%d.safetensors"), count("layer_%d.safetensors")
	for _, c := range []struct {
		glob  string
		found int
	}{{"W_enc_*.safetensors", clt}, {"W_dec_*.safetensors", clt}, {"layer_*.safetensors", plt}} {
		if all, _ := fs.Glob(dir, c.glob); len(all) != c.found {
			return 0, false, fmt.Errorf("there are %d files %s but only layers 0 to %d are complete; is the copy whole?", len(all), c.glob, c.found-1)
		}
	}
	switch {
	case clt > 0 && plt > 0:
		return 0, false, fmt.Errorf("both W_enc_0.safetensors and layer_0.safetensors are there; keep one transcoder per folder")
	case clt > 0:
		return clt, false, nil
	case plt > 0:
		return plt, true, nil
	}
	return 0, false, fmt.Errorf("neither W_enc_0.safetensors nor layer_0.safetensors is there; name the folder of a transcoder")
}

func readYAML(dir fs.FS) (flatYAML, error) {
	data, err := fs.ReadFile(dir, yamlFile)
	if err != nil {
		return flatYAML{}, fmt.Errorf("%w; write one with model_name, model_kind, feature_input_hook and feature_output_hook", err)
	}
	y, err := parseYAML(string(data))
	if err != nil {
		return y, fmt.Errorf("%s: %w", yamlFile, err)
	}
	return y, nil
}

func readSidecar(dir fs.FS) (*sidecar, error) {
	data, err := fs.ReadFile(dir, sidecarFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var s sidecar
	if err := strictJSON(data, sidecarFile, &s); err != nil {
		return nil, err
	}
	if s.Format != sidecarForm {
		return nil, fmt.Errorf("%s has format %q, this program reads %q", sidecarFile, s.Format, sidecarForm)
	}
	return &s, nil
}

// describe takes from config.yaml what the tensors do not tell.
func (t *Transcoder) describe(y flatYAML) error {
	kind := map[bool]string{false: "cross_layer_transcoder", true: "transcoder_set"}[t.PerLayer]
	if got := y.scalars["model_kind"]; got != kind {
		return fmt.Errorf("%s: model_kind is %q, but the files are those of a %s", yamlFile, got, kind)
	}
	t.Model = y.scalars["model_name"]
	t.Read = gpt2.Site(y.scalars["feature_input_hook"])
	if !slices.Contains(ReadSites(), t.Read) {
		return fmt.Errorf("%s: feature_input_hook is %q, must be one of %v", yamlFile, t.Read, ReadSites())
	}
	if out := y.scalars["feature_output_hook"]; out != string(gpt2.MLPOut) && out != "mlp.hook_out" {
		return fmt.Errorf("%s: feature_output_hook is %q, only %s is supported", yamlFile, out, gpt2.MLPOut)
	}
	switch a := y.scalars["activation"]; a {
	case "", ActReLU, ActTopK, ActGlobalTopK:
		t.Activation = a
	case "jump_relu", ActJumpReLU:
		t.Activation = ActJumpReLU
	default:
		return fmt.Errorf("%s: activation is %q, must be relu, jump_relu, topk or globaltopk", yamlFile, a)
	}
	if t.Activation == ActTopK || t.Activation == ActGlobalTopK {
		k, err := strconv.Atoi(y.scalars["k"])
		if err != nil {
			return fmt.Errorf("%s: activation %s needs a number k, found %q", yamlFile, t.Activation, y.scalars["k"])
		}
		t.K = k
		t.Signed = t.Activation == ActTopK // that program's TopK applies no ReLU; clt.json tells if ours does
	}
	return nil
}

// adopt checks clt.json against the other files and takes what only it knows.
func (t *Transcoder) adopt(s *sidecar) error {
	want := t.Config
	if s.Config.selects() && t.Activation == ActJumpReLU {
		want.Activation, want.K = s.Config.Activation, s.Config.K
	}
	want.Signed = want.Signed && s.Config.Signed
	if s.Config != want {
		return fmt.Errorf("%s says %+v, but %s and the tensors say %+v; are the files from one save?", sidecarFile, s.Config, yamlFile, want)
	}
	t.Config, t.Info = s.Config, s.Info
	return nil
}
