//go:build unix

package server

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// maxSocketPath is the limit of the shortest of the systems we know, without the closing zero.
const maxSocketPath = 103

// ErrRunning means that another engine owns the socket.
var ErrRunning = errors.New("another engine is running there; use it, or stop it first")

// listen makes the socket. The lock beside it is held as long as the process lives, so a socket whose lock is free was left
// by a dead process and is replaced.
func listen(socket string) (net.Listener, func(), error) {
	if len(socket) > maxSocketPath {
		return nil, nil, fmt.Errorf("engine: socket path %s has %d bytes, at most %d are possible; set TMPDIR to a shorter folder",
			socket, len(socket), maxSocketPath)
	}
	if err := privateFolder(filepath.Dir(socket)); err != nil {
		return nil, nil, err
	}
	lock, err := os.OpenFile(socket+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("engine: lock: %w; is the folder writable and the disk not full?", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		return nil, nil, fmt.Errorf("engine: socket %s: %w", socket, ErrRunning)
	}
	if err := removeStale(socket); err != nil {
		lock.Close()
		return nil, nil, err
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		lock.Close()
		return nil, nil, fmt.Errorf("engine: socket: %w; is the folder writable and the disk not full?", err)
	}
	if err := os.Chmod(socket, 0o600); err != nil {
		l.Close()
		lock.Close()
		return nil, nil, fmt.Errorf("engine: socket: %w", err)
	}
	return l, func() { l.Close(); lock.Close() }, nil
}

// removeStale removes a socket that nobody answers on. Anything that is not a socket stays.
func removeStale(socket string) error {
	info, err := os.Lstat(socket)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("engine: socket: %w", err)
	}
	if info.Mode()&os.ModeSocket == 0 {
		return fmt.Errorf("engine: %s exists and is not a socket; remove it, or choose another path", socket)
	}
	if c, err := net.DialTimeout("unix", socket, 200*time.Millisecond); err == nil {
		c.Close()
		return fmt.Errorf("engine: socket %s: %w", socket, ErrRunning)
	}
	if err := os.Remove(socket); err != nil {
		return fmt.Errorf("engine: stale socket: %w", err)
	}
	return nil
}

// privateFolder makes sure that only this user can reach the socket: whoever reaches it can read and write files as us.
func privateFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("engine: socket folder: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("engine: socket folder: %w", err)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != os.Getuid() {
		return fmt.Errorf("engine: socket folder %s belongs to user %d; use a folder of your own", dir, stat.Uid)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("engine: socket folder %s has mode %04o, others can enter it; chmod 700 it", dir, info.Mode().Perm())
	}
	return nil
}
