package convert

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/etredal/cross-layer-transcoder/internal/safetensors"
)

// maxConfig is the longest config file that is read, in bytes.
const maxConfig = 64 << 20

// readJSON reads a JSON file into dst, passing over members that dst has not.
func readJSON(fsys fs.FS, name string, dst any) error {
	f, err := fsys.Open(name)
	if err != nil {
		return fmt.Errorf("%w; is the copy whole?", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if len(data) > maxConfig {
		return fmt.Errorf("%s is longer than %d MiB; is it the config?", name, maxConfig>>20)
	}
	if err := json.Unmarshal(data, dst); err != nil {
		return fmt.Errorf("%s: %w; is the file whole?", name, err)
	}
	return nil
}

// bundle is an open file of tensors that knows which were used.
type bundle struct {
	*safetensors.File
	name   string
	used   map[string]bool
	faults *faults // where faults go when all are wanted; nil otherwise
}

func (r *reader) open(name string) (*bundle, error) {
	f, err := safetensors.OpenFS(r.FS, name)
	if err != nil {
		return nil, err
	}
	return &bundle{f, name, map[string]bool{}, r.faults}, nil
}

// has says whether there is such a tensor.
func (b *bundle) has(name string) bool {
	_, ok := b.Info(name)
	return ok
}

// shape is the shape of a tensor, which must have that many axes.
func (b *bundle) shape(name string, axes int) ([]int, error) {
	info, ok := b.Info(name)
	if !ok {
		return nil, fmt.Errorf("%s: tensor %q is missing; the file has %v", b.name, name, head(b.Names(), 8))
	}
	if len(info.Shape) != axes || slices.Contains(info.Shape, 0) {
		return nil, fmt.Errorf("%s: %q has shape %v, should have %d axes, none empty", b.name, name, info.Shape, axes)
	}
	return info.Shape, nil
}

// get reads a tensor that must have the shape.
func (b *bundle) get(name string, shape ...int) ([]float32, error) {
	b.used[name] = true
	if err := b.check(name, shape); err != nil {
		return b.faults.instead(err, shape)
	}
	v, err := b.Float32(name)
	b.faults.finite(b.name, name, v)
	return v, err
}

func (b *bundle) check(name string, shape []int) error {
	info, ok := b.Info(name)
	if !ok {
		return fmt.Errorf("%s: tensor %q is missing; the file has %v", b.name, name, head(b.Names(), 8))
	}
	if !slices.Equal(info.Shape, shape) {
		return fmt.Errorf("%s: %q has shape %v, should be %v; are the files from one transcoder?", b.name, name, info.Shape, shape)
	}
	return nil
}

// optional reads a tensor if there is one of that name; nil if not.
func (b *bundle) optional(name string, shape ...int) ([]float32, error) {
	if !b.has(name) {
		return nil, nil
	}
	return b.get(name, shape...)
}

// part reads the i-th of the blocks that a tensor's first axis has.
func (b *bundle) part(name string, i int, shape ...int) ([]float32, error) {
	b.used[name] = true
	if err := b.check(name, shape); err != nil {
		return b.faults.instead(err, shape[1:])
	}
	v, err := b.Rows(name, i, 1)
	b.faults.finite(b.name, name, v)
	return v, err
}

// ignore marks tensors that say nothing about the transcoder.
func (b *bundle) ignore(names ...string) {
	for _, n := range names {
		b.used[n] = true
	}
}

// done closes the file; a tensor that nothing read is an error, because it would
// change the result elsewhere.
func (b *bundle) done() error {
	defer b.Close()
	for _, n := range b.Names() {
		if b.used[n] {
			continue
		}
		if err := b.faults.note(fmt.Errorf("%s: tensor %q is not known for this layout; the transcoder does something that cannot be read", b.name, n)); err != nil {
			return err
		}
	}
	return nil
}
