//go:build !unix

package bench

func peakMB() float64 { return 0 }
