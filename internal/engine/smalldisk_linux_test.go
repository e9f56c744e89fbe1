package engine

import (
	"os"
	"syscall"
	"testing"

	"github.com/etredal/cross-layer-transcoder/internal/testenv"
)

// smallDisk mounts a disk of 4 MiB.
func smallDisk(t *testing.T, dir string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); err != nil {
		testenv.Skip(t, "cannot mount a small disk, which needs root: "+err.Error())
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
}
