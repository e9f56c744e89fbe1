// Package testenv owns every skip of the test suite, so that a test that did not run says why.
package testenv

import "testing"

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
