package convert

import (
	"fmt"
	"math"
	"testing"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// codingSource draws a crosslayer-coding transcoder and says what it computes.
func codingSource(t *testing.T, seed uint64, tying, activation string, skip bool) (*source, func([][]float64) state) {
	s, r := newSource(t), newRnd(seed)
	const file = "clt_checkpoint_900.safetensors"
	var we, be, skips []array
	stats := map[string]any{}
	type layer struct{ inMean, inStd, outMean, outStd array }
	var norm []layer
	wd, bd := map[string]array{}, map[string]array{}
	key := func(a, b int) string {
		return map[string]string{"none": fmt.Sprintf("%d->%d", a, b), "per_source": fmt.Sprint(a), "per_target": fmt.Sprint(b)}[tying]
	}
	theta := s.put(file, "theta_manager.log_threshold", r.normal(0.5, nLayers, nFeatures))
	for l := range nLayers {
		we = append(we, s.put(file, fmt.Sprintf("encoder_module.encoders.%d.weight", l), r.normal(0.8, nFeatures, dModel)))
		be = append(be, s.put(file, fmt.Sprintf("encoder_module.encoders.%d.bias_param", l), r.normal(0.3, nFeatures)))
		x := layer{r.normal(0.5, dModel), r.positive(dModel), r.normal(0.5, dModel), r.positive(dModel)}
		norm = append(norm, x)
		stats[fmt.Sprint(l)] = map[string]any{"inputs": map[string]any{"mean": x.inMean.v, "std": x.inStd.v}, "targets": map[string]any{"mean": x.outMean.v, "std": x.outStd.v}}
		for m := l; m < nLayers; m++ {
			if k := key(l, m); wd[k].v == nil {
				wd[k] = s.put(file, "decoder_module.decoders."+k+".weight", r.normal(0.5, dModel, nFeatures))
				bd[k] = s.put(file, "decoder_module.decoders."+k+".bias_param", r.normal(0.5, dModel))
			}
		}
		if skip {
			skips = append(skips, s.put(file, fmt.Sprintf("decoder_module.skip_weights.%d", l), r.normal(0.5, dModel, dModel)))
		}
	}
	s.configs["cfg.json"] = map[string]any{"num_features": nFeatures, "num_layers": nLayers, "d_model": dModel, "activation_fn": activation, "normalization_method": "mean_std",
		"decoder_tying": tying, "skip_connection": skip, "mlp_input_template": "transformer.h.{}.ln_2.input", "mlp_output_template": "transformer.h.{}.mlp.output",
		"topk_k": 2, "topk_mode": "per_layer", "model_name": "gpt2"}
	s.configs["norm_stats.json"] = stats
	return s, func(x [][]float64) state {
		st := newState()
		var scaled [][]float64
		for l := range nLayers {
			xs := make([]float64, dModel)
			for j := range xs {
				xs[j] = (x[l][j] - norm[l].inMean.at(j)) / norm[l].inStd.at(j)
			}
			scaled = append(scaled, xs)
			for f := range nFeatures {
				h := be[l].at(f)
				for j := range dModel {
					h += xs[j] * we[l].at(f, j)
				}
				switch {
				case activation == "relu" || activation == "topk":
					st.act[l][f] = relu(h)
				case h > math.Exp(theta.at(l, f)):
					st.act[l][f] = h
				}
			}
			if activation == "topk" {
				st.act[l] = topK(st.act[l], 2)
			}
		}
		for m := range nLayers {
			for j := range dModel {
				y := 0.0
				for l := 0; l <= m; l++ {
					k := key(l, m)
					for f := range nFeatures {
						y += st.act[l][f] * wd[k].at(j, f)
					}
					if tying != "per_target" || l == m {
						y += bd[k].at(j)
					}
				}
				for i := range dModel {
					if skip {
						y += scaled[m][i] * skips[m].at(j, i)
					}
				}
				st.out[m][j] = y*norm[m].outStd.at(j) + norm[m].outMean.at(j)
			}
		}
		return st
	}
}

func TestCoding(t *testing.T) {
	for i, c := range []struct {
		tying, activation string
		skip              bool
	}{{"none", "jumprelu", false}, {"per_source", "relu", false}, {"per_target", "jumprelu", true}, {"none", "topk", true}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			s, want := codingSource(t, uint64(i), c.tying, c.activation, c.skip)
			tr, rep := s.open(t, Coding, Options{})
			if tr.Read != gpt2.ResidMid || tr.Activation != c.activation || tr.Skip != c.skip || tr.Model != "gpt2" {
				t.Errorf("config %+v", tr.Config)
			}
			if (c.activation == "topk") != (len(rep.Remarks) == 1) {
				t.Errorf("remarks %q", rep.Remarks)
			}
			agree(t, tr, want)
		})
	}
}

// A batch top-k that was not converted is refused, unless somebody says how to
// read it.
func TestCodingBatchTopK(t *testing.T) {
	s, _ := codingSource(t, 3, "none", "batchtopk", false)
	s.write(t)
	if _, _, err := Open(s.dir, Options{}); err == nil {
		t.Error("batchtopk passes")
	}
	tr, _, err := Open(s.dir, Options{Activation: clt.ActTopK, K: 3, Read: gpt2.MLPIn})
	if err != nil || tr.Activation != clt.ActTopK || tr.K != 3 || tr.Read != gpt2.MLPIn {
		t.Errorf("as topk: %v, %v", tr, err)
	}
}
