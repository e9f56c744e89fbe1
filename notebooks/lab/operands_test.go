package lab

import (
	"math"
	"testing"
)

// Operand plots with known answers.
func TestOperandRules(t *testing.T) {
	plot := func(f func(a, b int) float64) Operand {
		o := Operand{n: 10}
		for a := range 10 {
			for b := range 10 {
				o.Values = append(o.Values, f(a, b))
			}
		}
		return o
	}
	stripe := plot(func(a, _ int) float64 { return map[bool]float64{true: 2}[a == 3] })
	diagonal := plot(func(a, b int) float64 { return map[bool]float64{true: 1}[a+b == 9] })
	point := plot(func(a, b int) float64 { return map[bool]float64{true: 1}[a == 6 && b == 9] })
	additive := plot(func(a, b int) float64 { return math.Max(0, float64(a*a+3*b)-40) })
	for _, c := range []struct {
		name, rule string
		o          Operand
		on         int
		broken     float64
	}{{"stripe", "one operand", stripe, 10, 0}, {"diagonal", "the sum", diagonal, 10, 1}, {"point", "a pair: look-up", point, 1, 0}} {
		if c.o.Rule() != c.rule || c.o.On() != c.on || c.o.Broken() != c.broken {
			t.Errorf("%s: rule %q, on %d, broken %g", c.name, c.o.Rule(), c.o.On(), c.o.Broken())
		}
	}
	if additive.Broken() != 0 || additive.On() == 0 {
		t.Errorf("a threshold on a sum of two functions breaks the rule in %g of the pairs", additive.Broken())
	}
	if e := stripe.Explained(func(a, _ int) int { return a }); math.Abs(e-1) > 1e-12 {
		t.Errorf("the operand explains %g of a stripe", e)
	}
}
