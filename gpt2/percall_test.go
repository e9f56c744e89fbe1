package gpt2

import "testing"

// TestWindowsPerCall: a large model runs on few windows at a time, a small one on all,
// and every run has the same number.
func TestWindowsPerCall(t *testing.T) {
	small, pocket := Config{Layers: 12, DModel: 768, DMLP: 3072}, Config{Layers: 4, DModel: 128, DMLP: 512}
	for _, c := range []struct {
		config          Config
		n, window, want int
	}{{small, 32, 128, 4}, {small, 32, 1024, 1}, {small, 31, 128, 1}, {small, 1, 4096, 1}, {pocket, 32, 64, 32}} {
		if got := c.config.WindowsPerCall(c.n, c.window); got != c.want {
			t.Errorf("%d layers, %d windows of %d: %d a call, want %d", c.config.Layers, c.n, c.window, got, c.want)
		}
	}
}
