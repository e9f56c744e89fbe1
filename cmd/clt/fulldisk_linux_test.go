package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/etredal/cross-layer-transcoder/internal/testenv"
)

// On a disk that is too small nothing is left half written, and an older file
// stays as it was.
func TestDiskTooSmall(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "small")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=16k"); err != nil {
		testenv.Skip(t, "cannot mount a small disk, which needs root: "+err.Error())
	}
	defer func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}()
	old := filepath.Join(dir, "old.safetensors")
	writeTestFile(t, old, "old")
	whole, _ := makeGraph(t)
	for _, args := range [][]string{
		tiny("run", "-ids", "96,3,4", "-hooks", "all", "-o", old),
		joined("attribute", "-ids", "96,3,4", "-o", filepath.Join(dir, "g.safetensors")),
		joined("intervene", "-ids", "96"+strings.Repeat(",3", 30), "-edit", "0,1,9=0", "-o", old),
		{"export", whole, "-html", filepath.Join(dir, "g.html")},
		{"report", whole, "-o", filepath.Join(dir, "r.html")},
	} {
		r := cli(t, args...)
		if line := lastLine(r.stderr); r.status != statusFailed || !strings.Contains(line, "no space left") || !message.MatchString(line) {
			t.Errorf("%s: exit %d, %q", args[0], r.status, r.stderr)
		}
		if left := entries(t, dir); left != "old.safetensors" {
			t.Errorf("%s leaves %s", args[0], left)
		}
		if b, _ := os.ReadFile(old); string(b) != "old" {
			t.Errorf("%s: the old file now holds %d bytes", args[0], len(b))
		}
	}
}
