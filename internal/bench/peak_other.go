//go:build !unix

package bench

import "time"

func processorTime() time.Duration { return 0 }

func peakMB() float64 { return 0 }
