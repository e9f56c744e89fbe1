package convert

import (
	"fmt"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// sparseConfig is the part of sparsify's cfg.json that decides what the tensors
// mean.
type sparseConfig struct {
	Activation    string `json:"activation"`
	K             int    `json:"k"`
	DIn           int    `json:"d_in"`
	Transcode     *bool  `json:"transcode"`
	Skip          bool   `json:"skip_connection"`
	Targets       int    `json:"n_targets"`
	Sources       int    `json:"n_sources"`
	NormalizeIO   bool   `json:"normalize_io"`
	Divide        bool   `json:"divide_cross_layer"`
	PostScale     bool   `json:"post_encoder_scale"`
	SourceTied    bool   `json:"per_source_tied"`
	SecondaryTied bool   `json:"secondary_target_tied"`
	Coalesce      string `json:"coalesce_topk"`
	TopKCoalesced bool   `json:"topk_coalesced"`
}

// byTarget says whether a layer's folder holds the decoders that write to the
// layer, not those of its features.
func (c sparseConfig) byTarget() bool { return c.Coalesce == "per-layer" || c.Coalesce == "concat" }

// sparseConfigure takes the configuration from layer 0 and refuses what the
// common form cannot express.
func (r *reader) sparseConfigure(layers []*sparseLayer) error {
	s, err := layers[0].b.shape("encoder.weight", 2)
	if err != nil {
		return err
	}
	t, c := r.t, layers[0].cfg
	perLayer := true
	for l, x := range layers {
		perLayer = perLayer && x.cfg.Targets <= 1 && x.cfg.Sources <= 1
		switch {
		case x.cfg.Transcode == nil || !*x.cfg.Transcode:
			return fmt.Errorf("%s/cfg.json: transcode is not true: this is a sparse autoencoder, not a transcoder", x.dir)
		case x.cfg.SecondaryTied, x.cfg.TopKCoalesced, x.cfg.Coalesce == "group":
			return fmt.Errorf("%s/cfg.json: secondary_target_tied %t, topk_coalesced %t, coalesce_topk %q cannot be expressed: which features write would depend on the target", x.dir, x.cfg.SecondaryTied, x.cfg.TopKCoalesced, x.cfg.Coalesce)
		case x.cfg.byTarget() != c.byTarget() || x.cfg.Coalesce != c.Coalesce || x.cfg.Activation != c.Activation || x.cfg.K != c.K || x.cfg.Skip != c.Skip:
			return fmt.Errorf("%s/cfg.json differs from that of layer 0 (activation %s, k %d, skip %t, coalesce %q); name the folder of one set, found layer %d", x.dir, c.Activation, c.K, c.Skip, c.Coalesce, l)
		}
	}
	t.Config = clt.Config{Layers: len(layers), DModel: s[1], Features: s[0], Activation: clt.ActTopK, K: c.K, PerLayer: perLayer, Skip: c.Skip, Read: gpt2.MLPIn}
	switch {
	case r.opt.Activation == clt.ActReLU:
		t.Activation, t.K = clt.ActReLU, 0
	case r.opt.Activation == clt.ActTopK:
		t.K = r.opt.K
	case c.Activation != "topk" && c.Activation != "":
		return fmt.Errorf("cfg.json: activation is %q, which depends on the batch or on groups of features; read it as topk or relu with -activation", c.Activation)
	default:
		r.remark("the files do not say what the encoders read or whether top-%d only stands for ReLU: read at %s as top-k; -read and -activation say otherwise", c.K, t.Read)
	}
	t.K = min(t.K, t.Features)
	return nil
}
