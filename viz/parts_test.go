package viz

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image/png"
	"math"
	"strings"
	"testing"
	"time"

	at "github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/internal/testenv"
)

// TestThinKeepsPeaks: a spike between 100 000 points is still drawn.
func TestThinKeepsPeaks(t *testing.T) {
	y := wave(100_000, func(x float64) float64 { return math.Sin(x / 1000) })
	y[54_321], y[54_322] = 50, -50
	kept := thin(y, curvePoints)
	if len(kept) > curvePoints {
		t.Errorf("%d points kept, limit %d", len(kept), curvePoints)
	}
	up, down := false, false
	for k, i := range kept {
		up, down = up || y[i] == 50, down || y[i] == -50
		if k > 0 && i <= kept[k-1] {
			t.Fatal("points out of order")
		}
	}
	if !up || !down || kept[0] != 0 || kept[len(kept)-1] != len(y)-1 {
		t.Error("a peak or an end was lost")
	}
	if n := len(sampleCurve(100_000).HTML); n > 60<<10 {
		t.Errorf("a long curve takes %d bytes", n)
	}
}

func TestCurvesWithHoles(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for name, y := range map[string][]float64{"empty": nil, "nan": {nan, nan}, "one": {3}, "flat": {2, 2, 2}, "zero": {0, 0}, "holes": {1, nan, inf, 2, -inf, 3}, "huge": {1e300, -1e300}} {
		for _, log := range []bool{false, true} {
			o := Curve(name, []Series{{Name: name, Y: y}}, CurveOptions{LogY: log, LogX: log, Smooth: 0.5, Zero: true})
			checkHTML(t, name, o.HTML)
			for _, p := range payload.FindAllStringSubmatch(o.HTML, -1) {
				b, _ := base64.StdEncoding.DecodeString(p[2])
				if s := string(b); strings.Contains(s, "NaN") || strings.Contains(s, "Inf") || strings.Contains(s, "-9223372036854775808") {
					t.Errorf("%s, log %v: the picture holds a number that is none", name, log)
				}
			}
		}
	}
}

func TestAxisTicks(t *testing.T) {
	for _, c := range []struct {
		lo, hi float64
		log    bool
	}{{0, 1, false}, {-3, 7, false}, {0.001, 1000, true}, {1, 1.1, true}, {5, 5, false}, {1e-9, 2e-9, false}, {1e-12, 1e12, true}} {
		a := newAxis(c.lo, c.hi, 6, 0, 100, c.log)
		if len(a.ticks) < 1 || len(a.ticks) > 20 {
			t.Errorf("%v to %v: ticks %v", c.lo, c.hi, a.ticks)
		}
		for _, v := range a.ticks {
			if p := a.at(v); p < -1e-6 || p > 100+1e-6 {
				t.Errorf("tick %v at %v", v, p)
			}
		}
	}
}

// TestHeatPixels decodes the image and looks at three cells.
func TestHeatPixels(t *testing.T) {
	m := [][]float64{{-2, 0}, {2, math.NaN()}}
	o := Heat("h", m, nil, nil, HeatOptions{Signed: true})
	p := payload.FindAllStringSubmatch(o.HTML, -1)
	if len(p) != 3 {
		t.Fatalf("%d images, want axes, map and bar", len(p))
	}
	b, _ := base64.StdEncoding.DecodeString(p[1][2])
	im, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	w := im.Bounds().Dx()
	for _, c := range []struct {
		x, y int
		want string
	}{{1, 1, diverging[0].String()}, {w - 1, 1, "#FFFFFF"}, {1, w - 1, diverging[6].String()}, {w - 1, w - 1, "#BBBBBB"}} {
		r, g, bl, _ := im.At(c.x, c.y).RGBA()
		if got := fmt.Sprintf("#%02X%02X%02X", r>>8, g>>8, bl>>8); got != c.want {
			t.Errorf("pixel (%d, %d) is %s, want %s", c.x, c.y, got, c.want)
		}
	}
	if Heat("none", nil, nil, nil, HeatOptions{}).HTML == "" {
		t.Error("an empty matrix gives nothing")
	}
}

// TestMeter runs a constant task on a simulated clock.
func TestMeter(t *testing.T) {
	m := Meter{What: "attributing", Unit: "targets", Total: 5000}
	begin := time.Unix(1000, 0)
	m.Start(begin)
	var drawn []time.Duration
	for ms := 1; ms <= 60_000; ms++ { // 83.3 a second
		now := begin.Add(time.Duration(ms) * time.Millisecond)
		done := ms * 5000 / 60_000
		if !m.Update(now, done) {
			continue
		}
		drawn = append(drawn, now.Sub(begin))
		o := m.Output(now, done, "")
		left, told := m.left(now.Sub(begin), done)
		if want := 60_000 - ms; ms > 3000 && ms < 55_000 {
			if !told || math.Abs(left.Seconds()*1000-float64(want)) > 0.1*float64(want) {
				t.Fatalf("after %d ms: %v left (told %v), want %d ms", ms, left, told, want)
			}
			if !strings.Contains(o.Plain, "left") {
				t.Errorf("no time left in %q", o.Plain)
			}
		} else if ms < 1000 && told {
			t.Errorf("a guess after %d ms", ms)
		}
	}
	if drawn[0] < 200*time.Millisecond {
		t.Errorf("first drawn after %v", drawn[0])
	}
	for i := 4; i < len(drawn); i++ {
		if drawn[i]-drawn[i-4] < time.Second {
			t.Fatalf("five drawings in %v", drawn[i]-drawn[i-4])
		}
	}
	end := m.Finish(begin.Add(time.Minute), 5000, "")
	if end.Plain != "5000 targets in 60.0 s (83.3/s)" || strings.Contains(end.HTML, "<progress") {
		t.Errorf("the last line is %q", end.Plain)
	}
	if half := m.Finish(begin.Add(time.Minute), 2500, "").Plain; !strings.HasPrefix(half, "stopped after 2500") {
		t.Errorf("a stopped task says %q", half)
	}
}

func TestTopKPairs(t *testing.T) {
	before, after := samplePredictions()
	o := TopK(before, after)
	for _, want := range []string{`" Austin"`, "−36.0 pp", "−2.40", "+1.00 pp", `" Sacramento"`} {
		if !strings.Contains(o.Markdown, want) {
			t.Errorf("%s is missing in\n%s", want, o.Markdown)
		}
	}
	if strings.Count(o.HTML, "height:8px;margin") != 14 {
		t.Error("not two bars for each of seven tokens")
	}
}

// TestTinyNumbers: "<0.01 %" is text and no tag.
func TestTinyNumbers(t *testing.T) {
	tiny := []Prediction{{"a", 1e-9, 1}, {"b", 1e-8, 0}}
	for _, o := range []Output{TopK(tiny, nil), TopK(tiny, tiny[1:]), Bars("b", []Bar{{"x", 1e-9, ""}}, BarOptions{Percent: true}),
		Lens("l", []string{"a"}, [][]LensCell{{{"x", 1e-9, 2}}}, LensOptions{Target: "x"}), Attention("a", [][][]float64{{{1e-9}}}, []string{"x"}),
		Operands("o", []OperandPlot{{Values: [][]float64{{1e-9, 0}}}})} {
		if text := checkHTML(t, o.Kind, o.HTML); o.Kind == "topk" && !strings.Contains(text, "&lt;0.01 %") {
			t.Error("the probability is lost")
		}
	}
}

func TestDiffFindsTheParting(t *testing.T) {
	g := func(s ...string) Generation { return Generation{Name: s[0], Tokens: s[1:]} }
	for _, c := range []struct {
		a, b Generation
		want string
	}{
		{g("m", "a", "b", "c"), g("r", "a", "x", "c"), `Both begin with the same 1 token; then m has "b" where r has "x"`},
		{g("m", "a"), g("r", "a"), "the same: 1 token."},
		{g("m", "a"), g("r", "a", "b"), "then one text ends"},
		{g("m"), g("r"), "the same: 0 tokens"},
	} {
		if o := Diff("d", c.a, c.b); !strings.Contains(o.Plain, c.want) {
			t.Errorf("%q does not say %q", o.Plain, c.want)
		}
	}
	inA, inB := common([]string{"b", "c", "d"}, []string{"x", "c", "y", "d"})
	if fmt.Sprint(inA, inB) != "[false true true] [false true false true]" {
		t.Errorf("common tokens %v %v", inA, inB)
	}
}

func TestProvenance(t *testing.T) {
	full := planted(1, 12, 1.5)
	g := pruned(t, full, 0.8, 0.98)
	g.Model = at.Artifact{Name: "pocket", SHA256: "abc"}
	page, err := GraphPage(g, PageOptions{Graph: GraphOptions{Full: full}, Provenance: Provenance{Command: "clt attribute -o g.json"}})
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), `id="clt-provenance">`)
	block, _, ok := strings.Cut(rest, "</script>")
	var p Provenance
	if err := json.Unmarshal([]byte(block), &p); !ok || err != nil {
		t.Fatalf("provenance block: %v", err)
	}
	if p.Schema != Schema || p.Model.Name != "pocket" || p.Prompt != g.Prompt || p.Nodes[1] != len(full.Nodes) || p.Attribution == nil || p.Attribution.Layers != 12 {
		t.Errorf("provenance holds %+v", p)
	}
	for _, bad := range []string{"clt -o @home/x/g.json", "@tmp/a", "x=@root/b", `C:\Users\x`, "~/models", "-dir=@Users/me/m", "'@var/x'"} {
		bad = strings.ReplaceAll(bad, "@", "/")
		if _, err := Page(nil, PageOptions{Provenance: Provenance{Command: bad}}); err == nil || !strings.Contains(err.Error(), "absolute path") {
			t.Errorf("command %q: error %v", bad, err)
		}
	}
	for _, good := range []string{"clt -o out/g.json", "a/home/b", "go1.26 linux/amd64", "https and/or"} {
		if _, err := Page(nil, PageOptions{Provenance: Provenance{Command: good}}); err != nil {
			t.Errorf("command %q: %v", good, err)
		}
	}
	if _, err := Page([]Section{{Output: Output{HTML: strings.Repeat("x", maxPage)}}}, PageOptions{}); err == nil || !strings.Contains(err.Error(), "MiB") {
		t.Errorf("a page of 5 MiB: error %v", err)
	}
}

func TestSlugs(t *testing.T) {
	used := map[string]int{}
	for _, c := range [][2]string{{"Top paths!", "s-top-paths"}, {"Top  paths", "s-top-paths-2"}, {"שלום", "s-graph"}, {strings.Repeat("ab ", 60), "s-" + strings.TrimSuffix(strings.Repeat("ab-", 17), "-")[:50]}} {
		if got := slug(c[0], "graph", used); got != strings.TrimSuffix(c[1], "-") {
			t.Errorf("slug(%q) = %q, want %q", c[0], got, c[1])
		}
	}
}

// TestBudgets: how large outputs may be.
func TestBudgets(t *testing.T) {
	size := func(perCell, node, edge float64, o GraphOptions) (int, *at.Graph) {
		full := planted(4, 12, perCell)
		g := pruned(t, full, node, edge)
		o.Full = full
		out, err := Graph(g, o)
		if err != nil {
			t.Fatal(err)
		}
		return len(out.HTML), g
	}
	for _, c := range []struct {
		name                string
		perCell, node, edge float64
		static              bool
		limit               int // KiB
	}{
		{"150 nodes, static", 1.6, 0.8, 0.98, true, 100}, {"150 nodes", 1.6, 0.8, 0.98, false, 200},
		{"400 nodes", 4, 0.85, 0.98, false, 400}, {"many nodes, static", 10, 0.85, 0.98, true, 150}, {"many nodes", 10, 0.85, 0.98, false, 400},
	} {
		n, g := size(c.perCell, c.node, c.edge, GraphOptions{Static: c.static})
		t.Logf("%s: %d nodes, %d KiB", c.name, len(g.Nodes), n>>10)
		if n > c.limit<<10 {
			t.Errorf("%s: %d KiB, limit %d", c.name, n>>10, c.limit)
		}
	}
}

func TestPageBudget(t *testing.T) {
	testenv.Slow(t)
	full := planted(4, 12, 16)
	g := pruned(t, full, 0.95, 0.99)
	page, err := GraphPage(g, PageOptions{Graph: GraphOptions{Full: full}})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("page: %d nodes, %d KiB", len(g.Nodes), len(page)>>10)
	if len(page) > 2560<<10 {
		t.Errorf("page of %d nodes has %d KiB", len(g.Nodes), len(page)>>10)
	}
}
