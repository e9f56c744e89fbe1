//go:build unix

package bench

import (
	"runtime"
	"syscall"
)

// peakMB is the largest resident memory of this process so far, in MB.
func peakMB() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	if runtime.GOOS == "darwin" {
		return float64(u.Maxrss) / 1e6 // bytes there
	}
	return float64(u.Maxrss) * 1024 / 1e6
}
