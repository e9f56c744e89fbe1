package convert

import (
	"fmt"
	"io/fs"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/internal/vec"
)

// sweep reads the GPT-2 sweep: ReLU transcoders on the residual stream, cross-layer
// with decoders grouped by target, or per layer.
func (r *reader) sweep() error {
	t := r.t
	layers := count(r, "encoder_layer_%d.safetensors")
	if t.PerLayer = layers == 0; t.PerLayer {
		layers = count(r, "layer_%d.safetensors")
	}
	if n := len(glob(r, "encoder_layer_*.safetensors")) + len(glob(r, "layer_*.safetensors")); n != layers {
		return fmt.Errorf("there are files of %d layers, but only layers 0 to %d follow each other; is the copy whole?", n, layers-1)
	}
	if n := len(glob(r, "decoder_layer_*.safetensors")); !t.PerLayer && n != layers {
		return fmt.Errorf("there are %d encoder_layer and %d decoder_layer files; is the copy whole?", layers, n)
	}
	t.Config = clt.Config{Layers: layers, PerLayer: t.PerLayer, Activation: clt.ActReLU, Read: gpt2.ResidMid}
	var dec []*decoders
	for l := range layers {
		enc, out, err := r.sweepFiles(l)
		if err != nil {
			return err
		}
		if l == 0 {
			s, err := enc.shape("W_enc", 2)
			if err != nil {
				return err
			}
			t.Features, t.DModel = s[0], s[1]
			t.Skip = out.has("W_skip")
		}
		dec = append(dec, newDecoders(t.Features, t.Targets(l), t.DModel))
		err = r.sweepLayer(enc, out, dec, l)
		for _, b := range []*bundle{enc, out} {
			if e := b.done(); err == nil {
				err = e
			}
		}
		if err != nil {
			return err
		}
	}
	for _, x := range dec {
		t.WDec = append(t.WDec, x.w)
	}
	return nil
}

func (r *reader) sweepFiles(l int) (enc, out *bundle, err error) {
	if r.t.PerLayer {
		enc, err = r.open(fmt.Sprintf("layer_%d.safetensors", l))
		return enc, enc, err
	}
	if enc, err = r.open(fmt.Sprintf("encoder_layer_%d.safetensors", l)); err != nil {
		return nil, nil, err
	}
	if out, err = r.open(fmt.Sprintf("decoder_layer_%d.safetensors", l)); err != nil {
		_ = enc.Close()
	}
	return enc, out, err
}

// sweepLayer reads one layer's encoder and the decoders that write to it.
func (r *reader) sweepLayer(enc, out *bundle, dec []*decoders, l int) error {
	t := r.t
	n, d := t.Features, t.DModel
	w, err := enc.get("W_enc", n, d)
	if err != nil {
		return err
	}
	bias, err := enc.get("b_enc", n)
	if err != nil {
		return err
	}
	b, err := out.get("b_dec", d)
	if err != nil {
		return err
	}
	t.WEnc, t.BEnc, t.BDec = append(t.WEnc, w), append(t.BEnc, bias), append(t.BDec, b)
	if t.Skip {
		skip, err := out.get("W_skip", d, d)
		if err != nil {
			return err
		}
		t.WSkip = append(t.WSkip, vec.Transposed(skip, d, d))
	}
	if t.PerLayer {
		w, err := r.sweepDecoder(out)
		if err != nil {
			return err
		}
		dec[l].set(0, w)
		return nil
	}
	for s := 0; s <= l; s++ {
		w, err := out.get(fmt.Sprintf("W_dec_from_%d", s), d, n)
		if err != nil {
			return err
		}
		dec[s].set(l-s, vec.Transposed(w, d, n))
	}
	return nil
}

// sweepDecoder reads the decoder of a per-layer file, [d, N] in the sweep and
// [N, d] in files that were turned already.
func (r *reader) sweepDecoder(out *bundle) ([]float32, error) {
	n, d := r.t.Features, r.t.DModel
	if s, err := out.shape("W_dec", 2); err == nil && s[0] == n && n != d {
		return out.get("W_dec", n, d)
	}
	w, err := out.get("W_dec", d, n)
	return vec.Transposed(w, min(d, len(w)), n), err
}

// count is how many files of a pattern with a number there are, from 0 on.
func count(fsys fs.FS, pattern string) int {
	for n := 0; ; n++ {
		if _, err := fs.Stat(fsys, fmt.Sprintf(pattern, n)); err != nil {
			return n
		}
	}
}
