package clt

// Metrics is filled in eval.go.
type Metrics struct{}
