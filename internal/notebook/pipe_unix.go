//go:build unix

package notebook

import "syscall"

func makePipe(path string) error { return syscall.Mkfifo(path, 0o600) }
