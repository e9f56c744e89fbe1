package clt

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Check names every fault, not the first alone.
func TestCheckNamesEveryFault(t *testing.T) {
	for name, cfg := range configs() {
		dir := filepath.Join(t.TempDir(), "clt")
		if err := randomTranscoder(t, cfg, 3).Save(dir); err != nil {
			t.Fatal(err)
		}
		if faults := Check(os.DirFS(dir)); len(faults) > 0 {
			t.Errorf("%s: a good folder has faults: %v", name, faults)
		}
	}
	dir := filepath.Join(t.TempDir(), "clt")
	if err := randomTranscoder(t, configs()["jumprelu"], 3).Save(dir); err != nil {
		t.Fatal(err)
	}
	bad := make([]float32, 4)
	bad[2], bad[3] = float32(negInf()), float32(negInf())
	rewrite(t, filepath.Join(dir, "W_enc_1.safetensors"), "b_dec_1", bad)
	rewrite(t, filepath.Join(dir, "W_enc_0.safetensors"), "b_enc_0", make([]float32, 5))
	rewrite(t, filepath.Join(dir, "W_enc_2.safetensors"), "centre", bad)
	if err := os.WriteFile(filepath.Join(dir, "config.yaml"), []byte("model_kind: cross_layer_transcoder\nfeature_input_hook: hook_mlp_in\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var text []string
	for _, err := range Check(os.DirFS(dir)) {
		text = append(text, err.Error())
	}
	all := strings.Join(text, "\n")
	for _, want := range []string{"feature_input_hook is \"hook_mlp_in\"", "W_enc_0.safetensors, W_dec_0.safetensors: b_enc_0 is [5], should be [6]",
		"layer 1: b_dec: 2 of 4 values are not finite, the first, -Inf, at index 2", "W_enc_2.safetensors, W_dec_2.safetensors: tensor centre is not known"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in\n%s", want, all)
		}
	}
	if len(text) != 4 {
		t.Errorf("%d faults:\n%s", len(text), all)
	}

	if err := randomTranscoder(t, configs()["jumprelu"], 3).Save(dir); err != nil {
		t.Fatal(err)
	}
	rewrite(t, filepath.Join(dir, "W_enc_1.safetensors"), "b_dec_1", make([]float32, 4))
	if faults := Check(os.DirFS(dir)); len(faults) != 1 || !strings.Contains(faults[0].Error(), "changed after they were saved") {
		t.Errorf("changed weights: %v", faults)
	}
}
