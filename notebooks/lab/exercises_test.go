package lab

import (
	"math"
	"os/exec"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// An exercise accepts a right answer, and shows a case and a hint for a wrong one.
func TestExercises(t *testing.T) {
	influence := func(share [][]float64, weight []float64) []float64 {
		sum, step := make([]float64, len(weight)), weight
		for range weight {
			next := make([]float64, len(weight))
			for t, row := range share {
				next = Sum(next, Times(row, step[t]))
			}
			sum, step = Sum(sum, next), next
		}
		return sum
	}
	activation := func(x, w []float64, b, theta float64) float64 {
		if h := Dot(x, w) + b; h > theta {
			return h
		}
		return 0
	}
	for _, c := range []struct {
		name string
		try  func()
		want string // "" for solved
	}{
		{"activation", func() { TryActivation(activation) }, ""},
		{"activation at the threshold", func() {
			TryActivation(func(x, w []float64, b, theta float64) float64 {
				if h := Dot(x, w) + b; h >= theta {
					return h
				}
				return 0
			})
		}, "hint 2"},
		{"influence", func() { TryInfluence(influence) }, ""},
		{"influence, first power", func() {
			TryInfluence(func(share [][]float64, w []float64) []float64 { return Times(share[5], w[5]) })
		}, "hint 3"},
		{"influence of wrong length", func() { TryInfluence(func([][]float64, []float64) []float64 { return nil }) }, "expected"},
		{"through LN", func() { TryThroughLN(ThroughLN) }, ""},
		{"through LN without the mean", func() {
			TryThroughLN(func(d, g []float64, sigma float64) []float64 { return Times(d, 1/sigma) })
		}, "hint 2"},
		{"NaN", func() { TryNMSE(func(_, _ [][]float64) float64 { return math.NaN() }) }, "NaN"},
		{"parallelogram", func() { TryParallelogram(func([][]bool) float64 { return -1 }) }, "hint 1"},
	} {
		shown, status := screen(t)
		c.try()
		last := (*shown)[len(*shown)-1].Plain
		if solved := c.want == ""; solved != (*status == 0) || solved && !strings.HasPrefix(last, "✓") || !solved && !strings.Contains(last, c.want) {
			t.Errorf("%s: status %d, %q, want %q", c.name, *status, last, c.want)
		}
	}
}

func TestArrays(t *testing.T) {
	_, status := screen(t)
	a := Array{[]int{2, 3, 2}, []float64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}}
	if a.At(1, 2, 0) != 10 || a.At(-1, -1, -1) != 11 || len(a.Row(1)) != 6 || a.Row(0, 1)[1] != 3 || *status != 0 {
		t.Errorf("%v, status %d", a, *status)
	}
	if m := a.MeanRow(); m[0] != 3 || len(m) != 6 {
		t.Errorf("mean %v", m)
	}
	for _, bad := range []func(){func() { a.At(0) }, func() { a.Row(2) }, func() { a.Row(0, 0, 0, 0) }, func() { Dot([]float64{1}, nil) }, func() { MaxDiff(a, Array{}) }, func() { KL([]float64{1}, nil) }} {
		_, status := screen(t)
		if bad(); *status == 0 {
			t.Error("a wrong index or length ends in no red line")
		}
	}
	if k := KL([]float64{0, 1000, 5}, []float64{0, 1000, 5}); k != 0 {
		t.Errorf("KL of a row with itself is %g", k)
	}
	p, q := 0.75, 0.5
	if k, want := KL([]float64{math.Log(p), math.Log(1 - p)}, []float64{0, 0}), p*math.Log(p/q)+(1-p)*math.Log((1-p)/q); math.Abs(k-want) > 1e-12 {
		t.Errorf("KL %g, want %g", k, want)
	}
	if v := RandomVector(8, 3, 1); math.Abs(Norm(v)-3) > 1e-12 || MaxDiff(Array{[]int{8}, v}, Array{[]int{8}, RandomVector(8, 3, 1)}) != 0 {
		t.Errorf("random vector %v", v)
	}
}

// Every verb that Help lists has a documentation, and no verb of a session is missing.
func TestHelpKnowsAllVerbs(t *testing.T) {
	all, err := exec.Command("go", "doc", "-all", ".").Output() // documentation asks for one at a time, which takes a while for all
	if err != nil {
		t.Fatal(err)
	}
	for name := range verbs {
		if !regexp.MustCompile(`(?m)^func (\([sg] \*(Session|Graph)\) )?` + name + `\(.*\n {4}\S`).Match(all) {
			t.Errorf("%s has no documentation", name)
		}
	}
	if text := documentation("Graph"); !strings.Contains(text, "func (s *Session) Graph(prompt string") {
		t.Errorf("Graph is explained as %q", text)
	}
	for _, name := range strings.Fields("Open Tokens Run Lens Attention Generate Train TrainLM Eval Features Feature Graph Prune Why WhatIf Intervene Compare Replace Check Doctor Status Stop Section Report") {
		if _, ok := verbs[name]; !ok {
			t.Errorf("Help does not know %s", name)
		}
	}
	named := map[string]bool{ // by the text of another one, or for us alone
		"Prompt": true, "Residual": true, "SelfTest": true, "State": true}
	for m := range reflect.TypeFor[*Session]().Methods() {
		if _, ok := verbs[m.Name]; !ok && !named[m.Name] {
			t.Errorf("Help does not know Session.%s", m.Name)
		}
	}
	_, status := screen(t)
	if Help("Grpah"); *status == 0 {
		t.Error("an unknown verb is no error")
	}
}
