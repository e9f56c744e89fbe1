//go:build unix

package bench

import (
	"os"
	"regexp"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// processorTime is what this process has used of all processors: unlike the clock it
// does not count who else is busy.
func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

var highWater = regexp.MustCompile(`(?m)^VmHWM:\s+([0-9]+) kB$`)

// peakMB is the largest resident memory of this process so far, in MB. The usage that
// the system counts takes in that of the process that started it, so the kernel's own
// mark goes first where there is one.
func peakMB() float64 {
	if status, err := os.ReadFile("/proc/self/status"); err == nil {
		if found := highWater.FindSubmatch(status); found != nil {
			kb, _ := strconv.ParseFloat(string(found[1]), 64)
			return kb * 1024 / 1e6
		}
	}
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	if runtime.GOOS == "darwin" {
		return float64(u.Maxrss) / 1e6 // bytes there
	}
	return float64(u.Maxrss) * 1024 / 1e6
}
