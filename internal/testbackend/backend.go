// Package testbackend opens compute backends for tests.
package testbackend

import (
	"sync"
	"testing"

	"github.com/gomlx/compute"

	"github.com/etredal/cross-layer-transcoder/internal/backend"
	"github.com/etredal/cross-layer-transcoder/internal/testenv"
)

var (
	mu     sync.Mutex
	opened = map[string]compute.Backend{}
)

// Open opens a backend once per test binary: "go" always works; others skip the
// test, with the reason, when they are not on this machine.
func Open(t testing.TB, name string) compute.Backend {
	t.Helper()
	mu.Lock()
	defer mu.Unlock()
	if b := opened[name]; b != nil {
		return b
	}
	b, _, err := backend.Open(name)
	if err != nil {
		if name == "go" {
			t.Fatal(err)
		}
		testenv.Skip(t, err.Error())
	}
	opened[name] = b
	return b
}
