//go:build unix

package safetensors

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/etredal/cross-layer-transcoder/internal/testenv"
)

// Opening a pipe would wait for somebody to write into it.
func TestPipeIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		testenv.Skip(t, "no pipes here: "+err.Error())
	}
	_, err := Open(filepath.Join(dir, "pipe"))
	_, fromFS := OpenFS(os.DirFS(dir), "pipe")
	for _, err := range []error{err, fromFS} {
		if err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("error %v", err)
		}
	}
}
