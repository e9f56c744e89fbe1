package clt

import (
	"math/rand/v2"
)

// synthetic makes activations with known sparse causes: every token has a few of
// many causes of random strength in each layer, what is read is the sum of their
// directions, and what is written is the sum of directions that the causes of
// that layer and earlier ones have in that layer.
func synthetic(layers, d, causes, perToken, tokens int, seed uint64) *Activations {
	rng := rand.New(rand.NewPCG(seed, 3))
	world := rand.New(rand.NewPCG(99, 4)) // the same directions for every seed
	directions := func(n int) []float32 {
		v := make([]float32, n*d)
		for i := range v {
			v[i] = float32(world.NormFloat64())
		}
		return v
	}
	a := &Activations{DModel: d}
	read := make([][]float32, layers)
	write := make([][][]float32, layers)
	for l := range layers {
		read[l] = directions(causes)
		for range layers - l {
			write[l] = append(write[l], directions(causes))
		}
		a.In, a.Out = append(a.In, make([]float32, tokens*d)), append(a.Out, make([]float32, tokens*d))
	}
	for i := range tokens {
		for l := range layers {
			for range perToken {
				c, strength := rng.IntN(causes), float32(0.5+rng.Float64())
				for j := range d {
					a.In[l][i*d+j] += strength * read[l][c*d+j]
					for k := range layers - l {
						a.Out[l+k][i*d+j] += strength * write[l][k][c*d+j] / float32(k+1)
					}
				}
			}
		}
	}
	return a
}
