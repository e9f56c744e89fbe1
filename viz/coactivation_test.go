package viz

import (
	"encoding/base64"
	"math"
	"regexp"
	"strings"
	"testing"
)

func TestCoactivation(t *testing.T) {
	nodes := []CoNode{{0, "L0/F1"}, {0, "L0/F2"}, {1, "<script>"}}
	o := Coactivation("Together", nodes, [][]float64{{1, 0.9, 0.95}, {0.9, 1, 0.2}, {0.95, 0.2, math.NaN()}}, 0.8)
	if !strings.Contains(o.Plain, "0.95") || strings.Contains(o.Plain, "0.2") || strings.Contains(o.Markdown, "0.9 ") {
		t.Errorf("pairs are wrong: %s", o.Plain)
	}
	m := regexp.MustCompile(`data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)`).FindStringSubmatch(o.HTML)
	if m == nil {
		t.Fatal("no picture")
	}
	svg, err := base64.StdEncoding.DecodeString(m[1])
	if err != nil || strings.Contains(string(svg), "<script>") || strings.Contains(o.Still().HTML, "<script>") {
		t.Errorf("a label is not escaped: %v", err)
	}
	if n := strings.Count(string(svg), "<path"); n != 1 {
		t.Errorf("%d lines, want 1: the pair of one layer has none", n)
	}
	if !strings.Contains(o.HTML, "not attribution") {
		t.Error("the picture does not say what it is not")
	}
}

func TestHeatSVG(t *testing.T) {
	svg, err := HeatSVG("Heat <b>", [][]float64{{0, 1}, {2, math.NaN()}}, []string{"a", "b"}, []string{"x", "y"}, HeatOptions{})
	if err != nil || strings.Count(svg, "<image ") != 2 || strings.Contains(svg, "<b>") || !strings.HasSuffix(svg, "</svg>\n") {
		t.Errorf("%.200s, %v", svg, err)
	}
	if svg, err := HeatSVG("Nothing", nil, nil, nil, HeatOptions{}); err != nil || !strings.Contains(svg, "no values") {
		t.Errorf("%s, %v", svg, err)
	}
}
