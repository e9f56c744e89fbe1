package convert

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/etredal/cross-layer-transcoder/clt"
)

// sparseKind is one way to configure sparsify.
type sparseKind struct {
	targets                                int // of layer 0; 0 for per layer, later layers have fewer
	coalesce                               string
	tied, divide, norm, skip, scale, shift bool
	relu                                   bool
}

// sparseSource draws a sparsify transcoder and says what it computes.
func sparseSource(t *testing.T, seed uint64, c sparseKind) (*source, func([][]float64) state) {
	s, r := newSource(t), newRnd(seed)
	k := 2
	if c.relu {
		k = nFeatures
	}
	type layer struct {
		we, be, in, out, post, skip, bdec array
		w, b, factor                      map[int]array // by distance; for coalesce by source
	}
	var layers []layer
	for l := range nLayers {
		file := fmt.Sprintf("h.%d.mlp/sae.safetensors", l)
		targets := 0
		if c.targets > 0 {
			targets = min(c.targets, nLayers-l)
		}
		cfg := map[string]any{"activation": "topk", "k": k, "d_in": dModel, "num_latents": nFeatures, "transcode": true, "n_targets": targets, "n_sources": 0,
			"normalize_io": c.norm, "divide_cross_layer": c.divide, "per_source_tied": c.tied, "coalesce_topk": "none", "topk_coalesced": false, "skip_connection": c.skip, "post_encoder_scale": c.scale}
		x := layer{we: s.put(file, "encoder.weight", r.normal(0.8, nFeatures, dModel)), be: s.put(file, "encoder.bias", r.normal(0.3, nFeatures)),
			w: map[int]array{}, b: map[int]array{}, factor: map[int]array{}}
		if c.norm {
			x.in, x.out = s.put(file, "in_norm", r.positive(1)), s.put(file, "out_norm", r.positive(1))
		}
		if c.shift {
			x.post = r.positive(nFeatures)
		}
		if c.coalesce != "" {
			cfg["coalesce_topk"], cfg["n_sources"] = c.coalesce, l+1
			rows := l + 1
			if c.coalesce == "concat" {
				rows = 1
			}
			all := s.put(file, "W_dec", r.normal(0.5, rows*nFeatures, dModel))
			for i := range l + 1 {
				at := min(i, rows-1) * nFeatures * dModel
				x.w[i] = array{[]int{nFeatures, dModel}, all.v[at : at+nFeatures*dModel]}
			}
			x.bdec = s.put(file, "b_dec", r.normal(0.5, dModel))
		}
		for d := range max(1, targets) {
			names := [5]string{"post_enc", "post_enc_scale", "W_dec", "b_dec", "W_skip"}
			if targets > 0 {
				for i, n := range [5]string{"post_encs", "post_enc_scales", "W_decs", "b_decs", "W_skips"} {
					names[i] = fmt.Sprintf("%s.%d", n, d)
				}
			}
			if c.shift {
				s.put(file, names[0], x.post)
			}
			if c.scale {
				x.factor[d] = s.put(file, names[1], r.positive(nFeatures))
			}
			if c.coalesce == "" {
				switch {
				case c.tied:
					x.w[d] = s.put(file, "W_dec", r.normal(0.5, nFeatures, dModel))
				default:
					x.w[d] = s.put(file, names[2], r.normal(0.5, nFeatures, dModel))
				}
				x.b[d] = s.put(file, names[3], r.normal(0.5, dModel))
			}
			if c.skip && d == 0 {
				if c.coalesce != "" {
					names[4] = "W_skip"
				}
				x.skip = s.put(file, names[4], r.normal(0.5, dModel, dModel))
			}
		}
		if c.tied {
			for d := range max(1, targets) {
				x.w[d] = s.files[file]["W_dec"]
			}
		}
		s.configs[fmt.Sprintf("h.%d.mlp/cfg.json", l)] = cfg
		layers = append(layers, x)
	}
	return s, func(x [][]float64) state {
		st := newState()
		root := math.Sqrt(dModel)
		var scaled [][]float64
		on := make([][]float64, nLayers) // what the decoders see before their scale
		for l, y := range layers {
			xs := append([]float64{}, x[l]...)
			for j := range xs {
				if c.norm {
					xs[j] *= root / y.in.at(0)
				}
			}
			scaled = append(scaled, xs)
			h := make([]float64, nFeatures)
			for f := range h {
				h[f] = y.be.at(f)
				for j := range dModel {
					h[f] += xs[j] * y.we.at(f, j)
				}
				h[f] = relu(h[f])
			}
			on[l] = topK(h, k)
			for f := range h {
				if c.shift && on[l][f] > 0 {
					on[l][f] += y.post.at(f)
				}
			}
			st.act[l] = on[l]
		}
		for m, own := range layers {
			live := 0
			for l := 0; l <= m; l++ {
				if m-l < max(1, min(c.targets, nLayers-l)) {
					live++
				}
			}
			for j := range dModel {
				y := 0.0
				for l := 0; l <= m; l++ {
					d := m - l
					if d >= max(1, min(c.targets, nLayers-l)) {
						continue
					}
					part := 0.0
					w := layers[l].w[d]
					if c.coalesce != "" {
						w = own.w[l]
					} else {
						part = layers[l].b[d].at(j)
					}
					for f := range nFeatures {
						a := on[l][f]
						if c.scale {
							a *= layers[l].factor[d].at(f)
						}
						part += a * w.at(f, j)
					}
					if c.divide && l < m {
						part /= math.Max(1, float64(live-1))
					}
					y += part
				}
				if c.coalesce != "" {
					y += own.bdec.at(j)
				}
				for i := range dModel {
					if c.skip {
						y += scaled[m][i] * own.skip.at(j, i)
					}
				}
				if c.norm {
					y *= own.out.at(0) / root
				}
				st.out[m][j] = y
			}
		}
		return st
	}
}

func TestSparsify(t *testing.T) {
	for name, c := range map[string]sparseKind{
		"per layer":              {},
		"per layer, all options": {norm: true, skip: true, scale: true},
		"cross-layer":            {targets: 3},
		"cross-layer, two ahead": {targets: 2, divide: true},
		"divided, normalised":    {targets: 3, divide: true, norm: true, scale: true, skip: true},
		"tied":                   {targets: 3, tied: true},
		"sources one below":      {targets: 3, coalesce: "per-layer", norm: true, skip: true},
		"sources share":          {targets: 3, coalesce: "concat", scale: true},
		"relu with a shift":      {targets: 3, coalesce: "per-layer", shift: true, relu: true, norm: true},
	} {
		t.Run(name, func(t *testing.T) {
			s, want := sparseSource(t, 7, c)
			opt := Options{}
			if c.relu {
				opt.Activation = clt.ActReLU
			}
			tr, _ := s.open(t, Sparsify, opt)
			if tr.PerLayer != (c.targets == 0) || tr.Skip != c.skip {
				t.Errorf("config %+v", tr.Config)
			}
			agree(t, tr, want)
		})
	}
}

// What the common form cannot say is refused, and said why.
func TestSparsifyRefusals(t *testing.T) {
	for want, edit := range map[string]func(s *source){
		"topk_coalesced":  func(s *source) { s.cfg(1)["topk_coalesced"] = true },
		"autoencoder":     func(s *source) { s.cfg(0)["transcode"] = false },
		"on the batch":    func(s *source) { s.all("activation", "batchtopk") },
		"differs from":    func(s *source) { s.cfg(2)["k"] = 4 },
		"skip from layer": func(s *source) { s.put("h.0.mlp/sae.safetensors", "W_skips.1", newRnd(1).normal(1, dModel, dModel)) },
		"top-k chose": func(s *source) {
			a := newRnd(1).positive(nFeatures)
			s.put("h.1.mlp/sae.safetensors", "post_encs.0", a)
			s.put("h.1.mlp/sae.safetensors", "post_encs.1", a)
		},
		"one activation":   func(s *source) { s.put("h.1.mlp/sae.safetensors", "post_encs.1", newRnd(1).positive(nFeatures)) },
		"not known":        func(s *source) { s.put("h.1.mlp/sae.safetensors", "extra", newRnd(1).positive(1)) },
		"is missing":       func(s *source) { delete(s.files["h.1.mlp/sae.safetensors"], "encoder.bias") },
		"should be [5]":    func(s *source) { s.put("h.2.mlp/sae.safetensors", "encoder.bias", newRnd(1).normal(1, 4)) },
		"no folder of":     func(s *source) { delete(s.files, "h.1.mlp/sae.safetensors") },
		"positive and fin": func(s *source) { s.put("h.1.mlp/sae.safetensors", "in_norm", array{[]int{1}, []float64{0}}) },
		"both of layer 1":  func(s *source) { s.files["transformer.h.1.mlp/sae.safetensors"] = s.files["h.1.mlp/sae.safetensors"] },
	} {
		t.Run(want, func(t *testing.T) {
			s, _ := sparseSource(t, 3, sparseKind{targets: 3, norm: true})
			edit(s)
			s.write(t)
			if _, _, err := Open(s.dir, Options{}); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v, want %q in it", err, want)
			}
		})
	}
}

func (s *source) cfg(l int) map[string]any {
	return s.configs[fmt.Sprintf("h.%d.mlp/cfg.json", l)].(map[string]any)
}

func (s *source) all(key string, v any) {
	for l := range nLayers {
		s.cfg(l)[key] = v
	}
}
