package gpt2

// callProducts bounds the multiplications of one run of the model, about half a
// second's on two cores: a run cannot be broken off, and a stop should not wait long.
const callProducts = 45e9

// BlockProducts is how many multiplications the matrices of all blocks take for a token:
// four of attention and two of the MLP. Scores and mixing of attention are not among them.
func (c Config) BlockProducts() float64 {
	d, mlp := float64(c.DModel), float64(c.DMLP)
	return float64(c.Layers) * d * (4*d + 2*mlp)
}

// WindowsPerCall is how many of n windows a program may take at once, so that a run
// is short and its activations few; tokens is what it computes for each window: its
// length times the passes through the model. It divides n, so that all runs have one shape.
func (c Config) WindowsPerCall(n, tokens int) int {
	products := c.BlockProducts() * float64(tokens)
	for parts := 1; parts < n; parts++ {
		if n%parts == 0 && products*float64(n/parts) <= callProducts {
			return n / parts
		}
	}
	return 1
}
