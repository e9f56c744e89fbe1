package safetensors

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
)

// SHA256 is the SHA-256 over the contents of the files, one after the other, in
// hexadecimal: the identity of a model whose weights lie in several files.
func SHA256(fsys fs.FS, names []string) (string, error) {
	h := sha256.New()
	for _, name := range names {
		f, err := fsys.Open(name)
		if err != nil {
			return "", fmt.Errorf("safetensors: %w", err)
		}
		_, err = io.Copy(h, f)
		_ = f.Close()
		if err != nil {
			return "", fmt.Errorf("safetensors: %s: %w", name, err)
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
