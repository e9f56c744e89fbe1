package gpt2

import (
	"fmt"
	"testing"
)

// TestProgramsGiveWay: the least recently used key goes when there are too many.
func TestProgramsGiveWay(t *testing.T) {
	var p programs[int]
	built := 0
	get := func(key string) {
		t.Helper()
		if _, err := p.get(key, func() (int, error) { built++; return built, nil }); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 * maxPrograms {
		get("often")
		get(fmt.Sprint(i))
	}
	if n := len(p.byKey); n != maxPrograms || len(p.order) != n {
		t.Errorf("%d programs in the order of %d keys, want %d", n, len(p.order), maxPrograms)
	}
	if want := 3*maxPrograms + 1; built != want {
		t.Errorf("%d programs were built, want %d: the one that is used often stays", built, want)
	}
	if _, err := p.get("bad", func() (int, error) { return 0, fmt.Errorf("no") }); err == nil || p.byKey["bad"] != 0 {
		t.Error("a program that cannot be built was kept")
	}
}
