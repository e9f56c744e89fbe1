// Package golden finds the reference data that may lie beside a checkout. A clone does not have it: package-local
// testdata holds the compact subset that every clone tests against.
package golden

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/etredal/cross-layer-transcoder/internal/testenv"
)

// Find returns the folder shared/golden beside the module root (the folder with go.mod above the working directory),
// and false when there is none.
func Find() (string, bool) {
	dir, err := os.Getwd()
	if err != nil {
		return "", false
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			golden := filepath.Join(filepath.Dir(dir), "shared", "golden")
			info, err := os.Stat(golden)
			return golden, err == nil && info.IsDir()
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", false
		}
		dir = parent
	}
}

// Dir returns the folder of the reference data, or skips the test.
func Dir(t testing.TB) string {
	t.Helper()
	return NeedGolden(t)
}

// NeedGolden is Dir under the name that reads well at the top of a test.
func NeedGolden(t testing.TB) string {
	t.Helper()
	dir, ok := Find()
	if !ok {
		testenv.Skip(t, "no ../shared/golden beside the module root; the subset in testdata is tested instead")
	}
	return dir
}
