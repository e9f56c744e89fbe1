package clt

import (
	"io/fs"
	"path"
	"slices"

	"github.com/etredal/cross-layer-transcoder/internal/safetensors"
)

// HashWeights is the SHA-256 over the bytes of all files of tensors in a folder,
// in the order of their paths.
func HashWeights(fsys fs.FS) (string, error) {
	var names []string
	err := fs.WalkDir(fsys, ".", func(p string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() && p != "." && e.Name()[0] == '.' {
			return fs.SkipDir
		}
		if err == nil && !e.IsDir() && path.Ext(p) == ".safetensors" {
			names = append(names, p)
		}
		return err
	})
	if err != nil {
		return "", err
	}
	slices.Sort(names)
	return safetensors.SHA256(fsys, names)
}

// RecordedHash is what HashWeights gave when Save wrote the folder, as clt.json has
// it: known without reading the weights, and right only if nobody changed them. ""
// if it was not recorded.
func RecordedHash(fsys fs.FS) string {
	side, err := readSidecar(fsys)
	if err != nil || side == nil {
		return ""
	}
	return side.Weights
}
