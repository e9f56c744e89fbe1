package clt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/etredal/cross-layer-transcoder/internal/atomicfile"
	"github.com/etredal/cross-layer-transcoder/internal/safetensors"
)

// CacheKey says what the activations of a cache are of. A cache serves only a run
// with the same.
type CacheKey struct {
	Format    string `json:"format"`
	Model     string `json:"model_sha256"`     // of the weights
	Tokenizer string `json:"tokenizer_sha256"` // "" for none
	Read      string `json:"input_hook"`       // what encoders read
	Texts     string `json:"texts_sha256"`     // of the texts, or the name of what has none
	Seed      uint64 `json:"order_seed"`       // of the order of the windows
	Windows   int    `json:"windows"`          // of a step
	Window    int    `json:"window"`           // tokens of a window, position 0 included
	Layers    int    `json:"layers"`
	DModel    int    `json:"d_model"`
	DType     string `json:"dtype"` // float32, bfloat16 or int8
}

const (
	cacheFormat = "clt-activations/1"
	cacheFile   = "cache.json"
)

// Types in which a cache stores activations. Rounding them cost less than a
// hundredth of the error: after 500 steps of 512 tokens on the pocket model the error on exact held-out
// activations was 0.01352, 0.01334 and 0.01345 of the variance from float32, bfloat16
// and int8 for batchtopk, 0.00952, 0.00952 and 0.00961 for jumprelu (one run each).
const (
	CacheFloat32  = "float32"  // exact
	CacheBFloat16 = "bfloat16" // half the size; relative error at most 2⁻⁹
	CacheInt8     = "int8"     // a quarter; each token of each layer has a scale, error at most 1/254 of its largest value
)

// CacheDTypes lists them.
func CacheDTypes() []string { return []string{CacheFloat32, CacheBFloat16, CacheInt8} }

// Cache keeps activations in a folder: cache.json with the key, and one safetensors
// file a step, written whole or not at all, with a checksum. A step that is missing
// or damaged is computed when it is needed, so that a cache that was being written
// when its process was killed simply goes on.
//
// What a step gives is always what the file holds, also when it was just computed:
// a run that is interrupted and resumed sees the same numbers.
type Cache struct {
	dir  string
	key  CacheKey
	from Steps
	flow *Flow

	// Damaged, if set, is told of every file that is thrown away.
	Damaged func(file string, why error)
}

// StepBytes is the size of a step's file, but for its header.
func (k CacheKey) StepBytes(tokens int) int64 {
	per := map[string]int{CacheFloat32: 4 * k.DModel, CacheBFloat16: 2 * k.DModel, CacheInt8: k.DModel + 4}[k.DType]
	return 2 * int64(k.Layers) * int64(tokens) * int64(per)
}

// OpenCache opens a folder, or makes it, for activations that steps would compute.
// flow may be nil.
func OpenCache(dir string, key CacheKey, from Steps, flow *Flow) (*Cache, error) {
	key.Format = cacheFormat
	if key.StepBytes(1) == 0 {
		return nil, fmt.Errorf("clt: cache: dtype is %q, must be one of %s", key.DType, strings.Join(CacheDTypes(), ", "))
	}
	path := filepath.Join(dir, cacheFile)
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
			return nil, fmt.Errorf("clt: cache: %s holds other files; give a folder of its own", dir)
		}
		if data, err = json.MarshalIndent(key, "", "  "); err == nil {
			err = atomicfile.Write(path, append(data, '\n'))
		}
		if err != nil {
			return nil, fmt.Errorf("clt: cache: %w", err)
		}
	case err != nil:
		return nil, fmt.Errorf("clt: cache: %w", err)
	default:
		var old CacheKey
		if err := strictJSON(data, cacheFile, &old); err != nil {
			return nil, fmt.Errorf("%w; or give another folder than %s", err, dir)
		}
		if err := old.same(key); err != nil {
			return nil, fmt.Errorf("clt: the cache in %s %w; give another folder, or remove this one", dir, err)
		}
	}
	return &Cache{dir: dir, key: key, from: from, flow: flow}, nil
}

// same names the first field that differs.
func (k CacheKey) same(want CacheKey) error {
	for _, f := range []struct {
		name     string
		has, say any
	}{
		{"format", k.Format, want.Format}, {"model", k.Model, want.Model}, {"tokenizer", k.Tokenizer, want.Tokenizer},
		{"read point", k.Read, want.Read}, {"texts", k.Texts, want.Texts}, {"order seed", k.Seed, want.Seed},
		{"windows of a step", k.Windows, want.Windows}, {"window", k.Window, want.Window}, {"layers", k.Layers, want.Layers},
		{"d_model", k.DModel, want.DModel}, {"dtype", k.DType, want.DType},
	} {
		if f.has != f.say {
			return fmt.Errorf("is of another run: its %s is %v, this run has %v", f.name, f.has, f.say)
		}
	}
	return nil
}

// Fits refuses a cache of so many steps that is larger than the budget, in bytes.
func (c *Cache) Fits(steps int, budget int64) error {
	need := int64(steps) * c.key.StepBytes(c.from.Tokens)
	if steps <= 0 {
		return fmt.Errorf("clt: cache: the data has no end; say how many tokens the run goes round")
	}
	if need <= budget {
		return nil
	}
	cures := []string{fmt.Sprintf("give it %s", sizeText(need)), "go round fewer tokens"}
	for _, dtype := range CacheDTypes() {
		k := c.key
		if k.DType = dtype; k.StepBytes(c.from.Tokens) < c.key.StepBytes(c.from.Tokens) {
			cures = append(cures, fmt.Sprintf("store %s, which takes %s", dtype, sizeText(int64(steps)*k.StepBytes(c.from.Tokens))))
		}
	}
	return fmt.Errorf("clt: the cache needs %s for %d tokens in %s, its budget is %s; %s", sizeText(need), steps*c.from.Tokens, c.key.DType,
		sizeText(budget), strings.Join(cures, ", or "))
}

// Missing is how many bytes of the first so many steps are not there yet.
func (c *Cache) Missing(steps int) int64 {
	missing := 0
	for step := range steps {
		if _, err := os.Stat(c.path(step)); err != nil {
			missing++
		}
	}
	return int64(missing) * c.key.StepBytes(c.from.Tokens)
}

func sizeText(n int64) string {
	if n < 1<<30 {
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
}

func (c *Cache) path(step int) string {
	return filepath.Join(c.dir, fmt.Sprintf("step-%08d.safetensors", step))
}

// Steps gives activations from the cache, and computes and keeps what is missing.
func (c *Cache) Steps() Steps {
	s := c.from
	s.Step = c.step
	return s
}

func (c *Cache) step(ctx context.Context, step int) (Batch, error) {
	b, err := c.read(step)
	if err == nil {
		if c.flow != nil {
			c.flow.cached.Add(int64(c.from.Tokens))
		}
		return b, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		if c.Damaged != nil {
			c.Damaged(filepath.Base(c.path(step)), err)
		}
	}
	if b, err = c.from.Step(ctx, step); err != nil {
		return Batch{}, err
	}
	if err := b.check(Config{Layers: c.key.Layers, DModel: c.key.DModel}); err != nil {
		return Batch{}, err
	}
	return c.write(step, b)
}

// write keeps a step and returns it as it will be read.
func (c *Cache) write(step int, b Batch) (Batch, error) {
	c.clearStale()
	var list []safetensors.Tensor
	for l := range b.In {
		for _, part := range []struct {
			name   string
			values *[]float32
		}{{"in", &b.In[l]}, {"out", &b.Out[l]}} {
			tensors, stored, err := packActivations(fmt.Sprintf("%s.%d", part.name, l), *part.values, c.key)
			if err != nil {
				return Batch{}, fmt.Errorf("clt: cache: step %d, layer %d: %w", step, l, err)
			}
			list, *part.values = append(list, tensors...), stored
		}
	}
	meta := map[string]string{"format": cacheFormat, "crc32c": checksum(list)}
	if err := safetensors.WriteFile(c.path(step), meta, list...); err != nil {
		return Batch{}, fmt.Errorf("clt: cache: %w", err)
	}
	return b, nil
}

// clearStale removes what killed writers left; another process may be writing now.
func (c *Cache) clearStale() {
	list, _ := filepath.Glob(filepath.Join(c.dir, ".step-*.tmp"))
	for _, f := range list {
		if info, err := os.Stat(f); err == nil && time.Since(info.ModTime()) > 10*time.Minute {
			_ = os.Remove(f)
		}
	}
}

// read reads a step and checks it.
func (c *Cache) read(step int) (Batch, error) {
	if _, err := os.Stat(c.path(step)); err != nil {
		return Batch{}, err
	}
	f, err := safetensors.Open(c.path(step))
	if err != nil {
		return Batch{}, err
	}
	defer f.Close()
	var b Batch
	var list []safetensors.Tensor
	for l := range c.key.Layers {
		for _, part := range []struct {
			name string
			to   *[][]float32
		}{{"in", &b.In}, {"out", &b.Out}} {
			tensors, values, err := unpackActivations(f, fmt.Sprintf("%s.%d", part.name, l), c.key, c.from.Tokens)
			if err != nil {
				return Batch{}, err
			}
			list, *part.to = append(list, tensors...), append(*part.to, values)
		}
	}
	if has, want := checksum(list), f.Metadata()["crc32c"]; has != want {
		return Batch{}, fmt.Errorf("its checksum is %s, should be %s", has, want)
	}
	return b, nil
}
