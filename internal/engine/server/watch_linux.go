package server

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"
)

// waitExit returns when the process has ended, or ctx has. A pidfd also sees processes that were killed and remain as
// zombies: Jupyter does not collect a killed kernel at once.
func waitExit(ctx context.Context, pid int) {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return
	}
	if err != nil { // a kernel before 5.3, or a sandbox
		pollExit(ctx, pid)
		return
	}
	defer unix.Close(fd)
	for ctx.Err() == nil {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 1000)
		if n > 0 || (err != nil && !errors.Is(err, unix.EINTR)) {
			return
		}
	}
}
