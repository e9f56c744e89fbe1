// Package testenv owns every skip of the test suite, so that a test that did not run says why, and what tests of several
// packages share.
package testenv

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// Skip skips the test and prints the reason, which should name what is missing and how to provide it.
func Skip(t testing.TB, reason string) {
	t.Helper()
	t.Skipf("skipped: %s", reason)
}

// Slow skips a test that belongs to the full tier when -short is given.
func Slow(t testing.TB) {
	t.Helper()
	if testing.Short() {
		Skip(t, "belongs to the full tier; run without -short")
	}
}

// ChildEnv is the environment of a process that a test starts and may kill, with more variables: its temporary files lie
// in a folder that goes with the test, since who is killed cleans up nothing.
func ChildEnv(t testing.TB, more ...string) []string {
	t.Helper()
	return append(append(os.Environ(), "TMPDIR="+t.TempDir()), more...)
}

// Files is the content of every file below a folder, by its path with slashes.
func Files(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		files[filepath.ToSlash(name)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
