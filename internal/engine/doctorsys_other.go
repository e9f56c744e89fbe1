//go:build !linux

package engine

func memory() (total, free uint64, ok bool) { return 0, 0, false }

func freeDisk(string) (uint64, bool) { return 0, false }
