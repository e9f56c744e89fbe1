package clt

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestCoactivation holds the streamed sums against means over a dense table.
func TestCoactivation(t *testing.T) {
	const layers, features, tokens = 3, 4, 60
	r := rand.New(rand.NewPCG(1, 2))
	var dense [tokens][layers * features]float64
	var batches [][]Activation
	for i := range dense {
		if i%7 == 0 {
			batches = append(batches, nil)
		}
		last := &batches[len(batches)-1]
		for f := range dense[i] {
			if r.Float64() < 0.3 {
				a := Activation{Feature{f / features, f % features}, i % 7, float32(r.Float64() + 0.1)}
				dense[i][f] = float64(a.Value)
				*last = append(*last, a)
			}
		}
	}
	selected := Feature{1, 2}
	all, some := NewCoactivation(), NewCoactivation(selected)
	for i, b := range batches {
		r.Shuffle(len(b), func(i, j int) { b[i], b[j] = b[j], b[i] })
		n := min(7, tokens-7*i)
		all.Add(b, n)
		some.Add(b, n)
	}
	if all.Tokens() != tokens || all.Len() == 0 || some.Len() >= all.Len() {
		t.Fatalf("%d tokens, %d and %d pairs", all.Tokens(), all.Len(), some.Len())
	}
	for s := range dense[0] {
		for u := range dense[0] {
			source, target := Feature{s / features, s % features}, Feature{u / features, u % features}
			var era, product, sum float64
			for _, token := range dense {
				product += token[s] * token[u] / tokens
				sum += token[u] / tokens
				if token[u] > 0 {
					era += token[s] / tokens
				}
			}
			twera := product / sum
			if source.Layer >= target.Layer {
				era, twera = 0, 0
			}
			if math.Abs(all.Residual(source, target)-era) > 1e-12 || math.Abs(all.TargetWeighted(source, target)-twera) > 1e-12 {
				t.Errorf("%v, %v: %g and %g, want %g and %g", source, target, all.Residual(source, target), all.TargetWeighted(source, target), era, twera)
			}
			if source != selected && target != selected {
				era, twera = 0, 0
			}
			if math.Abs(some.Residual(source, target)-era) > 1e-12 || math.Abs(some.TargetWeighted(source, target)-twera) > 1e-12 {
				t.Errorf("selected: %v, %v: %g, want %g", source, target, some.Residual(source, target), era)
			}
		}
	}
	if empty := NewCoactivation(); empty.Residual(Feature{}, Feature{1, 0}) != 0 || empty.TargetWeighted(Feature{}, Feature{1, 0}) != 0 {
		t.Error("no tokens have no coactivation")
	}
}

// TestInvariant65Rescaling: the target-weighted factor does not change when the
// target's activations are scaled, and scales with the source's, as its decoder
// scales the other way.
func TestInvariant65Rescaling(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	s, u := Feature{0, 1}, Feature{2, 3}
	plain, target, source := NewCoactivation(), NewCoactivation(), NewCoactivation()
	for range 100 {
		var list []Activation
		for _, f := range []Feature{s, u} {
			if r.IntN(3) > 0 {
				list = append(list, Activation{f, 1, float32(r.Float64() + 0.1)})
			}
		}
		scaled := func(which Feature) []Activation {
			out := append([]Activation{}, list...)
			for i := range out {
				if out[i].Feature == which {
					out[i].Value *= 4
				}
			}
			return out
		}
		plain.Add(list, 1)
		target.Add(scaled(u), 1)
		source.Add(scaled(s), 1)
	}
	const v = 0.7 // virtual weight; a decoder of a quarter gives v/4
	want := plain.TargetWeighted(s, u) * v
	if got := target.TargetWeighted(s, u) * v; math.Abs(got-want) > 1e-12 || want == 0 {
		t.Errorf("with the target scaled TWERA is %g, was %g", got, want)
	}
	if got := source.TargetWeighted(s, u) * v / 4; math.Abs(got-want) > 1e-12 {
		t.Errorf("with source and decoder scaled TWERA is %g, was %g", got, want)
	}
}
