package lab

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
	"github.com/etredal/cross-layer-transcoder/viz"
)

func TestReportOfWhatWasShown(t *testing.T) {
	kernel(t)
	shownHere = nil
	root := t.TempDir()
	t.Setenv("CLT_ROOT", root)
	_, status := screen(t)
	if Report("Nothing yet"); *status == 0 {
		t.Error("a report of nothing is no error")
	}
	_, status = screen(t)
	Show(viz.Table("First", []string{"a"}, [][]string{{"<script>one</script>"}}))
	Show(viz.Table("Second", []string{"a"}, [][]string{{"two"}}))
	Show(viz.Table("First", []string{"a"}, [][]string{{"<script>one</script>"}})) // the cell was run again
	Report("My study: <b>, ünï/../x")
	if *status != 0 {
		t.Fatal("the report failed")
	}
	page, err := os.ReadFile(filepath.Join(root, "out", "report-my-study-b-n-x.html"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	if strings.Count(text, ">First<") != 1 || !strings.Contains(text, "two") || strings.Contains(text, "<script>one") || strings.Contains(text, root) {
		t.Errorf("%d times First, or hostile text, or a path in the page", strings.Count(text, ">First<"))
	}
	if strings.Index(text, ">First<") < strings.Index(text, ">Second<") {
		t.Error("what was shown again does not stand at its last place")
	}
}

// A study: parts with headings and text in their order, also when the cell of one was
// run again after the others, and what it was made from.
func TestReportOfAStudy(t *testing.T) {
	kernel(t)
	root := t.TempDir()
	t.Setenv("CLT_ROOT", root)
	t.Setenv("JPY_SESSION_NAME", filepath.Join(root, "notebooks", "my study.ipynb"))
	shown, status := screen(t)
	defer func(old string) { thisCell = old }(thisCell)
	table := func(value string) viz.Output { return viz.Table("Numbers", []string{"a"}, [][]string{{value}}) }
	s := &Session{place: place{root: root}, setup: wire.Setup{Model: "pocket", CLT: filepath.Join(root, "out", "my clt")}}
	g := &Graph{Graph: catGraph(), Prompt: " It's in /" + "home/x", session: s, Info: wire.GraphInfo{SHA256: "4bc40bf5"}, targets: []string{" cat"}}
	cell := func(name string, do func()) { thisCell = name; do() }
	cell("1", func() { Section("Question", "Why <b>so</b>?\n\nBecause.") })
	cell("2", func() { Section("Result", "", table("first try")); Show(table("beside the first try")) })
	cell("3", func() { Section("Graph", "", g, g); Check(true, "it holds") })
	cell("4", func() { Section("Result", "Better.", table("second try")) })
	cell("5", func() { Report("Study", "It is so.", "Really.") })
	if *status != 0 {
		t.Fatalf("status %d, shown %v", *status, *shown)
	}
	data, err := os.ReadFile(filepath.Join(root, "out", "report-study.html"))
	if err != nil {
		t.Fatal(err)
	}
	page, at := string(data), 0
	for _, want := range []string{"It is so. Really.", `href="#s-question"`, `href="#s-result"`, `href="#s-graph"`, `id="s-question"`, "Why &lt;b&gt;so&lt;/b&gt;?", "Because.",
		"Better.", "second try", "Figure 1", "it holds", "sha256 4bc40bf5",
		`bin/clt attribute -model pocket -clt &#39;out/my clt&#39; -prompt &#39; It&#39;\&#39;&#39;s in /` + `home/x&#39; -targets &#39; cat&#39; -o graph.safetensors`,
		"1 of 1 hold", "bin/clt nb run &#39;notebooks/my study.ipynb&#39;"} {
		i := strings.Index(page[at:], want)
		if i < 0 {
			t.Errorf("%q is not on the page, or not in its place", want)
			continue
		}
		at += i
	}
	for _, not := range []string{"first try", root, "<b>so"} {
		if strings.Contains(page, not) {
			t.Errorf("the page holds %q", not)
		}
	}
}
