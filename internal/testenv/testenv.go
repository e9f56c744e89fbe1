// Package testenv owns every skip of the test suite, so that a test that did not run says why.
package testenv

import (
	"os"
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
