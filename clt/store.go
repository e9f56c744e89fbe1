package clt

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/internal/atomicfile"
	"github.com/etredal/cross-layer-transcoder/internal/safetensors"
	"github.com/etredal/cross-layer-transcoder/internal/vec"
)

// Names of files in a transcoder's folder. The tensors and config.yaml are laid
// out as circuit-tracer has them; clt.json holds what that layout cannot.
const (
	sidecarFile = "clt.json"
	yamlFile    = "config.yaml"
	sidecarForm = "clt/1"
)

// sidecar is clt.json.
type sidecar struct {
	Format  string `json:"format"`
	Config  Config `json:"config"`
	Info    Info   `json:"info"`
	Weights string `json:"weights_sha256,omitempty"` // see HashWeights
}

// Save writes the transcoder into a folder of its own, whole or not at all:
//
//	CLT:  W_enc_i.safetensors (W_enc_i, b_enc_i, b_dec_i, threshold_i), W_dec_i.safetensors [features, targets, d_model]
//	PLT:  layer_i.safetensors (W_enc, W_dec, b_enc, b_dec, activation_function.threshold, W_skip transposed)
//
// with config.yaml and clt.json. A batchtopk transcoder is stored with its fixed
// threshold, so that other readers see a JumpReLU. The same transcoder gives the
// same bytes. In a folder that exists each file is replaced whole, other files
// are left alone, and those of a larger transcoder are removed.
func (t *Transcoder) Save(dir string) error {
	if err := t.Validate(); err != nil {
		return fmt.Errorf("%w (not saved to %s)", err, dir)
	}
	if _, err := os.Stat(dir); err == nil {
		return t.saveOver(dir)
	}
	return atomicfile.WriteDir(dir, t.saveFiles)
}

// saveOver writes beside the folder and moves file by file.
func (t *Transcoder) saveOver(dir string) error {
	tmp := filepath.Join(dir, ".saving")
	if err := os.RemoveAll(tmp); err != nil {
		return fmt.Errorf("clt: save %s: %w; is the folder writable?", dir, err)
	}
	defer os.RemoveAll(tmp)
	if err := atomicfile.WriteDir(tmp, t.saveFiles); err != nil {
		return err
	}
	fresh, err := os.ReadDir(tmp)
	if err != nil {
		return fmt.Errorf("clt: save %s: %w", dir, err)
	}
	written := map[string]bool{}
	for _, e := range fresh {
		written[e.Name()] = true
		if err := os.Rename(filepath.Join(tmp, e.Name()), filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("clt: save %s: %w; save again", dir, err)
		}
	}
	old, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("clt: save %s: %w", dir, err)
	}
	for _, e := range old {
		if isTensorFile(e.Name()) && !written[e.Name()] {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return fmt.Errorf("clt: save %s: %w; remove it by hand", dir, err)
			}
		}
	}
	return nil
}

func isTensorFile(name string) bool {
	return strings.HasSuffix(name, ".safetensors") &&
		(strings.HasPrefix(name, "W_enc_") || strings.HasPrefix(name, "W_dec_") || strings.HasPrefix(name, "layer_"))
}

// saveFiles writes all files into an empty folder.
func (t *Transcoder) saveFiles(tmp string) error {
	for l := range t.Layers {
		files, err := t.layerFiles(l)
		if err != nil {
			return fmt.Errorf("clt: save: %w", err)
		}
		for name, list := range files {
			if err := safetensors.WriteFile(filepath.Join(tmp, name), nil, list...); err != nil {
				return fmt.Errorf("clt: save: %w", err)
			}
		}
	}
	hash, err := HashWeights(os.DirFS(tmp))
	if err != nil {
		return fmt.Errorf("clt: save: %w", err)
	}
	side, err := json.MarshalIndent(sidecar{sidecarForm, t.Config, t.Info, hash}, "", "  ")
	if err != nil {
		return fmt.Errorf("clt: save: %w", err)
	}
	if err := atomicfile.Write(filepath.Join(tmp, sidecarFile), append(side, '\n')); err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(tmp, yamlFile), []byte(t.yaml()))
}

// layerFiles lists the tensors of one layer by file name.
func (t *Transcoder) layerFiles(l int) (map[string][]safetensors.Tensor, error) {
	n, d := t.Features, t.DModel
	dec, err := t.decoders(l)
	if err != nil {
		return nil, err
	}
	if t.PerLayer {
		list := []safetensors.Tensor{
			safetensors.F32("W_enc", []int{n, d}, t.WEnc[l]), safetensors.F32("b_enc", []int{n}, t.BEnc[l]),
			safetensors.F32("W_dec", []int{n, d}, dec), safetensors.F32("b_dec", []int{d}, t.BDec[l]),
		}
		if t.HasThreshold() {
			list = append(list, safetensors.F32("activation_function.threshold", []int{n}, t.Threshold[l]))
		}
		if t.Skip {
			list = append(list, safetensors.F32("W_skip", []int{d, d}, vec.Transposed(t.WSkip[l], d, d)))
		}
		return map[string][]safetensors.Tensor{fmt.Sprintf("layer_%d.safetensors", l): list}, nil
	}
	files := map[string][]safetensors.Tensor{}
	for _, w := range t.weights() {
		if w.layer == l {
			file, values := fmt.Sprintf("W_enc_%d.safetensors", l), dec
			if w.slot == &t.WDec {
				file = w.name + ".safetensors"
			} else {
				values = (*w.slot)[l]
			}
			files[file] = append(files[file], safetensors.F32(w.name, w.shape, values))
		}
	}
	return files, nil
}

func (t *Transcoder) yaml() string {
	y := flatYAML{map[string]string{
		"model_name": t.Model, "model_kind": "cross_layer_transcoder",
		"feature_input_hook": string(t.Read), "feature_output_hook": string(gpt2.MLPOut), "scan": "clt",
	}, map[string][]string{}}
	if t.PerLayer {
		y.scalars["model_kind"], y.scalars["scan"] = "transcoder_set", "plt"
		for l := range t.Layers {
			y.lists["transcoders"] = append(y.lists["transcoders"], fmt.Sprintf("layer_%d.safetensors", l))
		}
	}
	if t.Model != "" {
		y.scalars["scan"] = t.Model + "-" + y.scalars["scan"]
	}
	if t.Activation == ActReLU || t.Activation == ActTopK || t.Activation == ActGlobalTopK {
		y.scalars["activation"] = t.Activation
	}
	if t.Activation == ActTopK || t.Activation == ActGlobalTopK {
		y.scalars["k"] = strconv.Itoa(t.K)
	}
	return y.format([]string{"model_name", "model_kind", "feature_input_hook", "feature_output_hook", "scan", "activation", "k"})
}
