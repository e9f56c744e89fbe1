package convert

import (
	"fmt"
	"io/fs"
	"math"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// byteDance reads cross-layer transcoders without biases whose k·L active
// features per token are the largest by activation times norm of the decoders,
// over all layers together.
func (r *reader) byteDance() error {
	var cfg struct {
		Features int `json:"d_feature"`
		K        int `json:"k"`
	}
	if err := readJSON(r, "config.json", &cfg); err != nil {
		return err
	}
	if cfg.K <= 0 && r.opt.Activation == "" {
		return fmt.Errorf("config.json: k is %d, must be positive", cfg.K)
	}
	t := r.t
	layers := count(r, "W_enc_%d.safetensors")
	if e, d := len(glob(r, "W_enc_*.safetensors")), len(glob(r, "W_dec_[0-9]*.safetensors")); e != layers || d != layers {
		return fmt.Errorf("there are %d encoder and %d decoder files, but only layers 0 to %d are complete; is the copy whole?", e, d, layers-1)
	}
	t.Config = clt.Config{Layers: layers, Activation: clt.ActGlobalTopK, K: cfg.K, Read: gpt2.ResidMid}
	for l := range layers {
		if err := r.byteDanceLayer(l, cfg.Features); err != nil {
			return err
		}
	}
	if _, err := fs.Stat(r, "factors.safetensors"); err == nil {
		r.remark("factors.safetensors is not applied: what its numbers scale is not part of the layout's description; mind the reconstruction")
	}
	return nil
}

func (r *reader) byteDanceLayer(l, features int) (err error) {
	t := r.t
	enc, err := r.open(fmt.Sprintf("W_enc_%d.safetensors", l))
	if err != nil {
		return err
	}
	defer enc.Close()
	dec, err := r.open(fmt.Sprintf("W_dec_%d.safetensors", l))
	if err != nil {
		return err
	}
	defer dec.Close()
	name := func(base string) string { return fmt.Sprintf("%s_%d", base, l) }
	if l == 0 {
		s, err := enc.shape(name("W_enc"), 2)
		if err != nil {
			return err
		}
		if t.Features, t.DModel = s[0], s[1]; features > 0 && features != s[0] {
			return fmt.Errorf("config.json: d_feature is %d, but W_enc_0 is %v", features, s)
		}
	}
	n, d := t.Features, t.DModel
	get := func(b *bundle, base string, shape ...int) []float32 {
		v, e := b.get(name(base), shape...)
		if err == nil {
			err = e
		}
		return v
	}
	orZero := func(b *bundle, base string, size int) []float32 {
		v, e := b.optional(name(base), size)
		if err == nil {
			err = e
		}
		if v == nil {
			v = make([]float32, size)
		}
		return v
	}
	t.WEnc, t.BEnc = append(t.WEnc, get(enc, "W_enc", n, d)), append(t.BEnc, orZero(enc, "b_enc", n))
	t.WDec, t.BDec = append(t.WDec, get(dec, "W_dec", n, t.Targets(l), d)), append(t.BDec, orZero(enc, "b_dec", d))
	if err != nil {
		return err
	}
	norms, err := dec.optional(name("W_dec_norm"), n)
	if err != nil {
		return err
	}
	if err := r.checkNorms(norms, l); err != nil {
		return err
	}
	if err := enc.done(); err != nil {
		return err
	}
	return dec.done()
}

// checkNorms compares the stored norms, which rank the features, with the
// decoders; ours are computed.
func (r *reader) checkNorms(stored []float32, l int) error {
	if stored == nil {
		return nil
	}
	width := r.t.Targets(l) * r.t.DModel
	for f, want := range stored {
		sum := 0.0
		for _, v := range r.t.WDec[l][f*width:][:width] {
			sum += float64(v) * float64(v)
		}
		if got := math.Sqrt(sum); !(math.Abs(got-float64(want)) <= 0.02*got+1e-6) {
			return fmt.Errorf("tensor W_dec_norm_%d says %g for feature %d, its decoders have norm %g; features would rank otherwise than in training", l, want, f, got)
		}
	}
	return nil
}
