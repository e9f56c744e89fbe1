package clt_test

import (
	"math"
	"testing"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/internal/naive"
	"github.com/etredal/cross-layer-transcoder/internal/testbackend"
	"github.com/etredal/cross-layer-transcoder/internal/toy"
)

// TestCoactivate: statistics from a model's own activations are those of plain
// loops over the same tokens, position 0 left out, cut at the number asked for.
func TestCoactivate(t *testing.T) {
	cfg := toy.RandomConfig()
	windows := func(step int) ([][]int32, error) {
		s := int32(step)
		return [][]int32{{12, 3 + s%5, 7, 0, 9}, {12, 1, 2 + s, 4, 11}}, nil
	}
	for name, kind := range toy.RandomKinds(cfg) {
		params, x := toy.RandomModel(cfg, 3), toy.RandomCLT(kind, 4)
		lm, err := gpt2.New(testbackend.Open(t, "go"), cfg, params, gpt2.LoadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		const tokens = 19 // two steps and three tokens
		last := 0
		got, err := clt.Coactivate(t.Context(), lm, x, windows, tokens, nil, func(done int) { last = done })
		if err != nil {
			t.Fatal(err)
		}
		if got.Tokens() != tokens || last != tokens {
			t.Fatalf("%s: %d tokens, reported %d", name, got.Tokens(), last)
		}
		var acts [][][]float64 // token -> layer -> [features]
		m, c := toy.NaiveModel(cfg, params), toy.NaiveCLT(x)
		for step := 0; len(acts) < tokens; step++ {
			batch, _ := windows(step)
			for _, w := range batch {
				local := naive.Localize(m, c, w)
				for p := 1; p < len(w) && len(acts) < tokens; p++ {
					var token [][]float64
					for l := range kind.Layers {
						token = append(token, local.Act[l][p*kind.Features:][:kind.Features])
					}
					acts = append(acts, token)
				}
			}
		}
		together := 0
		for f := range kind.Features {
			for g := range kind.Features {
				s, u := clt.Feature{Layer: 0, Index: f}, clt.Feature{Layer: 2, Index: g}
				var era, product, sum float64
				for _, a := range acts {
					if a[2][g] > 0 {
						era += a[0][f] / tokens
					}
					product, sum = product+a[0][f]*a[2][g], sum+a[2][g]
				}
				if product > 0 {
					together++
					product /= sum
				}
				if math.Abs(got.Residual(s, u)-era) > 1e-4 || math.Abs(got.TargetWeighted(s, u)-product) > 1e-4 {
					t.Fatalf("%s: %v and %v: %g and %g, plain loops say %g and %g", name, s, u, got.Residual(s, u), got.TargetWeighted(s, u), era, product)
				}
			}
		}
		if together < 5 {
			t.Errorf("%s: %d pairs are ever active together", name, together)
		}
		some, err := clt.Coactivate(t.Context(), lm, x, windows, tokens, []clt.Feature{{Layer: 1, Index: 2}}, nil)
		if err != nil || some.Len() >= got.Len() {
			t.Errorf("%s: of one feature %d pairs, of all %d; %v", name, some.Len(), got.Len(), err)
		}
	}
}
