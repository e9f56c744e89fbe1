package lab

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

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
