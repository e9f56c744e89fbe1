package server

import (
	"context"
	"os"
	"syscall"
	"time"
)

// pollExit returns when the process no longer takes signals, or ctx ends. A killed process that its parent has not collected
// still takes them: only waitExit on Linux sees that.
func pollExit(ctx context.Context, pid int) {
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	p, err := os.FindProcess(pid)
	if err != nil {
		return
	}
	for p.Signal(syscall.Signal(0)) == nil {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
