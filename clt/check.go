package clt

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
)

// Check reads a folder in circuit-tracer's layout and says everything that is
// wrong with it, each fault with its place: files, tensors, shapes, values that
// are not finite, clt.json against the rest. It holds one layer at a time.
func Check(fsys fs.FS) (faults []error) {
	fault := func(err error) {
		if err != nil {
			faults = append(faults, err)
		}
	}
	layers, perLayer, err := countLayers(fsys)
	if err != nil {
		return []error{err}
	}
	t := &Transcoder{Config: Config{Layers: layers, PerLayer: perLayer}}
	yaml, err := readYAML(fsys)
	if fault(err); err == nil {
		fault(t.describe(yaml))
	}
	side, err := readSidecar(fsys)
	fault(err)
	theta := false
	for l := range layers {
		layer := &Transcoder{Config: t.Config}
		if theta {
			layer.Threshold = [][]float32{}
		}
		faults = append(faults, layer.readLayerFaults(fsys, l)...)
		if l == 0 {
			t.Config, theta = layer.Config, layer.Threshold != nil
			if t.Features == 0 {
				return faults // nothing is known of the rest
			}
		}
		for _, x := range []struct {
			name   string
			values [][]float32
		}{{"W_enc", layer.WEnc}, {"b_enc", layer.BEnc}, {"threshold", layer.Threshold}, {"W_dec", layer.WDec}, {"b_dec", layer.BDec}, {"W_skip", layer.WSkip}} {
			for _, v := range x.values {
				fault(checkFinite(fmt.Sprintf("layer %d: %s", l, x.name), v))
			}
		}
	}
	if len(faults) > 0 {
		return faults
	}
	if t.Activation == "" {
		t.Activation = map[bool]string{false: ActReLU, true: ActJumpReLU}[theta]
	}
	if side != nil {
		fault(t.adopt(side))
	}
	fault(t.Config.Validate())
	if side != nil && side.Weights != "" {
		if hash, err := HashWeights(fsys); err != nil || hash != side.Weights {
			fault(errors.Join(err, fmt.Errorf("%s: the weights were changed after they were saved: their SHA-256 is %.12s…, recorded is %.12s…", sidecarFile, hash, side.Weights)))
		}
	}
	return faults
}

// checkFinite counts the values that are no numbers.
func checkFinite(name string, v []float32) error {
	bad, at := 0, -1
	for i, x := range v {
		if x-x != 0 {
			if bad++; at < 0 {
				at = i
			}
		}
	}
	switch {
	case bad == 0:
		return nil
	case math.IsNaN(float64(v[at])):
		return fmt.Errorf("%s: %d of %d values are not finite, the first, NaN, at index %d", name, bad, len(v), at)
	}
	return fmt.Errorf("%s: %d of %d values are not finite, the first, %g, at index %d", name, bad, len(v), v[at], at)
}
