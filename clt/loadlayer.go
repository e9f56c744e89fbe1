package clt

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/etredal/cross-layer-transcoder/internal/safetensors"
	"github.com/etredal/cross-layer-transcoder/internal/vec"
)

// readLayer reads one layer's files; see readLayerFaults.
func (t *Transcoder) readLayer(dir fs.FS, l int) error {
	if faults := t.readLayerFaults(dir, l); len(faults) > 0 {
		return faults[0]
	}
	return nil
}

// readLayerFaults reads one layer's files and says all that is wrong with them.
// Layer 0 fixes the dimensions and which of the optional tensors there are.
func (t *Transcoder) readLayerFaults(dir fs.FS, l int) (faults []error) {
	names := []string{fmt.Sprintf("W_enc_%d.safetensors", l), fmt.Sprintf("W_dec_%d.safetensors", l)}
	if t.PerLayer {
		names = []string{fmt.Sprintf("layer_%d.safetensors", l)}
	}
	r := layerReader{t: t, layer: l, used: map[string]bool{}}
	for _, n := range names {
		f, err := safetensors.OpenFS(dir, n)
		if err != nil {
			return []error{err}
		}
		defer f.Close()
		r.files = append(r.files, f)
	}
	if t.lazy != nil { // a handle of its own, which stays open
		f, err := safetensors.OpenFS(dir, names[len(names)-1])
		if err != nil {
			return []error{err}
		}
		t.lazy.files, t.lazy.names = append(t.lazy.files, f), append(t.lazy.names, r.name("W_dec"))
	}
	r.read()
	for _, err := range r.faults {
		faults = append(faults, fmt.Errorf("%s: %w", strings.Join(names, ", "), err))
	}
	return faults
}

// layerReader reads the tensors of one layer under the names of its layout.
type layerReader struct {
	t     *Transcoder
	layer int
	files []*safetensors.File // the encoder's, then the decoder's if that is another
	used  map[string]bool

	faults []error
}

func (r *layerReader) name(base string) string {
	switch {
	case !r.t.PerLayer:
		return fmt.Sprintf("%s_%d", base, r.layer)
	case base == "threshold":
		return "activation_function.threshold"
	}
	return base
}

// has says whether the layer has the tensor.
func (r *layerReader) has(base string) bool {
	_, ok := r.files[0].Info(r.name(base))
	return ok
}

func (r *layerReader) fault(err error) { r.faults = append(r.faults, err) }

func (r *layerReader) read() {
	t, l := r.t, r.layer
	if l == 0 {
		info, ok := r.files[0].Info(r.name("W_enc"))
		if !ok || len(info.Shape) != 2 {
			r.fault(fmt.Errorf("%s must be a matrix [features, d_model], found shape %v", r.name("W_enc"), info.Shape))
			return
		}
		t.Features, t.DModel = info.Shape[0], info.Shape[1]
		t.Skip = r.has("W_skip")
	} else if r.has("threshold") != (t.Threshold != nil) {
		r.fault(fmt.Errorf("layer 0 has a threshold: %t, layer %d: %t; is the copy whole?", t.Threshold != nil, l, r.has("threshold")))
	}
	n, d := t.Features, t.DModel
	decoder := []int{n, t.Targets(l), d}
	if t.PerLayer {
		decoder = []int{n, d}
	}
	list := []struct {
		base  string
		dst   *[][]float32
		shape []int
	}{{"W_enc", &t.WEnc, []int{n, d}}, {"b_enc", &t.BEnc, []int{n}}, {"W_dec", &t.WDec, decoder}, {"b_dec", &t.BDec, []int{d}},
		{"threshold", &t.Threshold, []int{n}}, {"W_skip", &t.WSkip, []int{d, d}}}
	for _, x := range list {
		if x.base == "threshold" && !r.has(x.base) || x.base == "W_skip" && !t.Skip {
			continue
		}
		v, err := r.tensor(x.base, x.shape)
		if err != nil {
			r.fault(err)
		}
		if v == nil {
			continue
		}
		if x.base == "W_skip" && t.PerLayer {
			v = vec.Transposed(v, d, d) // circuit-tracer's per-layer skip is x·Wᵀ
		}
		*x.dst = append(*x.dst, v)
	}
	r.leftOver()
}

// tensor reads one tensor and checks its shape; nil for decoders that stay on the
// disk.
func (r *layerReader) tensor(base string, shape []int) ([]float32, error) {
	t, name := r.t, r.name(base)
	f := r.files[0]
	if base == "W_dec" {
		f = r.files[len(r.files)-1]
	}
	info, ok := f.Info(name)
	if !ok {
		return nil, fmt.Errorf("tensor %s is missing; the file has %v", name, f.Names())
	}
	r.used[name] = true
	if !slices.Equal(info.Shape, shape) {
		return nil, fmt.Errorf("%s is %v, should be %v; are the layers from one transcoder?", name, info.Shape, shape)
	}
	if base == "W_dec" && t.lazy != nil {
		return nil, nil
	}
	return f.Float32(name)
}

// leftOver refuses tensors that nothing reads: they would change the result
// elsewhere.
func (r *layerReader) leftOver() {
	for _, f := range r.files {
		for _, n := range f.Names() {
			if !r.used[n] {
				r.fault(fmt.Errorf("tensor %s is not known for this layout", n))
			}
		}
	}
}
