package lab

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"

	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
	"github.com/etredal/cross-layer-transcoder/viz"
)

// maxOperands is how many operands there may be: their pairs are run one by one.
const maxOperands = 100

// Operands asks the same question of all pairs of n operands and records which
// features are active on its last token. The format takes two numbers: " %d plus %d
// is".
func (s *Session) Operands(format string, n int) *Operands {
	o := &Operands{N: n}
	if strings.Count(format, "%d") != 2 || strings.Count(format, "%") != 2 || n < 1 || n > maxOperands {
		fail("operands", &wire.Error{Message: fmt.Sprintf("lab: operands: %d numbers in %q", n, format),
			Cure: fmt.Sprintf("give a text with two places for a number, as in \" %%d plus %%d is\", and from 1 to %d numbers", maxOperands)})
		return o
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	bar, at := newBar("operands"), map[[2]int]int{}
	for pair := range n * n {
		f := &Encoding{}
		req := wire.EncodeRequest{Setup: s.on(), Prompt: wire.Prompt{Text: fmt.Sprintf(format, pair/n, pair%n)}}
		if err := s.call(ctx, "encode", req, &f.EncodeResponse, nil); err != nil {
			bar.finish(err)
			fail("operands", err)
			return o
		}
		bar.update(wire.Progress{Phase: "operands", Done: pair + 1, Total: n * n})
		for _, x := range f.Active {
			if x.Pos != len(f.Tokens)-1 {
				continue
			}
			k := [2]int{x.Layer, x.Index}
			i, seen := at[k]
			if !seen {
				i = len(o.Features)
				at[k] = i
				o.Features = append(o.Features, Operand{Layer: x.Layer, Index: x.Index, Values: make([]float64, n*n)})
			}
			o.Features[i].Values[pair] = x.Value
		}
	}
	bar.finish(nil)
	for i := range o.Features {
		o.Features[i].n = n
	}
	slices.SortFunc(o.Features, func(a, b Operand) int {
		return cmp.Or(cmp.Compare(b.On(), a.On()), cmp.Compare(a.Layer, b.Layer), cmp.Compare(a.Index, b.Index))
	})
	return o
}

// Operands are features over all pairs of operands, the one that is on most first.
type Operands struct {
	N        int
	Features []Operand
}

// Between keeps the features that are on for at least low and at most high pairs.
func (o *Operands) Between(low, high int) *Operands {
	p := &Operands{N: o.N}
	for _, f := range o.Features {
		if n := f.On(); n >= low && n <= high {
			p.Features = append(p.Features, f)
		}
	}
	return p
}

// Layer keeps the features of a layer.
func (o *Operands) Layer(layer int) *Operands {
	p := &Operands{N: o.N}
	for _, f := range o.Features {
		if f.Layer == layer {
			p.Features = append(p.Features, f)
		}
	}
	return p
}

// Output draws the first eight.
func (o *Operands) Output() viz.Output {
	var plots []viz.OperandPlot
	for _, f := range o.Features[:min(8, len(o.Features))] {
		plots = append(plots, viz.OperandPlot{Name: fmt.Sprintf("L%d/F%d", f.Layer, f.Index), Values: slices.Collect(slices.Chunk(f.Values, o.N))})
	}
	return viz.Operands("Features over all pairs of operands", plots)
}

// Operand is one feature: Values[a·n+b] is its activation on the pair (a, b).
type Operand struct {
	Layer, Index int
	Values       []float64
	n            int
}

// On counts the pairs on which the feature is active.
func (o Operand) On() int {
	n := 0
	for _, x := range o.Values {
		if x > 0 {
			n++
		}
	}
	return n
}

// Explained is the part of the variance over all pairs that a key of the operands
// explains: 1 if the activation depends on the key alone, 0 if not at all.
func (o Operand) Explained(key func(a, b int) int) float64 {
	sum, count := map[int]float64{}, map[int]float64{}
	for i, x := range o.Values {
		k := key(i/o.n, i%o.n)
		sum[k], count[k] = sum[k]+x, count[k]+1
	}
	mean, within := Mean(o.Values), 0.0
	for i, x := range o.Values {
		k := key(i/o.n, i%o.n)
		d := x - sum[k]/count[k]
		within += d * d
	}
	all := 0.0
	for _, x := range o.Values {
		all += (x - mean) * (x - mean)
	}
	if all == 0 {
		return 0
	}
	return 1 - within/all
}

// Rule says by a straight rule what the feature follows: "one operand" or "the sum" if
// that alone explains more than half of the variance, "a pair: look-up" otherwise.
func (o Operand) Rule() string {
	one := max(o.Explained(func(a, _ int) int { return a }), o.Explained(func(_, b int) int { return b }))
	sum := o.Explained(func(a, b int) int { return a + b })
	switch {
	case one > 0.5 && one > sum:
		return "one operand"
	case sum > 0.5:
		return "the sum"
	}
	return "a pair: look-up"
}

// Broken is the part of the pairs of active cells (a,b), (c,d) for which neither (a,d)
// nor (c,b) is active: none if what the feature reads is additive in the operands
// (the parallelogram constraint).
func (o Operand) Broken() float64 {
	bad, all := 0, 0
	for i, x := range o.Values {
		for j, y := range o.Values[:i] {
			a, b, c, d := i/o.n, i%o.n, j/o.n, j%o.n
			if a == c || b == d || x <= 0 || y <= 0 {
				continue
			}
			all++
			if o.Values[a*o.n+d] <= 0 && o.Values[c*o.n+b] <= 0 {
				bad++
			}
		}
	}
	if all == 0 {
		return 0
	}
	return float64(bad) / float64(all)
}
