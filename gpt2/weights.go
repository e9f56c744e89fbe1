package gpt2

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/etredal/cross-layer-transcoder/internal/safetensors"
	"github.com/etredal/cross-layer-transcoder/internal/strictjson"
)

// Params are the weights of a model by checkpoint name, without the
// "transformer." prefix.
type Params map[string]Array

// WeightShapes lists every tensor that a model of that configuration has.
func WeightShapes(c Config) map[string][]int {
	d := c.DModel
	shapes := map[string][]int{
		"wte.weight": {c.DVocab, d}, "wpe.weight": {c.Context, d},
		"ln_f.weight": {d}, "ln_f.bias": {d},
	}
	for l := range c.Layers {
		for name, shape := range map[string][]int{
			"ln_1.weight": {d}, "ln_1.bias": {d}, "ln_2.weight": {d}, "ln_2.bias": {d},
			"attn.c_attn.weight": {d, 3 * d}, "attn.c_attn.bias": {3 * d},
			"attn.c_proj.weight": {d, d}, "attn.c_proj.bias": {d},
			"mlp.c_fc.weight": {d, c.DMLP}, "mlp.c_fc.bias": {c.DMLP},
			"mlp.c_proj.weight": {c.DMLP, d}, "mlp.c_proj.bias": {d},
		} {
			shapes[fmt.Sprintf("h.%d.%s", l, name)] = shape
		}
	}
	if !c.TieEmbeddings {
		shapes["lm_head.weight"] = []int{c.DVocab, d}
	}
	return shapes
}

// Check holds the weights against the configuration: all names present, all
// shapes equal, all values finite, none left over.
func (p Params) Check(c Config) error {
	want := WeightShapes(c)
	for _, name := range sortedNames(want) {
		a, ok := p[name]
		if !ok {
			return fmt.Errorf("gpt2: tensor %s is missing; is config.json from another model?", name)
		}
		if !equalShape(a.Shape, want[name]) {
			return fmt.Errorf("gpt2: %s is %v, config wants %v; is config.json from another model, or the tensor transposed?", name, a.Shape, want[name])
		}
		if i := a.firstNonFinite(); i >= 0 {
			return nonFinite(name, a, i)
		}
	}
	for name := range p {
		if _, ok := want[name]; !ok {
			return fmt.Errorf("gpt2: tensor %s %v belongs to no GPT-2 of this configuration; is config.json from another model?", name, p[name].Shape)
		}
	}
	return nil
}

// InitParams draws the weights of an untrained model: N(0, std) with std 0.02 for
// the embeddings, width-scaled for the matrices that read the residual stream,
// and 1/sqrt(2·layers) smaller for those that write to it, as GPT-2 does. The
// same seed gives the same weights.
func InitParams(c Config, seed uint64) Params {
	p := Params{}
	for name, shape := range WeightShapes(c) {
		p[name] = initParam(c, name, shape, seed)
	}
	return p
}

// initParam is one tensor of InitParams; each has a generator of its own.
func initParam(c Config, name string, shape []int, seed uint64) Array {
	a := NewArray(shape, false)
	std := 0.0
	switch {
	case strings.HasSuffix(name, "c_attn.weight"), strings.HasSuffix(name, "c_fc.weight"):
		std = 0.02 * math.Sqrt(768/float64(c.DModel))
	case strings.HasSuffix(name, "c_proj.weight"):
		std = 0.02 * math.Sqrt(768/float64(c.DModel)) / math.Sqrt(2*float64(c.Layers))
	case name == "wte.weight", name == "wpe.weight", name == "lm_head.weight":
		std = 0.02
	}
	if std > 0 {
		r := rand.New(rand.NewPCG(seed, hashName(name)))
		for i := range a.F32 {
			a.F32[i] = float32(r.NormFloat64() * std)
		}
	} else if strings.Contains(name, "ln_") && strings.HasSuffix(name, ".weight") {
		for i := range a.F32 {
			a.F32[i] = 1
		}
	}
	return a
}

func hashName(s string) uint64 {
	h := sha256.Sum256([]byte(s))
	var v uint64
	for _, b := range h[:8] {
		v = v<<8 | uint64(b)
	}
	return v
}

// checkpoint is the open weight files of one directory.
type checkpoint struct {
	files map[string]*safetensors.File // tensor name as stored -> file
	open  []*safetensors.File
	dir   string
	names []string // of the files, in order
}

// place names a file for people, with its folder: the only one, the index of several,
// or the one that holds a tensor.
func (c *checkpoint) place(stored string) string {
	path := filepath.Join(c.dir, "model.safetensors.index.json")
	if f := c.files[stored]; f != nil {
		path = f.Name()
	} else if len(c.open) == 1 {
		path = c.open[0].Name()
	}
	return filepath.Join(filepath.Base(filepath.Dir(path)), filepath.Base(path))
}

func (c *checkpoint) Close() {
	for _, f := range c.open {
		_ = f.Close()
	}
}

// openCheckpoint opens model.safetensors, or the shards of its index.
func openCheckpoint(dir string) (*checkpoint, error) {
	single := filepath.Join(dir, "model.safetensors")
	paths := []string{single}
	index := filepath.Join(dir, "model.safetensors.index.json")
	if _, err := os.Stat(single); os.IsNotExist(err) {
		data, err := os.ReadFile(index)
		if err != nil {
			return nil, fmt.Errorf("gpt2: load %s: neither model.safetensors nor model.safetensors.index.json; %s", filepath.Base(dir), noWeights(dir))
		}
		var idx struct {
			WeightMap map[string]string `json:"weight_map"`
		}
		if err := strictjson.Unmarshal(data, 2, &idx); err != nil {
			return nil, fmt.Errorf("gpt2: load %s: model.safetensors.index.json: %w; fetch it again", filepath.Base(dir), err)
		}
		seen := map[string]bool{}
		paths = nil
		for _, file := range idx.WeightMap {
			if file != filepath.Base(file) || file == "" || file == ".." {
				return nil, fmt.Errorf("gpt2: load %s: the index names %q, which is not a file of this directory; fetch the model again", filepath.Base(dir), file)
			}
			if !seen[file] {
				seen[file] = true
				paths = append(paths, filepath.Join(dir, file))
			}
		}
		if len(paths) == 0 {
			return nil, fmt.Errorf("gpt2: load %s: model.safetensors.index.json has no weight_map that names files; fetch it again", filepath.Base(dir))
		}
		sort.Strings(paths)
	}
	c := &checkpoint{files: map[string]*safetensors.File{}, dir: filepath.Clean(dir)}
	for _, p := range paths {
		if _, err := os.Stat(p); os.IsNotExist(err) {
			c.Close()
			return nil, fmt.Errorf("gpt2: load %s: the index names %s, which is not there; fetch the model again", filepath.Base(dir), filepath.Base(p))
		}
		f, err := safetensors.Open(p)
		if err != nil {
			c.Close()
			return nil, fmt.Errorf("gpt2: load %s: %w", filepath.Base(dir), err)
		}
		c.open, c.names = append(c.open, f), append(c.names, filepath.Base(p))
		for _, n := range f.Names() {
			if other := c.files[n]; other != nil {
				c.Close()
				return nil, fmt.Errorf("gpt2: load %s: tensor %q is in %s and in %s; fetch the model again", filepath.Base(dir), n, filepath.Base(other.Name()), filepath.Base(p))
			}
			c.files[n] = f
		}
	}
	return c, nil
}

// noWeights says what to do about a directory without weights that we read.
func noWeights(dir string) string {
	for _, pattern := range []string{"pytorch_model*.bin", "tf_model*.h5", "flax_model*.msgpack"} {
		if found, _ := filepath.Glob(filepath.Join(dir, pattern)); len(found) > 0 {
			return fmt.Sprintf("it has %s: write it as safetensors with transformers' save_pretrained", filepath.Base(found[0]))
		}
	}
	return "is it a Hugging Face model directory?"
}

// eachParam reads the weights from the open files, in float32 or float64, and
// gives them to use one at a time, the largest first. It takes prefixed and bare
// names, skips the mask buffers of old checkpoints, and a stored head when the
// embeddings are tied. Every name must be there, with its shape and with finite
// values, and none may be left over. The array is the file mapped into memory: it may
// not be changed, and is valid until use returns.
func eachParam(ckpt *checkpoint, c Config, double bool, use func(name string, a Array) error) error {
	want := WeightShapes(c)
	stored, err := ckpt.match(c, want)
	if err != nil {
		return err
	}
	for _, name := range largestFirst(want) {
		as := stored[name]
		take := func(a Array) error {
			a.Shape = append([]int{}, want[name]...)
			if i := a.firstNonFinite(); i >= 0 {
				return fmt.Errorf("%w (in %s)", nonFinite(name, a, i), ckpt.place(as))
			}
			return use(name, a)
		}
		if double {
			err = ckpt.files[as].View64(as, func(v []float64) error { return take(Array{F64: v}) })
		} else {
			err = ckpt.files[as].View(as, func(v []float32) error { return take(Array{F32: v}) })
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// match finds each weight under the name by which it is stored.
func (ckpt *checkpoint) match(c Config, want map[string][]int) (stored map[string]string, err error) {
	stored = map[string]string{}
	for _, as := range sortedNames(ckpt.files) {
		name := strings.TrimPrefix(as, "transformer.")
		if strings.HasSuffix(name, ".attn.bias") || strings.HasSuffix(name, ".attn.masked_bias") || name == "lm_head.weight" && c.TieEmbeddings {
			continue
		}
		info, _ := ckpt.files[as].Info(as)
		shape, ok := want[name]
		switch {
		case !ok:
			return nil, fmt.Errorf("gpt2: tensor %q %v belongs to no GPT-2 of this configuration; is config.json from another model? (in %s)", as, info.Shape, ckpt.place(as))
		case stored[name] != "":
			return nil, fmt.Errorf("gpt2: tensor %s is there twice, as %s and %s; remove one (in %s)", name, stored[name], as, ckpt.place(as))
		case !equalShape(info.Shape, shape):
			hint := "is config.json from another model?"
			if len(shape) == 2 && equalShape(info.Shape, []int{shape[1], shape[0]}) {
				hint = "the tensor is transposed: GPT-2 stores c_attn, c_fc and c_proj as [in, out]"
			}
			return nil, fmt.Errorf("gpt2: %s is %v, config wants %v; %s (in %s)", as, info.Shape, shape, hint, ckpt.place(as))
		}
		stored[name] = as
	}
	for _, name := range sortedNames(want) {
		if stored[name] == "" {
			return nil, fmt.Errorf("gpt2: tensor %s is missing, config wants it as %v; is config.json from another model? (in %s)", name, want[name], ckpt.place(""))
		}
	}
	return stored, nil
}

// largestFirst sorts names by falling size, then by name: while the largest tensor is
// in memory twice, nothing else is.
func largestFirst(shapes map[string][]int) []string {
	names := sortedNames(shapes)
	sort.SliceStable(names, func(i, j int) bool { return elements(shapes[names[i]]) > elements(shapes[names[j]]) })
	return names
}

// elements is the number of values of a shape.
func elements(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

func nonFinite(name string, a Array, i int) error {
	return fmt.Errorf("gpt2: %s has a value that is not finite at index %d of %v; the file is damaged or training diverged", name, i, a.Shape)
}

// tensors returns the weights for writing, with the prefix of Hugging Face.
func (p Params) tensors() []safetensors.Tensor {
	var list []safetensors.Tensor
	for _, name := range sortedNames(p) {
		a := p[name]
		stored := "transformer." + name
		if name == "lm_head.weight" {
			stored = name
		}
		if a.F64 != nil {
			list = append(list, safetensors.F64(stored, a.Shape, a.F64))
		} else {
			list = append(list, safetensors.F32(stored, a.Shape, a.F32))
		}
	}
	return list
}

func sortedNames[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

func equalShape(a, b []int) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func hashBytes(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}
