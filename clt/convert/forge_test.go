package convert

import (
	"fmt"
	"math"
	"testing"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// forgeSource draws a CLT-Forge transcoder and says what it computes.
func forgeSource(t *testing.T, seed uint64, cross bool) (*source, func([][]float64) state) {
	s, r := newSource(t), newRnd(seed)
	pairs := nLayers
	if cross {
		pairs = 6
	}
	const file = "clt_weights.safetensors"
	we, be := s.put(file, "W_enc", r.normal(0.8, nLayers, dModel, nFeatures)), s.put(file, "b_enc", r.normal(0.3, nLayers, nFeatures))
	wd, bd := s.put(file, "W_dec", r.normal(0.5, pairs, nFeatures, dModel)), s.put(file, "b_dec", r.normal(0.5, pairs, dModel))
	theta := s.put(file, "log_threshold", r.normal(0.5, nLayers, nFeatures))
	in := s.put(file, "estimated_norm_scaling_factor_in", r.positive(nLayers))
	out := s.put(file, "estimated_norm_scaling_factor_out", r.positive(nLayers))
	s.put(file, "feature_count", r.positive(nLayers, nFeatures))
	s.configs["clt_cfg.json"] = map[string]any{"n_layers": nLayers, "d_in": dModel, "d_latent": nFeatures, "cross_layer_decoders": cross,
		"model_name": "gpt2", "activation_fn": "jumprelu", "seed": 1, "feature_sharding": false}
	return s, func(x [][]float64) state {
		st := newState()
		for l := range nLayers {
			for f := range nFeatures {
				h := be.at(l, f)
				for j := range dModel {
					h += x[l][j] * in.at(l) * we.at(l, j, f)
				}
				if h > math.Exp(theta.at(l, f)) {
					st.act[l][f] = h
				}
			}
		}
		pair := 0
		for l := range nLayers {
			for m := l; m < nLayers; m++ {
				if !cross && m > l {
					continue
				}
				for j := range dModel {
					y := bd.at(pair, j)
					for f := range nFeatures {
						y += st.act[l][f] * wd.at(pair, f, j)
					}
					st.out[m][j] += y / out.at(m)
				}
				pair++
			}
		}
		return st
	}
}

func TestForge(t *testing.T) {
	for _, cross := range []bool{true, false} {
		t.Run(fmt.Sprint("cross ", cross), func(t *testing.T) {
			s, want := forgeSource(t, 1, cross)
			tr, _ := s.open(t, Forge, Options{})
			if tr.Read != gpt2.Ln2Normalized || tr.Activation != clt.ActJumpReLU || tr.PerLayer == cross || tr.Model != "gpt2" {
				t.Errorf("config %+v", tr.Config)
			}
			agree(t, tr, want)
		})
	}
}

// Shards along the features give what the whole gives.
func TestForgeShards(t *testing.T) {
	s, want := forgeSource(t, 2, true)
	whole := s.files["clt_weights.safetensors"]
	delete(s.files, "clt_weights.safetensors")
	cut := func(a array, axis, from, to int) array {
		shape := append([]int{}, a.shape...)
		shape[axis] = to - from
		out := array{shape: shape}
		inner := 1
		for _, d := range a.shape[axis+1:] {
			inner *= d
		}
		for i, v := range a.v {
			if k := i / inner % a.shape[axis]; k >= from && k < to {
				out.v = append(out.v, v)
			}
		}
		return out
	}
	axis := map[string]int{"W_enc": 2, "b_enc": 1, "W_dec": 1, "log_threshold": 1, "feature_count": 1}
	for rank, cuts := range [][2]int{{0, 2}, {2, 5}} {
		for name, a := range whole {
			if k, ok := axis[name]; ok {
				a = cut(a, k, cuts[0], cuts[1])
			}
			s.put(fmt.Sprintf("rank%d_clt_weights.safetensors", rank), name, a)
		}
	}
	tr, _ := s.open(t, Forge, Options{})
	agree(t, tr, want)
	delete(s.files, "rank1_clt_weights.safetensors")
	s.dir = t.TempDir()
	s.write(t)
	if _, _, err := Open(s.dir, Options{}); err == nil {
		t.Error("a missing shard passes")
	}
}
