package clt

import (
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/etredal/cross-layer-transcoder/internal/safetensors"
)

// run encodes and decodes reads [layer][n·d] in float64 on the Go backend and
// returns pre-activations, activations and outputs by layer.
func run(t *testing.T, x *Transcoder, n int, reads [][]float64) (pre, act, out [][]float64) {
	t.Helper()
	b := goBackend(t)
	w, err := x.Upload(b, dtypes.Float64)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Free()
	var args []any
	for _, r := range reads {
		args = append(args, tensors.FromFlatDataAndDimensions(r, n, x.DModel))
	}
	res := call(t, b, func(in []*graph.Node) []*graph.Node {
		enc, dec, reads := x.UnpackNodes(in)
		var pre, act []*graph.Node
		for l, r := range reads {
			p, a := x.EncodeNode(r, enc[l])
			pre, act = append(pre, p), append(act, a)
		}
		return slices.Concat(pre, act, x.DecodeNode(act, reads, dec))
	}, w.Inputs(args...)...)
	for i, r := range res {
		dst := []*[][]float64{&pre, &act, &out}[i/x.Layers]
		*dst = append(*dst, float64s(r))
	}
	return pre, act, out
}

// naive is the same in plain loops.
func naive(x *Transcoder, n int, reads [][]float64) (pre, act, out [][]float64) {
	F, d := x.Features, x.DModel
	for l := range x.Layers {
		h, a := make([]float64, n*F), make([]float64, n*F)
		for i := range n {
			for f := range F {
				sum := float64(x.BEnc[l][f])
				for j := range d {
					sum += reads[l][i*d+j] * float64(x.WEnc[l][f*d+j])
				}
				h[i*F+f] = sum
			}
			row := h[i*F : (i+1)*F]
			sorted := slices.Clone(row)
			slices.Sort(sorted)
			for f, v := range row {
				var on bool
				switch x.Activation {
				case ActReLU:
					on = v > 0
				case ActTopK:
					on = v > 0 && v >= sorted[F-x.K]
				default:
					on = v > float64(x.Threshold[l][f])
				}
				if on {
					a[i*F+f] = v
				}
			}
		}
		pre, act = append(pre, h), append(act, a)
	}
	for t := range x.Layers {
		y := make([]float64, n*d)
		for i := range n {
			for j := range d {
				y[i*d+j] = float64(x.BDec[t][j])
				for k := range d {
					if x.Skip {
						y[i*d+j] += reads[t][i*d+k] * float64(x.WSkip[t][k*d+j])
					}
				}
				for s := 0; s <= t; s++ {
					if x.PerLayer && s != t {
						continue
					}
					for f := range F {
						y[i*d+j] += act[s][i*F+f] * float64(x.WDec[s][(f*x.Targets(s)+t-s)*d+j])
					}
				}
			}
		}
		out = append(out, y)
	}
	return pre, act, out
}

func TestEncodeDecodeAgainstLoops(t *testing.T) {
	const n = 9
	for name, cfg := range configs() {
		t.Run(name, func(t *testing.T) {
			x := randomTranscoder(t, cfg, 5)
			var reads [][]float64
			for l := range cfg.Layers {
				reads = append(reads, normals(uint64(l), n*cfg.DModel))
			}
			pre, act, out := run(t, x, n, reads)
			wantPre, wantAct, wantOut := naive(x, n, reads)
			active := 0
			for l := range cfg.Layers {
				for _, c := range [][2][]float64{{pre[l], wantPre[l]}, {act[l], wantAct[l]}, {out[l], wantOut[l]}} {
					if d := maxDiff(t, c[0], c[1]); d > 1e-12 {
						t.Errorf("layer %d differs by %g", l, d)
					}
				}
				for i, a := range act[l] {
					if a != 0 {
						active++
						if cfg.HasThreshold() && a <= float64(x.Threshold[l][i%cfg.Features]) {
							t.Errorf("layer %d: %g is active below its threshold", l, a)
						}
					}
				}
				if cfg.Activation == ActTopK {
					for i := range n {
						on := 0
						for _, a := range act[l][i*cfg.Features : (i+1)*cfg.Features] {
							if a > 0 {
								on++
							}
						}
						if on > cfg.K {
							t.Errorf("%d of %d features are active", on, cfg.K)
						}
					}
				}
			}
			if active == 0 {
				t.Error("no feature is active")
			}
		})
	}
}

// Pre-activations, activations and reconstructions of the reference
// implementation, in float64. It sets features and errors of position 0 to zero.
func TestReferenceActivations(t *testing.T) {
	for _, name := range []string{"clt_relu_resid_mid", "clt_jumprelu_ln2_normalized", "plt_topk_skip_mlp_in", "plt_jumprelu_resid_mid"} {
		t.Run(name, func(t *testing.T) {
			x, err := Load(filepath.Join("testdata", name, "transcoder"))
			if err != nil {
				t.Fatal(err)
			}
			f, err := safetensors.Open(filepath.Join("testdata", name, "p0.safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			info, _ := f.Info("feature_input")
			n := info.Shape[1]
			get := func(name string, width int) [][]float64 {
				v, err := f.Float64(name)
				if err != nil {
					t.Fatal(err)
				}
				var byLayer [][]float64
				for l := range x.Layers {
					byLayer = append(byLayer, v[l*n*width:(l+1)*n*width])
				}
				return byLayer
			}
			pre, act, out := run(t, x, n, get("feature_input", x.DModel))
			mlp, errors := get("mlp_out", x.DModel), get("error_vectors", x.DModel)
			for l := range x.Layers {
				F, d := x.Features, x.DModel
				if diff := maxDiff(t, pre[l][F:], get("preactivations_dense", F)[l][F:]); diff > 1e-10 {
					t.Errorf("layer %d: pre-activations differ by %g", l, diff)
				}
				if diff := maxDiff(t, act[l][F:], get("activations_dense", F)[l][F:]); diff > 1e-10 {
					t.Errorf("layer %d: activations differ by %g", l, diff)
				}
				for i := d; i < n*d; i++ {
					if diff := math.Abs(mlp[l][i] - errors[l][i] - out[l][i]); diff > 1e-10 {
						t.Fatalf("layer %d: reconstruction differs by %g", l, diff)
					}
				}
			}
		})
	}
}

// A later layer's features never write to an earlier layer, and a transcoder
// whose decoders to other layers are zero is a per-layer transcoder.
func TestCausalAndPerLayer(t *testing.T) {
	const n = 4
	cfg := configs()["relu"]
	x := randomTranscoder(t, cfg, 8)
	var reads [][]float64
	for l := range cfg.Layers {
		reads = append(reads, normals(uint64(20+l), n*cfg.DModel))
	}
	_, _, before := run(t, x, n, reads)
	changed := slices.Clone(reads)
	changed[1] = normals(99, n*cfg.DModel)
	_, _, after := run(t, x, n, changed)
	if maxDiff(t, before[0], after[0]) != 0 || maxDiff(t, before[1], after[1]) == 0 || maxDiff(t, before[2], after[2]) == 0 {
		t.Error("layer 1 must write to layers 1 and 2 only")
	}

	p := randomTranscoder(t, configs()["plt relu"], 8)
	for l := range cfg.Layers {
		p.WEnc[l], p.BEnc[l], p.BDec[l] = x.WEnc[l], x.BEnc[l], x.BDec[l]
		width := cfg.Targets(l) * cfg.DModel
		for f := range cfg.Features {
			copy(p.WDec[l][f*cfg.DModel:(f+1)*cfg.DModel], x.WDec[l][f*width:])
			clear(x.WDec[l][f*width+cfg.DModel : (f+1)*width])
		}
	}
	_, _, a := run(t, x, n, reads)
	_, _, b := run(t, p, n, reads)
	for l := range cfg.Layers {
		if d := maxDiff(t, a[l], b[l]); d > 1e-12 {
			t.Errorf("layer %d: differs from the per-layer transcoder by %g", l, d)
		}
	}
}
