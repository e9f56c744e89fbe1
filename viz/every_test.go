package viz

import (
	"encoding/base64"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"path/filepath"
	"strings"
	"testing"
)

// drawing lists the exported functions of this package that return an Output.
func drawing(t *testing.T) (names []string) {
	t.Helper()
	for _, f := range parsed(t, "*") {
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Recv != nil || !fn.Name.IsExported() || fn.Type.Results == nil {
				continue
			}
			if id, ok := fn.Type.Results.List[0].Type.(*ast.Ident); ok && id.Name == "Output" {
				names = append(names, fn.Name.Name)
			}
		}
	}
	return names
}

// parsed are the package's files without tests, or one test.
func parsed(t *testing.T, file string) (files []*ast.File) {
	t.Helper()
	if file == "*" {
		all, err := filepath.Glob("*.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range all {
			if !strings.HasSuffix(f, "_test.go") {
				files = append(files, parsed(t, f)...)
			}
		}
		return files
	}
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return []*ast.File{f}
}

// TestHostileTextMeetsEverything: the samples with hostile texts use every function that draws, so that a new one cannot
// be forgotten.
func TestHostileTextMeetsEverything(t *testing.T) {
	called := map[string]bool{}
	for _, f := range parsed(t, "samples_test.go") {
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Name.Name != "componentsOf" && fn.Name.Name != "graphsOf" {
				continue
			}
			ast.Inspect(fn, func(n ast.Node) bool {
				if c, ok := n.(*ast.CallExpr); ok {
					if id, ok := c.Fun.(*ast.Ident); ok {
						called[id.Name] = true
					}
				}
				return true
			})
		}
	}
	all := drawing(t)
	for _, name := range all {
		if !called[name] {
			t.Errorf("%s is not drawn with hostile texts: add it to componentsOf or graphsOf", name)
		}
	}
	if len(all) < 18 {
		t.Errorf("only %d functions found: %v", len(all), all)
	}
}

// TestOddShapes: nothing, ragged rows, missing names and numbers that are none draw something, and do not panic.
func TestOddShapes(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	ragged := [][]float64{{1, nan, -inf}, nil, {inf}, {0, 0, 0, 1e308}}
	few := []string{"a"}
	outs := map[string]func() []Output{
		"nothing": func() []Output {
			return []Output{Tokens(nil, nil), Table("", nil, nil), Check("", true, ""), Warn("", ""), Curve("", nil, CurveOptions{}), Hist("", nil, HistOptions{}), Heat("", nil, nil, nil, HeatOptions{}),
				Diff("", Generation{}, Generation{}), TopK(nil, nil), Attention("", nil, nil), Bars("", nil, BarOptions{}), Lens("", nil, nil, LensOptions{}), Scatter("", nil, ScatterOptions{}), Operands("", nil),
				FeatureCard(Feature{}), Coactivation("", nil, nil, 0), Progress("", nan), Join("")}
		},
		"ragged": func() []Output {
			return []Output{Tokens(few, []Row{{Values: ragged[0]}, {Values: nil}}), Table("t", few, [][]string{{"1", "2"}, nil}), Heat("h", ragged, few, few, HeatOptions{}), Heat("h", ragged, few, few, HeatOptions{Signed: true, Min: inf}),
				Attention("a", [][][]float64{ragged, nil}, few), Lens("l", few, [][]LensCell{nil, {{"x", nan, -1}, {"y", 2, 0}}}, LensOptions{Layers: few, Target: "x"}),
				Operands("o", []OperandPlot{{Values: ragged, Weights: []float64{nan}}, {}}), Coactivation("c", []CoNode{{0, "a"}, {3, "b"}, {1, "c"}}, ragged, 0.5),
				Diff("d", Generation{Tokens: few, KL: ragged[0]}, Generation{Tokens: []string{"a", "b"}, KL: []float64{nan}}), Curve("c", []Series{{Name: "n", Y: ragged[0]}, {}}, CurveOptions{LogX: true, LogY: true}),
				Hist("h", ragged[0], HistOptions{LogX: true}), Scatter("s", []Point{{nan, 1, "", ""}, {inf, inf, "", ""}}, ScatterOptions{Selected: []int{-1, 7, 0}, LogX: true}),
				Bars("b", []Bar{{"a", nan, ""}, {"b", inf, ""}, {"c", 0, ""}}, BarOptions{}), TopK([]Prediction{{"a", nan, inf}}, []Prediction{{"b", 2, nan}}), Progress("p", 7),
				FeatureCard(Feature{Histogram: []int{0}, Groups: []ExampleGroup{{Examples: []FeatureExample{{Tokens: few, Values: nil, Peak: 5}}}}})}
		},
	}
	for name, draw := range outs {
		for _, o := range draw() {
			checkHTML(t, name+" "+o.Kind, o.HTML)
			for _, p := range payload.FindAllStringSubmatch(o.HTML, -1) {
				svg, err := base64.StdEncoding.DecodeString(p[2])
				if err != nil {
					t.Fatal(err)
				}
				for _, bad := range []string{"NaN", "Inf", "-9223372036854775808"} {
					if p[1] == "svg+xml" && strings.Contains(string(svg), bad) {
						t.Errorf("%s: the picture of %s holds %s", name, o.Kind, bad)
					}
				}
			}
		}
	}
}
