package viz

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

func TestPareto(t *testing.T) {
	points := []Point{{1, 5, "a", ""}, {2, 3, "b", ""}, {2, 4, "c", ""}, {3, 3, "d", ""}, {4, 1, "e", ""}, {math.NaN(), 0, "f", ""}, {5, 0.5, "g", ""}}
	for _, c := range []struct {
		o    ScatterOptions
		want []int
	}{
		{ScatterOptions{Pareto: true}, []int{0, 1, 4, 6}},
		{ScatterOptions{Pareto: true, MoreX: true}, []int{6}},
		{ScatterOptions{Pareto: true, MoreX: true, MoreY: true}, []int{6, 4, 3, 2, 0}},
	} {
		c.o.Width, c.o.Height = 640, 360
		if s := newScatter(points, c.o); fmt.Sprint(s.front) != fmt.Sprint(c.want) || s.dropped != 1 {
			t.Errorf("%+v: front %v, want %v; %d dropped", c.o, s.front, c.want, s.dropped)
		}
	}
	o := Scatter("t", points, ScatterOptions{Selected: []int{1}})
	if !strings.Contains(o.Markdown, "| b | c | d | a |") {
		t.Errorf("the neighbours of b are not c, d, a:\n%s", o.Markdown)
	}
}

// TestScatterIdentity: with the line y = x both axes have one range, so that the line
// runs from corner to corner and a point on it lies on it.
func TestScatterIdentity(t *testing.T) {
	points := []Point{{-2, -2, "", ""}, {1, 5, "", ""}, {3, 0, "", ""}}
	s := newScatter(points, ScatterOptions{Identity: true, Width: 640, Height: 360})
	if s.ax.lo != s.ay.lo || s.ax.hi != s.ay.hi {
		t.Errorf("x from %v to %v, y from %v to %v", s.ax.lo, s.ax.hi, s.ay.lo, s.ay.hi)
	}
	line := fmt.Sprintf("M%d %dL%d %d", unit(s.ax.from), unit(s.ay.from), unit(s.ax.to), unit(s.ay.to))
	if !strings.Contains(s.svg("t"), line) {
		t.Error("no line from corner to corner")
	}
	if plain := newScatter(points, ScatterOptions{Width: 640, Height: 360}); plain.ax.lo == plain.ay.lo || strings.Contains(plain.svg("t"), "M120 ") && strings.Contains(plain.svg("t"), line) {
		t.Error("a plot without the line has it, or its axes are tied")
	}
}

// TestPlotsWithoutData: nothing to draw is said, not drawn.
func TestPlotsWithoutData(t *testing.T) {
	nan := math.NaN()
	for _, o := range []Output{
		Scatter("s", nil, ScatterOptions{Pareto: true}), Scatter("s", []Point{{nan, 1, "", ""}}, ScatterOptions{}), Scatter("s", []Point{{-1, 0, "x", ""}}, ScatterOptions{LogX: true, LogY: true}),
		Scatter("s", []Point{{2, 2, "x", ""}}, ScatterOptions{LogX: true, LogY: true}), Scatter("s", []Point{{1, 1, "x", ""}}, ScatterOptions{Selected: []int{-1, 7, 0}}),
		Bars("b", nil, BarOptions{}), Bars("b", []Bar{{"x", nan, ""}, {"y", 0, ""}}, BarOptions{Percent: true}),
		Lens("l", nil, nil, LensOptions{}), Lens("l", []string{"a"}, nil, LensOptions{Target: "x"}), Lens("l", []string{"a", "b"}, [][]LensCell{{}, {{"x", nan, 0}}}, LensOptions{Target: "x", Pos: 9}),
		Operands("o", nil), Operands("o", []OperandPlot{{}}), Operands("o", []OperandPlot{{Values: [][]float64{{nan}}}}), Operands("o", []OperandPlot{{Values: [][]float64{{1, 1}, {1}}}}),
		Attention("a", nil, nil), Attention("a", [][][]float64{{}}, []string{"x"}),
	} {
		checkHTML(t, o.Kind, o.HTML)
		for _, bad := range []string{"NaN", "Inf", "-9223372036854775808"} {
			if strings.Contains(o.Still().HTML, bad) {
				t.Errorf("%s holds %s", o.Kind, bad)
			}
		}
	}
}

func TestLensFinding(t *testing.T) {
	tokens := []string{"a", "b"}
	cells := [][]LensCell{{{"x", 0.1, 9}, {"x", 0.1, 1}}, {{"x", 0.1, 9}, {"y", 0.2, 4}}, {{"x", 0.3, 2}, {"x", 0.3, 1}}, {{"x", 0.3, 2}, {"x", 0.9, 1}}}
	if got, want := lensFinding(tokens, cells, LensOptions{Target: "x", Pos: 1, Layers: []string{"l0", "l1", "l2", "l3"}}), `"x" at "b" is the top prediction from l2 on.`; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := lensFinding(tokens, cells, LensOptions{Target: "x", Pos: 0}); !strings.Contains(got, "not the top prediction") {
		t.Errorf("%q", got)
	}
	long := make([]string, 200)
	row := make([]LensCell, 200)
	for i := range long {
		long[i], row[i] = "token", LensCell{"word", 0.5, 0}
	}
	if o := Lens("l", long, [][]LensCell{row}, LensOptions{}); !strings.Contains(o.HTML, "of 200 positions") || len(o.HTML) > 20<<10 {
		t.Errorf("a long prompt gives %d bytes", len(o.HTML))
	}
}

// TestOperandRules: what was planted is read.
func TestOperandRules(t *testing.T) {
	for i, want := range []string{"a alone", "ones digit of a + b", "both ones digits", "a + b"} {
		if f := operandFacts(sampleOperands(100)[i].Values); f.rule != want || f.share < 0.99 {
			t.Errorf("plot %d follows %s (%v), want %s", i, f.rule, f.share, want)
		}
	}
	noise := make([][]float64, 50)
	for a := range noise {
		noise[a] = wave(50, func(b float64) float64 {
			x := math.Sin(12.9898*float64(a)+78.233*b) * 43758.5453
			return x - math.Floor(x)
		})
	}
	if f := operandFacts(noise); f.rule != "nothing simple" {
		t.Errorf("noise follows %s (%v)", f.rule, f.share)
	}
}

// TestCompare: features of both graphs are filled in both pictures and counted.
func TestCompare(t *testing.T) {
	a, b := tiny(), tiny()
	b.Nodes[0].Index = 8
	b.Nodes[0].Label = "other"
	o, err := Compare(a, tiny(), CompareOptions{})
	if err != nil || !strings.Contains(o.Plain, "In both graphs: 1 feature, with 100 % and 100 %") {
		t.Errorf("a graph and itself: %v\n%s", err, o.Plain)
	}
	if svg := payload.FindAllStringSubmatch(o.HTML, -1); len(svg) != 2 {
		t.Fatalf("%d pictures", len(svg))
	}
	checkHTML(t, "compare", o.HTML)
	other, err := Compare(a, b, CompareOptions{A: "mine", B: "yours"})
	if err != nil || !strings.Contains(other.Plain, "In both graphs: 0 features") || !strings.Contains(other.Markdown, "| L0/f8 | other |  |") {
		t.Errorf("two that share nothing: %v\n%s", err, other.Markdown)
	}
	if _, err := Compare(a, nil, CompareOptions{}); err == nil {
		t.Error("nothing is compared with something")
	}
	v := viewOf(t, a, GraphOptions{Other: a})
	if s := v.svg(lightTheme); !strings.Contains(s, lightTheme.Both) || !strings.Contains(s, "in both") {
		t.Error("a shared feature is not filled")
	}
}

// The names of tokens stand under a curve, thinned where they have no room, the last
// one among them.
func TestCurveTokens(t *testing.T) {
	few := []string{"<a>", " b&", "\n"}
	svg, _ := curvePicture("t", []Series{{Name: "s", Y: []float64{0, 2, 1}}}, CurveOptions{Width: 720, Height: 280, XLabel: "token", Tokens: few})
	for _, want := range []string{"&lt;a&gt;", "·b&amp;", "rotate(-45"} {
		if !strings.Contains(svg, want) {
			t.Errorf("no %q in %s", want, svg)
		}
	}
	many, y := make([]string, 200), make([]float64, 200)
	for i := range many {
		many[i] = fmt.Sprintf("t%d", i)
	}
	svg, _ = curvePicture("t", []Series{{Name: "s", Y: y}}, CurveOptions{Width: 720, Height: 280, Tokens: many})
	if n := strings.Count(svg, "rotate(-45"); n < 20 || n > 50 || !strings.Contains(svg, ">t199<") {
		t.Errorf("%d names of 200 tokens", n)
	}
	one, _ := curvePicture("t", []Series{{Name: "s", Y: []float64{1}}}, CurveOptions{Width: 720, Height: 280, Tokens: []string{"x"}})
	if !strings.Contains(one, ">x<") {
		t.Error("a single token has no name")
	}
}
