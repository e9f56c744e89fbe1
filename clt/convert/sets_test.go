package convert

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// sweepSource draws a transcoder of the GPT-2 sweep and says what it computes.
func sweepSource(t *testing.T, seed uint64, cross, skip bool) (*source, func([][]float64) state) {
	s, r := newSource(t), newRnd(seed)
	var we, be, bd, ws []array
	wd := map[[2]int]array{}
	for l := range nLayers {
		enc, dec := fmt.Sprintf("encoder_layer_%d.safetensors", l), fmt.Sprintf("decoder_layer_%d.safetensors", l)
		if !cross {
			enc = fmt.Sprintf("layer_%d.safetensors", l)
			dec = enc
		}
		we, be = append(we, s.put(enc, "W_enc", r.normal(0.8, nFeatures, dModel))), append(be, s.put(enc, "b_enc", r.normal(0.3, nFeatures)))
		bd = append(bd, s.put(dec, "b_dec", r.normal(0.5, dModel)))
		for from := 0; from <= l; from++ {
			if cross {
				wd[[2]int{from, l}] = s.put(dec, fmt.Sprintf("W_dec_from_%d", from), r.normal(0.5, dModel, nFeatures))
			} else if from == l {
				wd[[2]int{from, l}] = s.put(dec, "W_dec", r.normal(0.5, dModel, nFeatures))
			}
		}
		if skip {
			ws = append(ws, s.put(dec, "W_skip", r.normal(0.5, dModel, dModel)))
		}
	}
	return s, func(x [][]float64) state {
		st := newState()
		for l := range nLayers {
			for f := range nFeatures {
				h := be[l].at(f)
				for j := range dModel {
					h += x[l][j] * we[l].at(f, j)
				}
				st.act[l][f] = relu(h)
			}
			for j := range dModel {
				y := bd[l].at(j)
				for from := 0; from <= l; from++ {
					if w, ok := wd[[2]int{from, l}]; ok {
						for f := range nFeatures {
							y += st.act[from][f] * w.at(j, f)
						}
					}
				}
				for i := range dModel {
					if skip {
						y += x[l][i] * ws[l].at(j, i)
					}
				}
				st.out[l][j] = y
			}
		}
		return st
	}
}

func TestSweep(t *testing.T) {
	for _, cross := range []bool{true, false} {
		for _, skip := range []bool{true, false} {
			t.Run(fmt.Sprintf("cross %t skip %t", cross, skip), func(t *testing.T) {
				s, want := sweepSource(t, 4, cross, skip)
				tr, _ := s.open(t, Sweep, Options{})
				if tr.Read != gpt2.ResidMid || tr.Activation != clt.ActReLU || tr.PerLayer == cross || tr.Skip != skip {
					t.Errorf("config %+v", tr.Config)
				}
				agree(t, tr, want)
			})
		}
	}
}

// saeKind is one way that SAELens keeps a transcoder.
type saeKind struct{ old, jump, skip, topk bool }

func saeSource(t *testing.T, seed uint64, c saeKind, layers []int) (*source, func([][]float64) state) {
	s, r := newSource(t), newRnd(seed)
	type layer struct{ we, be, wd, bd, out, theta, skip array }
	all := map[int]layer{}
	for _, l := range layers {
		dir := fmt.Sprintf("set/blocks.%d", l)
		file := dir + "/sae_weights.safetensors"
		x := layer{we: s.put(file, "W_enc", r.normal(0.8, dModel, nFeatures)), be: s.put(file, "b_enc", r.normal(0.3, nFeatures)),
			wd: s.put(file, "W_dec", r.normal(0.5, nFeatures, dModel)), bd: s.put(file, "b_dec", r.normal(0.5, dModel))}
		cfg := map[string]any{"architecture": "transcoder", "d_in": dModel, "d_sae": nFeatures, "normalize_activations": "none",
			"metadata": map[string]any{"hook_name": fmt.Sprintf("blocks.%d.ln2.hook_normalized", l), "hook_name_out": fmt.Sprintf("blocks.%d.hook_mlp_out", l), "model_name": "gpt2"}}
		if c.old {
			x.out = s.put(file, "b_dec_out", r.normal(0.5, dModel))
			cfg = map[string]any{"d_in": dModel, "d_sae": nFeatures, "activation_fn_str": "relu", "model_name": "gpt2", "hook_point": fmt.Sprintf("blocks.%d.ln2.hook_normalized", l), "out_hook_point": fmt.Sprintf("blocks.%d.hook_mlp_out", l)}
		}
		if c.jump {
			x.theta = s.put(file, "threshold", r.positive(nFeatures))
		}
		if c.skip {
			x.skip = s.put(file, "W_skip", r.normal(0.5, dModel, dModel))
		}
		if c.topk {
			cfg["activation_fn"], cfg["activation_fn_kwargs"] = "topk", map[string]any{"k": 2}
		}
		s.configs[dir+"/cfg.json"] = cfg
		all[l] = x
	}
	return s, func(x [][]float64) state {
		st := newState()
		for l, y := range all {
			for f := range nFeatures {
				h := y.be.at(f)
				for j := range dModel {
					v := x[l][j]
					if c.old {
						v -= y.bd.at(j)
					}
					h += v * y.we.at(j, f)
				}
				if !c.jump || h > y.theta.at(f) {
					st.act[l][f] = relu(h)
				}
			}
			if c.topk {
				st.act[l] = topK(st.act[l], 2)
			}
			for j := range dModel {
				st.out[l][j] = y.bd.at(j)
				if c.old {
					st.out[l][j] = y.out.at(j)
				}
				for f := range nFeatures {
					st.out[l][j] += st.act[l][f] * y.wd.at(f, j)
				}
				for i := range dModel {
					if c.skip {
						st.out[l][j] += x[l][i] * y.skip.at(j, i)
					}
				}
			}
		}
		return st
	}
}

func TestSAELens(t *testing.T) {
	for _, c := range []saeKind{{}, {old: true}, {jump: true}, {skip: true, topk: true}} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			s, want := saeSource(t, 5, c, []int{0, 1, 2})
			tr, _ := s.open(t, SAELens, Options{})
			if tr.Read != gpt2.Ln2Normalized || !tr.PerLayer || tr.Skip != c.skip || tr.Model != "gpt2" {
				t.Errorf("config %+v", tr.Config)
			}
			agree(t, tr, want)
		})
	}
}

// A set with gaps is refused, and read when the number of layers is given.
func TestSAELensGaps(t *testing.T) {
	s, want := saeSource(t, 6, saeKind{jump: true}, []int{0, 2})
	s.write(t)
	if _, _, err := Open(s.dir, Options{}); err == nil || !strings.Contains(err.Error(), "layer 1") {
		t.Errorf("error %v", err)
	}
	tr, rep := s.open(t, SAELens, Options{Layers: 3})
	if len(rep.Remarks) != 1 || !strings.Contains(rep.Remarks[0], "layer 1") {
		t.Errorf("remarks %q", rep.Remarks)
	}
	agree(t, tr, want)
}

func TestSAELensHooks(t *testing.T) {
	set := func(hook, out string) func(s *source) {
		return func(s *source) {
			for _, v := range s.configs {
				m := v.(map[string]any)["metadata"].(map[string]any)
				if hook != "" {
					m["hook_name"] = hook
				}
				m["hook_name_out"] = out
			}
		}
	}
	for want, edit := range map[string]func(s *source){
		"autoencoder":         set("", ""),
		"MLP output of layer": set("", "blocks.7.hook_mlp_out"),
		"should be like":      set("ln2", "blocks.0.hook_mlp_out"),
		"say which with":      set("blocks.0.hook_mlp_in", "blocks.0.hook_mlp_out"),
		"a transcoder of an":  set("blocks.0.hook_resid_pre", "blocks.0.hook_mlp_out"),
	} {
		s, _ := saeSource(t, 6, saeKind{}, []int{0})
		edit(s)
		s.write(t)
		if _, _, err := Open(s.dir, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
}

// byteDanceSource draws a transcoder with top-k over all layers.
func byteDanceSource(t *testing.T, seed uint64) (*source, func([][]float64) state) {
	s, r := newSource(t), newRnd(seed)
	const k = 2
	var we, wd, norms []array
	for l := range nLayers {
		enc, dec := fmt.Sprintf("W_enc_%d.safetensors", l), fmt.Sprintf("W_dec_%d.safetensors", l)
		we = append(we, s.put(enc, fmt.Sprintf("W_enc_%d", l), r.normal(0.8, nFeatures, dModel)))
		wd = append(wd, s.put(dec, fmt.Sprintf("W_dec_%d", l), r.normal(0.5, nFeatures, nLayers-l, dModel)))
		norm := array{[]int{nFeatures}, make([]float64, nFeatures)}
		for f := range nFeatures {
			sum := 0.0
			for m := range nLayers - l {
				for j := range dModel {
					sum += wd[l].at(f, m, j) * wd[l].at(f, m, j)
				}
			}
			norm.v[f] = math.Sqrt(sum)
		}
		norms = append(norms, s.put(dec, fmt.Sprintf("W_dec_norm_%d", l), norm))
	}
	s.configs["config.json"] = map[string]any{"d_feature": nFeatures, "k": k}
	return s, func(x [][]float64) state {
		st := newState()
		var ranks []float64
		for l := range nLayers {
			for f := range nFeatures {
				h := 0.0
				for j := range dModel {
					h += x[l][j] * we[l].at(f, j)
				}
				st.act[l][f] = relu(h)
				ranks = append(ranks, st.act[l][f]*norms[l].at(f))
			}
		}
		sorted := slices.Sorted(slices.Values(ranks))
		least := sorted[len(sorted)-k*nLayers]
		for l := range nLayers {
			for f := range nFeatures {
				if ranks[l*nFeatures+f] < least {
					st.act[l][f] = 0
				}
			}
			for m := l; m < nLayers; m++ {
				for j := range dModel {
					for f := range nFeatures {
						st.out[m][j] += st.act[l][f] * wd[l].at(f, m-l, j)
					}
				}
			}
		}
		return st
	}
}

func TestByteDance(t *testing.T) {
	s, want := byteDanceSource(t, 8)
	tr, _ := s.open(t, ByteDance, Options{})
	if tr.Activation != clt.ActGlobalTopK || tr.K != 2 || tr.Read != gpt2.ResidMid {
		t.Errorf("config %+v", tr.Config)
	}
	agree(t, tr, want)
	dir := t.TempDir() + "/saved"
	if err := tr.Save(dir); err != nil {
		t.Fatal(err)
	}
	back, _, err := Open(dir, Options{Lazy: true})
	if err != nil {
		t.Fatal(err)
	}
	defer back.Close()
	if back.Activation != clt.ActGlobalTopK || !back.Lazy() {
		t.Errorf("read back %+v", back.Config)
	}
	s.files["W_dec_1.safetensors"]["W_dec_norm_1"].v[0] *= 2
	s.write(t)
	if _, _, err := Open(s.dir, Options{}); err == nil || !strings.Contains(err.Error(), "W_dec_norm_1") {
		t.Errorf("wrong norms: %v", err)
	}
}
