package convert

import (
	"fmt"
	"math"
	"path"
	"strconv"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/internal/vec"
)

// sparseLayer is the folder of one layer.
type sparseLayer struct {
	dir  string
	cfg  sparseConfig
	b    *bundle
	post []float64 // [targets][features]: factors of the activation by target, 1 without
}

// sparsify reads EleutherAI's sparsify and its fork clt-training. Activations are
// top-k of ReLU; a bias after the encoder shifts those that are on.
func (r *reader) sparsify() error {
	layers, err := r.sparseLayers()
	for _, x := range layers {
		if x.b != nil {
			defer x.b.Close()
		}
	}
	if err != nil {
		return err
	}
	if err := r.sparseConfigure(layers); err != nil {
		return err
	}
	t := r.t
	var dec []*decoders
	for l := range layers {
		dec = append(dec, newDecoders(t.Features, t.Targets(l), t.DModel))
	}
	for l := range layers {
		if err := r.sparseEncoder(layers[l], l); err != nil {
			return err
		}
	}
	for m := range layers {
		if err := r.sparseTarget(layers, dec, m); err != nil {
			return err
		}
	}
	for l := range layers {
		t.WDec = append(t.WDec, dec[l].w)
		layers[l].b.ignore("in_norm", "out_norm")
		for k := t.Layers - l; k < layers[l].cfg.Targets; k++ { // beyond the last layer
			for _, base := range []string{"W_decs", "b_decs", "W_skips", "post_encs", "post_enc_scales"} {
				layers[l].b.ignore(fmt.Sprintf("%s.%d", base, k))
			}
		}
		if err := layers[l].b.done(); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) sparseLayers() ([]*sparseLayer, error) {
	found, _, err := look(r)
	if err != nil {
		return nil, err
	}
	byLayer := map[int]*sparseLayer{}
	for _, e := range found {
		if e.layout != Sparsify {
			continue
		}
		x := &sparseLayer{dir: path.Dir(e.file)}
		l, _ := strconv.Atoi(hookFolder.FindStringSubmatch(path.Base(x.dir))[1])
		if byLayer[l] != nil {
			return nil, fmt.Errorf("%s and %s are both of layer %d; name the folder of one set", byLayer[l].dir, x.dir, l)
		}
		byLayer[l] = x
	}
	n, err := layersOf(byLayer)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, fmt.Errorf("no folder like h.0.mlp has sae.safetensors")
	}
	layers := make([]*sparseLayer, n)
	for l := range layers {
		layers[l] = byLayer[l]
	}
	for _, x := range layers {
		if err := readJSON(r, path.Join(x.dir, "cfg.json"), &x.cfg); err != nil {
			return layers, err
		}
		if x.b, err = r.open(path.Join(x.dir, "sae.safetensors")); err != nil {
			return layers, err
		}
	}
	return layers, nil
}

// norms are the factors that normalize_io puts before the encoder and after the
// decoder.
func (x *sparseLayer) norms(d int) (in, out float64, err error) {
	if !x.cfg.NormalizeIO {
		return 1, 1, nil
	}
	root := math.Sqrt(float64(d))
	one := func(name string) float64 {
		v, e := x.b.get(name, 1)
		if e == nil {
			e = positive(x.b.name+": "+name, wide(v))
		}
		if e != nil {
			if err == nil {
				err = e
			}
			return 1
		}
		return float64(v[0])
	}
	return root / one("in_norm"), one("out_norm") / root, err
}

// sparseEncoder reads one layer's encoder and what comes after it.
func (r *reader) sparseEncoder(x *sparseLayer, l int) error {
	t := r.t
	n, d := t.Features, t.DModel
	w, err := x.b.get("encoder.weight", n, d)
	if err != nil {
		return err
	}
	bias, err := x.b.get("encoder.bias", n)
	if err != nil {
		return err
	}
	in, _, err := x.norms(d)
	if err != nil {
		return err
	}
	scale(w, in)
	if err := r.sparsePost(x, bias, l); err != nil {
		return err
	}
	t.WEnc, t.BEnc = append(t.WEnc, w), append(t.BEnc, bias)
	return nil
}

// sparsePost reads what follows the encoder: a' = (a + p)·s where a > 0, p and s
// by target layer. With one p for all targets that is a JumpReLU with threshold p
// on h + p; s goes into the decoders.
func (r *reader) sparsePost(x *sparseLayer, bias []float32, l int) error {
	t, n := r.t, r.t.Features
	targets := max(1, x.cfg.Targets)
	var shift []float32
	x.post = make([]float64, targets*n)
	for k := range targets {
		name, factor := fmt.Sprintf("post_encs.%d", k), fmt.Sprintf("post_enc_scales.%d", k)
		if x.cfg.Targets == 0 {
			name, factor = "post_enc", "post_enc_scale"
		}
		p, err := x.b.optional(name, n)
		if err != nil {
			return err
		}
		s, err := x.b.optional(factor, n)
		if err != nil {
			return err
		}
		if p == nil {
			p = make([]float32, n)
		}
		if k == 0 {
			shift = p
		}
		for f := range n {
			if p[f] != shift[f] && l+k < t.Layers {
				return fmt.Errorf("%s: %s shifts feature %d by %g, other targets by %g; a feature has one activation in the common form", x.b.name, name, f, p[f], shift[f])
			}
			x.post[k*n+f] = 1
			if x.cfg.PostScale && s != nil {
				x.post[k*n+f] = float64(s[f])
			} else if x.cfg.PostScale && k > 0 {
				x.post[k*n+f] = 0
			}
		}
	}
	if isZero(shift) {
		if t.Threshold != nil {
			t.Threshold = append(t.Threshold, make([]float32, n))
		}
		return nil
	}
	return r.sparseShift(x, bias, shift, l)
}

// sparseShift turns ReLU with a shift into JumpReLU.
func (r *reader) sparseShift(x *sparseLayer, bias, shift []float32, l int) error {
	t := r.t
	if t.Activation == clt.ActTopK {
		return fmt.Errorf("%s: the post-encoder bias shifts the activations that top-k chose before; if k only stands for ReLU, read it with -activation relu", x.b.name)
	}
	if l > 0 && t.Threshold == nil {
		for range l {
			t.Threshold = append(t.Threshold, make([]float32, t.Features))
		}
	}
	t.Activation = clt.ActJumpReLU
	add(bias, shift)
	t.Threshold = append(t.Threshold, shift)
	return nil
}

// sparseTarget reads all that is written to one layer.
func (r *reader) sparseTarget(layers []*sparseLayer, dec []*decoders, m int) error {
	t := r.t
	own := layers[m]
	_, out, err := own.norms(t.DModel)
	if err != nil {
		return err
	}
	b := own.b
	var bias []float32
	live := 0
	for s := 0; s <= m; s++ {
		if layers[s].reaches(m - s) {
			live++
		}
	}
	if own.cfg.byTarget() {
		err = r.sparseByTarget(layers, dec, m, live, out)
		if err == nil {
			bias, err = b.get("b_dec", t.DModel)
		}
	} else {
		bias, err = r.sparseBySource(layers, dec, m, live, out)
	}
	if err != nil {
		return err
	}
	scale(bias, out)
	t.BDec = append(t.BDec, bias)
	return r.sparseSkip(own, m, out)
}

// reaches says whether the features of a layer write to the k-th layer after it.
func (x *sparseLayer) reaches(k int) bool { return k < max(1, x.cfg.Targets) }

// sparseByTarget reads the decoders of all sources from the target's folder: one
// below the other, or one for all.
func (r *reader) sparseByTarget(layers []*sparseLayer, dec []*decoders, m, live int, out float64) error {
	t := r.t
	n, d := t.Features, t.DModel
	b, rows := layers[m].b, live*n
	if layers[m].cfg.Coalesce == "concat" {
		rows = n
	}
	w, err := b.get("W_dec", rows, d)
	if err != nil {
		return err
	}
	i := 0
	for s := 0; s <= m; s++ {
		if !layers[s].reaches(m - s) {
			continue
		}
		part := w[i*n*d:][:n*d]
		if rows > n {
			i++
		}
		dec[s].set(m-s, layers[s].written(part, m-s, out, n, d))
	}
	return nil
}

// written is a [features, d] decoder with all factors folded in.
func (x *sparseLayer) written(w []float32, k int, out float64, n, d int) []float32 {
	m := make([]float32, len(w))
	for f := range n {
		by := out * x.post[min(k, len(x.post)/n-1)*n+f]
		for j, v := range w[f*d:][:d] {
			m[f*d+j] = float32(float64(v) * by)
		}
	}
	return m
}

// sparseBySource reads the decoders from the folders of the sources, and adds up
// their biases.
func (r *reader) sparseBySource(layers []*sparseLayer, dec []*decoders, m, live int, out float64) ([]float32, error) {
	t := r.t
	n, d := t.Features, t.DModel
	bias := make([]float32, d)
	for s := 0; s <= m; s++ {
		x, k := layers[s], m-s
		if !x.reaches(k) {
			continue
		}
		factor := out
		if layers[m].cfg.Divide && s < m {
			factor /= float64(max(1, live-1))
		}
		w, err := x.decoder(k, n, d)
		if err != nil {
			return nil, err
		}
		v, err := x.bias(k, d)
		if err != nil {
			return nil, err
		}
		if w != nil {
			dec[s].set(k, x.written(w, k, factor, n, d))
		}
		scale(v, factor/out)
		add(bias, v)
	}
	return bias, nil
}

// decoder is what a layer's features write to the k-th layer after it; nil for
// nothing.
func (x *sparseLayer) decoder(k, n, d int) ([]float32, error) {
	switch {
	case x.b.has(fmt.Sprintf("W_decs.%d", k)):
		x.b.ignore("W_dec") // the same as W_decs.0
		return x.b.get(fmt.Sprintf("W_decs.%d", k), n, d)
	case x.b.has("W_decs.0") || k > 0 && !x.cfg.SourceTied:
		return nil, nil
	}
	return x.b.get("W_dec", n, d)
}

func (x *sparseLayer) bias(k, d int) ([]float32, error) {
	switch {
	case x.b.has(fmt.Sprintf("b_decs.%d", k)):
		x.b.ignore("b_dec")
		return x.b.get(fmt.Sprintf("b_decs.%d", k), d)
	case k > 0:
		return nil, nil
	}
	return x.b.get("b_dec", d)
}

// sparseSkip reads the skip of a layer, used as x·Wᵀ. A skip to later layers
// cannot be expressed.
func (r *reader) sparseSkip(x *sparseLayer, l int, out float64) error {
	t, d := r.t, r.t.DModel
	for k := 1; k < x.cfg.Targets; k++ {
		name := fmt.Sprintf("W_skips.%d", k)
		w, err := x.b.optional(name, d, d)
		if err != nil {
			return err
		}
		if !isZero(w) && l+k < t.Layers {
			return fmt.Errorf("%s: %s is a skip from layer %d to layer %d, which the common form does not have", x.b.name, name, l, l+k)
		}
	}
	if !t.Skip {
		return nil
	}
	name := "W_skip"
	if x.b.has("W_skips.0") {
		x.b.ignore(name)
		name = "W_skips.0"
	}
	w, err := x.b.get(name, d, d)
	if err != nil {
		return err
	}
	in, _, err := x.norms(d)
	if err != nil {
		return err
	}
	scale(w, in*out)
	t.WSkip = append(t.WSkip, vec.Transposed(w, d, d))
	return nil
}
