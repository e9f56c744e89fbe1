package viz

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files; they open in a browser")

// golden compares with a file that a person can look at.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; run go test ./viz -update", err)
	}
	if bytes.Equal(got, want) {
		return
	}
	i := 0
	for i < len(got) && i < len(want) && got[i] == want[i] {
		i++
	}
	from := max(0, i-80)
	t.Errorf("%s differs at byte %d:\n got …%s\nwant …%s\nif this is meant, run with -update and look at the file", name, i, got[from:min(len(got), i+80)], want[from:min(len(want), i+80)])
}

func TestGoldenComponents(t *testing.T) {
	var s []Section
	for _, o := range components() {
		s = append(s, Section{Title: o.Kind, Output: o})
	}
	page, err := Page(s, PageOptions{Title: "Components"})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "components.html", page)
	var text bytes.Buffer
	for _, o := range components() {
		text.WriteString(o.Plain + "\n\n" + o.Markdown + "\n\n")
	}
	golden(t, "components.md", text.Bytes())
}

func TestGoldenGraph(t *testing.T) {
	full := planted(1, 12, 1.5)
	g := pruned(t, full, 0.7, 0.95)
	for name, themeName := range map[string]string{"graph.svg": "", "graph-dark.svg": "dark"} {
		svg, err := GraphSVG(g, GraphOptions{Full: full, Theme: themeName})
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name, []byte(svg))
	}
	page, err := GraphPage(g, PageOptions{Graph: GraphOptions{Full: full}, Provenance: Provenance{
		Tool: "clt", Go: "go1.26", Backend: "go", Seeds: map[string]uint64{"toy": 1},
		Checks:  []CheckResult{{"row identity", 3e-6, 1e-4, true}},
		Command: "clt attribute -prompt 'Fact: …' -o graph.json && clt export -html graph.html graph.json",
	}})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "graph.html", page)
}

// TestSameBytes draws everything twice.
func TestSameBytes(t *testing.T) {
	full := planted(1, 12, 1.5)
	g := pruned(t, full, 0.8, 0.98)
	a, err := Graph(g, GraphOptions{Full: full})
	if err != nil {
		t.Fatal(err)
	}
	for range 5 { // maps are walked in another order each time
		if b, _ := Graph(g, GraphOptions{Full: full}); a != b {
			t.Fatal("two drawings of one graph differ")
		}
	}
	x, y := components(), components()
	for i := range x {
		if x[i] != y[i] {
			t.Errorf("two outputs of %s differ", x[i].Kind)
		}
	}
}
