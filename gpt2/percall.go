package gpt2

// callProducts bounds the multiplications of one run of the model, about half a
// second's on two cores: a run cannot be broken off, and a stop should not wait long.
const callProducts = 45e9

// WindowsPerCall is how many of n windows a program may take at once, so that a run
// is short and its activations few; tokens is what it computes for each window: its
// length times the passes through the model. It divides n, so that all runs have one shape.
func (c Config) WindowsPerCall(n, tokens int) int {
	products := 12 * float64(c.Layers) * float64(c.DModel) * float64(c.DModel) * float64(tokens)
	for parts := 1; parts < n; parts++ {
		if n%parts == 0 && products*float64(n/parts) <= callProducts {
			return n / parts
		}
	}
	return 1
}
