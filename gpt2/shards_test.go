package gpt2

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etredal/cross-layer-transcoder/internal/golden"
	"github.com/etredal/cross-layer-transcoder/internal/testbackend"
)

// TestBrokenShards breaks a model of several files in every way that a download can.
func TestBrokenShards(t *testing.T) {
	const index = "model.safetensors.index.json"
	shards := []string{"model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors"}
	for name, c := range map[string]struct {
		spoil func(dir string) error
		says  []string
	}{
		"a shard is missing": {func(dir string) error { return os.Remove(filepath.Join(dir, shards[1])) },
			[]string{"the index names " + shards[1] + ", which is not there", "fetch the model again"}},
		"a tensor is in two": {func(dir string) error {
			data, err := os.ReadFile(filepath.Join(dir, shards[0]))
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, shards[1]), data, 0o666)
		}, []string{"is in " + shards[0] + " and in " + shards[1], "fetch the model again"}},
		"no map": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, index), []byte(`{"weight_map":{}}`), 0o666)
		},
			[]string{index + " has no weight_map", "fetch it again"}},
		"a path": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, index), []byte(`{"weight_map":{"a":"../b"}}`), 0o666)
		}, []string{`"../b"`, "not a file of this directory"}},
		"other formats alone": {func(dir string) error {
			if err := os.Rename(filepath.Join(dir, shards[0]), filepath.Join(dir, "pytorch_model.bin")); err != nil {
				return err
			}
			return os.Remove(filepath.Join(dir, index))
		}, []string{"neither model.safetensors nor", "pytorch_model.bin", "save_pretrained"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(filepath.Join(golden.Dir(t), "checkpoints", "sharded"))); err != nil {
				t.Fatal(err)
			}
			if err := c.spoil(dir); err != nil {
				t.Fatal(err)
			}
			_, err := Load(testbackend.Open(t, "go"), dir, LoadOptions{})
			if err == nil || strings.Contains(err.Error(), "\n") {
				t.Fatalf("error %v", err)
			}
			for _, want := range c.says {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v does not say %q", err, want)
				}
			}
		})
	}
}
