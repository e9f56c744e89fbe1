package replacement

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/internal/naive"
	"github.com/etredal/cross-layer-transcoder/internal/testbackend"
	"github.com/etredal/cross-layer-transcoder/internal/toy"
)

var randomPrompt = []int32{12, 3, 7, 3, 0, 9}

// randomCase is a random model with one transcoder on one prompt, in float64, and
// the same for the oracle.
type randomCase struct {
	*Local
	plain *naive.Local
}

// onRandom runs a test on a random model with every kind of transcoder, half of
// them with -short. change, if not nil, edits the weights first.
func onRandom(t *testing.T, change func(gpt2.Params, *clt.Transcoder), test func(t *testing.T, c randomCase)) {
	cfg := toy.RandomConfig()
	for name, kind := range toy.RandomKinds(cfg) {
		if testing.Short() && strings.Contains(name, " other ") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			params, x := toy.RandomModel(cfg, 3), toy.RandomCLT(kind, 4)
			if change != nil {
				change(params, x)
			}
			m := joined(t, cfg, params, x)
			test(t, randomCase{localized(t, m, randomPrompt), naive.Localize(toy.NaiveModel(cfg, params), toy.NaiveCLT(x), randomPrompt)})
		})
	}
}

func joined(t *testing.T, cfg gpt2.Config, params gpt2.Params, x *clt.Transcoder) *Model {
	t.Helper()
	lm, err := gpt2.New(testbackend.Open(t, "go"), cfg, params, gpt2.LoadOptions{Double: true})
	if err != nil {
		t.Fatal(err)
	}
	m, err := New(lm, x, attribution.Artifact{Name: "random"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

func localized(t *testing.T, m *Model, tokens []int32) *Local {
	t.Helper()
	l, err := m.Localize(tokens)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// graphOf is the graph of some targets, of the top logits if there are none.
func graphOf(t *testing.T, l *Local, targets ...Target) *attribution.Graph {
	t.Helper()
	cfg := DefaultAttributeConfig()
	cfg.Targets = targets
	g, err := l.Attribute(t.Context(), cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// copied is the same local model, to be changed for a test.
func (l *Local) copied() *Local {
	return &Local{Model: l.Model, Tokens: l.Tokens, Logits: l.Logits, Active: l.Active, embed: l.embed, posEmb: l.posEmb,
		pattern: l.pattern, scale1: l.scale1, scale2: l.scale2, scaleF: l.scaleF, mlpOut: l.mlpOut, errors: l.errors,
		pre: l.pre, act: l.act, skip: l.skip}
}

// noise is an array of normal draws.
func noise(r *rand.Rand, shape ...int) gpt2.Array {
	a := gpt2.NewArray(shape, true)
	for i := range a.F64 {
		a.F64[i] = r.NormFloat64()
	}
	return a
}

func plus(a, b gpt2.Array) gpt2.Array {
	return gpt2.Array{Shape: a.Shape, F64: addedTo(a.F64, b.F64)}
}

func addedTo(a, b []float64) []float64 {
	c := slices.Clone(a)
	addTo(c, b)
	return c
}
