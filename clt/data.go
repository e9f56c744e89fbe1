package clt

import (
	"fmt"
	"iter"
	"math/rand/v2"
)

// Batch holds raw activations of some tokens, by layer: what the encoders read
// and the MLP outputs, both [tokens, d_model] row-major. Tokens at position 0 of
// a prompt are left out.
type Batch struct {
	In, Out [][]float32
}

// Tokens is the number of tokens; dModel is the width of an activation.
func (b Batch) Tokens(dModel int) int {
	if len(b.In) == 0 || dModel <= 0 {
		return 0
	}
	return len(b.In[0]) / dModel
}

// check says whether the batch fits a transcoder.
func (b Batch) check(c Config) error {
	if len(b.In) != c.Layers || len(b.Out) != c.Layers {
		return fmt.Errorf("clt: batch has activations of %d and %d layers, config wants %d; is the data from another model?", len(b.In), len(b.Out), c.Layers)
	}
	want := b.Tokens(c.DModel) * c.DModel
	for l := range b.In {
		if len(b.In[l]) != want || len(b.Out[l]) != want || want == 0 {
			return fmt.Errorf("clt: batch has %d and %d values in layer %d, not the same positive multiple of d_model %d in every layer",
				len(b.In[l]), len(b.Out[l]), l, c.DModel)
		}
	}
	return nil
}

// otherTargets gives each token the outputs of the token after it, the last those of
// the first. In a shuffled batch that is a token drawn at random, and never itself.
func (b Batch) otherTargets(dModel int) Batch {
	out := make([][]float32, len(b.Out))
	for l, y := range b.Out {
		out[l] = append(append(make([]float32, 0, len(y)), y[dModel:]...), y[:dModel]...)
	}
	return Batch{In: b.In, Out: out}
}

// slice returns the tokens from begin to end; it shares memory.
func (b Batch) slice(dModel, begin, end int) Batch {
	var s Batch
	for l := range b.In {
		s.In = append(s.In, b.In[l][begin*dModel:end*dModel])
		s.Out = append(s.Out, b.Out[l][begin*dModel:end*dModel])
	}
	return s
}

// Activations is a cache of activations in memory.
type Activations struct {
	DModel int
	Batch
}

// Append copies the tokens of a batch to the end.
func (a *Activations) Append(b Batch) error {
	if a.In == nil {
		a.In, a.Out = make([][]float32, len(b.In)), make([][]float32, len(b.Out))
	}
	if err := b.check(Config{Layers: len(a.In), DModel: a.DModel}); err != nil {
		return err
	}
	for l := range b.In {
		a.In[l] = append(a.In[l], b.In[l]...)
		a.Out[l] = append(a.Out[l], b.Out[l]...)
	}
	return nil
}

// Len is the number of tokens.
func (a *Activations) Len() int { return a.Tokens(a.DModel) }

// Split returns the tokens before n and those from n on, without copying.
func (a *Activations) Split(n int) (first, rest *Activations) {
	return &Activations{a.DModel, a.slice(a.DModel, 0, n)}, &Activations{a.DModel, a.slice(a.DModel, n, a.Len())}
}

// Batches yields batches of size tokens without end: each epoch goes through all
// tokens in an order drawn from the seed and drops a last short batch. It starts
// after the first skip batches, which costs nothing. Batches are the caller's.
func (a *Activations) Batches(size int, seed uint64, skip int) iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) {
		perEpoch := 0
		if size > 0 {
			perEpoch = a.Len() / size
		}
		if perEpoch == 0 {
			yield(Batch{}, fmt.Errorf("clt: batches of %d tokens from %d tokens; make the batch smaller or collect more", size, a.Len()))
			return
		}
		for epoch := skip / perEpoch; ; epoch++ {
			order := rand.New(rand.NewPCG(seed, uint64(epoch))).Perm(a.Len())
			first := 0
			if epoch == skip/perEpoch {
				first = skip % perEpoch
			}
			for i := first; i < perEpoch; i++ {
				if !yield(a.gather(order[i*size:(i+1)*size]), nil) {
					return
				}
			}
		}
	}
}

// InOrder yields all tokens once, in order, in batches of at most size.
func (a *Activations) InOrder(size int) iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) {
		for i := 0; i < a.Len(); i += size {
			if !yield(a.slice(a.DModel, i, min(i+size, a.Len())), nil) {
				return
			}
		}
	}
}

func (a *Activations) gather(tokens []int) Batch {
	d := a.DModel
	pick := func(from []float32) []float32 {
		to := make([]float32, len(tokens)*d)
		for i, t := range tokens {
			copy(to[i*d:(i+1)*d], from[t*d:(t+1)*d])
		}
		return to
	}
	var b Batch
	for l := range a.In {
		b.In, b.Out = append(b.In, pick(a.In[l])), append(b.Out, pick(a.Out[l]))
	}
	return b
}
