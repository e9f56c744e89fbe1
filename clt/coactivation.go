package clt

import (
	"cmp"
	"slices"
)

// Coactivation adds up, over tokens, which features are active together. It keeps
// sums for the pairs that it has seen and no others, a source of an earlier layer
// and a target of a later one at the same position: what coactivation-weighted
// virtual weights need (method: Anthropic 2025, "Circuit Tracing", global weights).
type Coactivation struct {
	tokens int
	only   map[Feature]bool // nil for all features
	sum    map[Feature]float64
	pairs  map[[2]Feature]pairSums
}

// pairSums are the sums of one source and target.
type pairSums struct {
	product float64 // Σ a_t·a_s
	source  float64 // Σ 1(a_t > 0)·a_s
}

// NewCoactivation starts empty sums. If features are given, only pairs with one of
// them are kept, which bounds the memory.
func NewCoactivation(features ...Feature) *Coactivation {
	c := &Coactivation{sum: map[Feature]float64{}, pairs: map[[2]Feature]pairSums{}}
	for _, f := range features {
		if c.only == nil {
			c.only = map[Feature]bool{}
		}
		c.only[f] = true
	}
	return c
}

// Add takes the active features of some tokens. Pos tells the tokens apart; tokens
// counts them, those without active features too.
func (c *Coactivation) Add(active []Activation, tokens int) {
	c.tokens += tokens
	sorted := slices.Clone(active)
	slices.SortFunc(sorted, func(a, b Activation) int {
		return cmp.Or(cmp.Compare(a.Pos, b.Pos), cmp.Compare(a.Layer, b.Layer), cmp.Compare(a.Index, b.Index))
	})
	for lo := 0; lo < len(sorted); {
		hi := lo
		for hi < len(sorted) && sorted[hi].Pos == sorted[lo].Pos {
			hi++
		}
		c.addToken(sorted[lo:hi])
		lo = hi
	}
}

// addToken takes the active features of one token, by layer.
func (c *Coactivation) addToken(active []Activation) {
	for i, t := range active {
		c.sum[t.Feature] += float64(t.Value)
		if !(t.Value > 0) {
			continue
		}
		for _, s := range active[:i] {
			if s.Layer == t.Layer || c.only != nil && !c.only[s.Feature] && !c.only[t.Feature] {
				continue
			}
			k := [2]Feature{s.Feature, t.Feature}
			p := c.pairs[k]
			p.product += float64(t.Value) * float64(s.Value)
			p.source += float64(s.Value)
			c.pairs[k] = p
		}
	}
}

// Tokens is the number of tokens so far.
func (c *Coactivation) Tokens() int { return c.tokens }

// Len is the number of pairs that are kept.
func (c *Coactivation) Len() int { return len(c.pairs) }

// Residual is E[1(a_t > 0)·a_s], the factor of expected residual attribution (ERA):
// 0 for features that are never active together.
func (c *Coactivation) Residual(source, target Feature) float64 {
	if c.tokens == 0 {
		return 0
	}
	return c.pairs[[2]Feature{source, target}].source / float64(c.tokens)
}

// TargetWeighted is E[a_t·a_s]/E[a_t], the factor of target-weighted expected
// residual attribution (TWERA). It does not change when the target's activations
// are scaled.
func (c *Coactivation) TargetWeighted(source, target Feature) float64 {
	if p, ok := c.pairs[[2]Feature{source, target}]; ok {
		return p.product / c.sum[target]
	}
	return 0
}
