package clt

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/etredal/cross-layer-transcoder/internal/testenv"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
)

// Decoders on the disk: the same rows, read only when asked for, and all of them
// where all are needed.
func TestLazy(t *testing.T) {
	b := goBackend(t)
	for name, cfg := range configs() {
		t.Run(name, func(t *testing.T) {
			x := randomTranscoder(t, cfg, 3)
			dir := filepath.Join(t.TempDir(), "clt")
			if err := x.Save(dir); err != nil {
				t.Fatal(err)
			}
			y, err := LoadLazy(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer y.Close()
			if !y.Lazy() || x.Lazy() || y.RowsRead() != 0 || y.WDec != nil {
				t.Fatalf("lazy %t, %d rows read, decoders in memory %t", y.Lazy(), y.RowsRead(), y.WDec != nil)
			}
			if got := y.Decoder(1, 4); !reflect.DeepEqual(got, x.Decoder(1, 4)) || y.RowsRead() != 1 {
				t.Errorf("row %v after %d reads", got, y.RowsRead())
			}
			w, err := y.Upload(b, dtypes.Float32)
			if err != nil {
				t.Fatal(err)
			}
			defer w.Free()
			for i, v := range x.weights() {
				if got := tensors.MustCopyFlatData[float32](w.Tensors[i]); !reflect.DeepEqual(got, (*v.slot)[v.layer]) {
					t.Fatalf("uploaded %s differs", v.name)
				}
			}
			if err := y.Save(dir); err != nil { // over the files that it reads
				t.Fatal(err)
			}
			if z, err := Load(dir); err != nil || !reflect.DeepEqual(x, z) {
				t.Errorf("saved again: %v", err)
			}
		})
	}
}

// A bad row shows in Err, not as numbers.
func TestLazyErrors(t *testing.T) {
	x := randomTranscoder(t, configs()["relu"], 3)
	dir := filepath.Join(t.TempDir(), "clt")
	if err := x.Save(dir); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "W_dec_2.safetensors")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	binary.LittleEndian.PutUint32(data[len(data)-4:], math.Float32bits(float32(math.NaN())))
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir); err == nil {
		t.Error("NaN passes")
	}
	y, err := LoadLazy(dir)
	if err != nil {
		t.Fatal(err)
	}
	if y.Decoder(2, 0); y.Err() != nil {
		t.Errorf("a good row: %v", y.Err())
	}
	if row := y.Decoder(2, 5); y.Err() == nil || !strings.Contains(y.Err().Error(), "row 5") || !reflect.DeepEqual(row, make([]float32, len(row))) {
		t.Errorf("a bad row: %v, %v", row, y.Err())
	}
	if _, err := y.decoders(2); err == nil {
		t.Error("NaN passes as a whole layer")
	}
	if err := y.Close(); err != nil {
		t.Fatal(err)
	}
	z, err := LoadLazy(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if z.Decoder(0, 0); z.Err() == nil {
		t.Error("a closed file gives rows")
	}
}

// What Save writes follows circuit-tracer's layout byte for byte: read here with
// nothing but the format's rules. A feature's decoder row f of layer l begins at
// data + f·(L-l)·d·4, where lazy readers look for it.
func TestLayoutByteForByte(t *testing.T) {
	x := randomTranscoder(t, configs()["jumprelu"], 5)
	dir := filepath.Join(t.TempDir(), "clt")
	if err := x.Save(dir); err != nil {
		t.Fatal(err)
	}
	files := testenv.Files(t, dir)
	if len(files) != 2*x.Layers+2 {
		t.Fatalf("%d files", len(files))
	}
	for l := range x.Layers {
		suffix := string(rune('0' + l))
		enc, data := rawTensors(t, files["W_enc_"+suffix+".safetensors"])
		wantEnc := map[string][]float32{"W_enc_" + suffix: x.WEnc[l], "b_enc_" + suffix: x.BEnc[l], "b_dec_" + suffix: x.BDec[l], "threshold_" + suffix: x.Threshold[l]}
		if len(enc) != len(wantEnc) {
			t.Errorf("W_enc_%d has %d tensors", l, len(enc))
		}
		shapes := map[string][]int{"W_enc_" + suffix: {x.Features, x.DModel}, "b_enc_" + suffix: {x.Features}, "b_dec_" + suffix: {x.DModel}, "threshold_" + suffix: {x.Features}}
		for name, want := range wantEnc {
			e := enc[name]
			if e.DType != "F32" || !reflect.DeepEqual(e.Shape, shapes[name]) || !reflect.DeepEqual(rawFloats(data[e.Offsets[0]:e.Offsets[1]]), want) {
				t.Errorf("%s is %s %v", name, e.DType, e.Shape)
			}
		}
		dec, data := rawTensors(t, files["W_dec_"+suffix+".safetensors"])
		e := dec["W_dec_"+suffix]
		targets := x.Layers - l
		if len(dec) != 1 || e.DType != "F32" || !reflect.DeepEqual(e.Shape, []int{x.Features, targets, x.DModel}) || e.Offsets[0] != 0 {
			t.Fatalf("W_dec_%d is %+v of %d tensors", l, e, len(dec))
		}
		for f := range x.Features {
			row := rawFloats(data[f*targets*x.DModel*4:][:targets*x.DModel*4])
			for k := range targets {
				if !reflect.DeepEqual(row[k*x.DModel:][:x.DModel], x.WDec[l][(f*targets+k)*x.DModel:][:x.DModel]) {
					t.Fatalf("row %d of W_dec_%d, target %d, is elsewhere", f, l, k)
				}
			}
		}
	}
	for _, line := range []string{"model_kind: cross_layer_transcoder\n", "feature_input_hook: mlp.hook_in\n", "feature_output_hook: hook_mlp_out\n", "model_name: toy\n"} {
		if !strings.Contains(files["config.yaml"], line) {
			t.Errorf("config.yaml lacks %q", line)
		}
	}
	if got := RecordedHash(os.DirFS(dir)); got == "" {
		t.Error("no hash is recorded")
	} else if hash, err := HashWeights(os.DirFS(dir)); err != nil || hash != got {
		t.Errorf("hash %s, recorded %s, %v", hash, got, err)
	}
}

type rawTensor struct {
	DType   string `json:"dtype"`
	Shape   []int  `json:"shape"`
	Offsets [2]int `json:"data_offsets"`
}

func rawTensors(t *testing.T, file string) (map[string]rawTensor, string) {
	t.Helper()
	n := binary.LittleEndian.Uint64([]byte(file[:8]))
	var list map[string]rawTensor
	if err := json.Unmarshal([]byte(file[8:8+n]), &list); err != nil {
		t.Fatal(err)
	}
	return list, file[8+n:]
}

func rawFloats(s string) []float32 {
	v := make([]float32, len(s)/4)
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32([]byte(s[4*i:])))
	}
	return v
}
