package clt

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/etredal/cross-layer-transcoder/internal/safetensors"
)

// lazyDecoders are decoders that stay on the disk: one tensor [features, ...] a
// layer, of which rows are read when asked for.
type lazyDecoders struct {
	files []*safetensors.File
	names []string // of the tensors
	mu    sync.Mutex
	rows  int   // how many were read
	err   error // the first that failed
}

// LoadLazy is Load that leaves the decoders, most of a cross-layer transcoder's
// bytes, on the disk: Decoder reads a feature's row when it is asked for. WDec is
// nil. The files stay open until Close and must not change.
func LoadLazy(dir string) (*Transcoder, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("clt: load %s: %w; is the path right?", dir, err)
	}
	lazy := &lazyDecoders{}
	t, err := load(os.DirFS(dir), lazy)
	if err != nil {
		_ = lazy.close()
		return nil, fmt.Errorf("clt: load %s: %w", dir, err)
	}
	return t, nil
}

// Lazy says whether the decoders are on the disk.
func (t *Transcoder) Lazy() bool { return t.lazy != nil }

// Close closes the files of a transcoder that LoadLazy opened; for others it does
// nothing.
func (t *Transcoder) Close() error {
	if t.lazy == nil {
		return nil
	}
	return t.lazy.close()
}

// Decoder is what a feature of activation 1 writes to each of its targets,
// [targets, d_model]; not to be changed. If a read from the disk fails it is zero
// and Err says why: whoever asks for many rows checks Err once, at the end.
func (t *Transcoder) Decoder(layer, index int) []float32 {
	width := t.Targets(layer) * t.DModel
	if t.lazy == nil {
		return t.WDec[layer][index*width:][:width]
	}
	row, err := t.lazy.row(layer, index)
	if err != nil || len(row) != width {
		return make([]float32, width)
	}
	return row
}

// Err is the first failure of Decoder to read from the disk.
func (t *Transcoder) Err() error {
	if t.lazy == nil {
		return nil
	}
	t.lazy.mu.Lock()
	defer t.lazy.mu.Unlock()
	return t.lazy.err
}

// RowsRead is how many decoder rows were read from the disk.
func (t *Transcoder) RowsRead() int {
	if t.lazy == nil {
		return 0
	}
	t.lazy.mu.Lock()
	defer t.lazy.mu.Unlock()
	return t.lazy.rows
}

func (z *lazyDecoders) row(layer, index int) ([]float32, error) {
	row, err := z.files[layer].Rows(z.names[layer], index, 1)
	for i, v := range row {
		if v-v != 0 && err == nil {
			err = fmt.Errorf("clt: %s holds %g in row %d, at %d; the training that made it diverged", z.names[layer], v, index, i)
		}
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.rows++
	if err != nil && z.err == nil {
		z.err = err
	}
	return row, err
}

func (z *lazyDecoders) close() error {
	var all []error
	for _, f := range z.files {
		all = append(all, f.Close())
	}
	return errors.Join(all...)
}

// values are a tensor's values, from the disk if they are there.
func (t *Transcoder) values(w weight) ([]float32, error) {
	if t.lazy == nil || w.slot != &t.WDec {
		return (*w.slot)[w.layer], nil
	}
	return t.decoders(w.layer)
}

// decoders are all decoders of a layer, [features, targets, d_model].
func (t *Transcoder) decoders(layer int) ([]float32, error) {
	if t.lazy == nil {
		return t.WDec[layer], nil
	}
	v, err := t.lazy.files[layer].Float32(t.lazy.names[layer])
	for i, x := range v {
		if x-x != 0 && err == nil {
			err = fmt.Errorf("clt: %s holds %g at index %d; the training that made it diverged", t.lazy.names[layer], x, i)
		}
	}
	return v, err
}
