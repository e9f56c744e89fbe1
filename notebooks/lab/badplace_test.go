package lab

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etredal/cross-layer-transcoder/viz"
)

// oneLine checks that a failure was shown as one line with a cure, without the place
// of the clone.
func oneLine(t *testing.T, shown []viz.Output, status int, private string, want ...string) {
	t.Helper()
	if status == 0 || len(shown) != 1 {
		t.Fatalf("status %d, %d outputs", status, len(shown))
	}
	line := shown[0].Plain
	if strings.Contains(line, "\n") || private != "" && strings.Contains(line, private) {
		t.Errorf("more than one line, or a private path: %q", line)
	}
	for _, w := range want {
		if !strings.Contains(line, w) {
			t.Errorf("%q does not say %q", line, w)
		}
	}
}

// A notebook that was copied away from the clone, under a kernel that does not know
// the clone either.
func TestNotebookAwayFromTheClone(t *testing.T) {
	kernel(t)
	shown, status := screen(t)
	t.Setenv("CLT_ROOT", "")
	t.Chdir(t.TempDir())
	_, err := open(context.Background())
	fail("open", err)
	oneLine(t, *shown, *status, "", "✗ ", "is not inside a clone of this repository", "; set CLT_ROOT to the clone")
}

// A clone that was moved, under a kernel that knows its old place.
func TestCloneMoved(t *testing.T) {
	kernel(t)
	shown, status := screen(t)
	old := t.TempDir()
	t.Setenv("CLT_ROOT", old)
	_, err := open(context.Background())
	fail("open", err)
	oneLine(t, *shown, *status, "", "✗ CLT_ROOT is ", filepath.Base(old), "no clone of this repository is there", "; if it was moved, run make lab in its new place")
}

// A folder in which nothing can be written: results are shown, files are refused in
// one line. A file in the place of out stands for it, since the super-user may write
// everywhere else.
func TestReadOnlyFolder(t *testing.T) {
	root := t.TempDir()
	t.Setenv("CLT_ROOT", root)
	if err := os.WriteFile(filepath.Join(root, "out"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	const cure = "; make the folder writable, or work in a copy of the clone that is"
	t.Run("report", func(t *testing.T) {
		kernel(t)
		shown, status := screen(t)
		Show(viz.Table("Numbers", []string{"a"}, [][]string{{"1"}}))
		*shown = nil
		Report("x")
		oneLine(t, *shown, *status, root, "✗ out/report-x.html cannot be written: not a directory"+cure)
	})
	t.Run("export", func(t *testing.T) {
		kernel(t)
		shown, status := screen(t)
		g := &Graph{Graph: catGraph(), session: &Session{place: place{root: root}}}
		g.Export("out/graph.html")
		oneLine(t, *shown, *status, root, "✗ out/graph.html cannot be written: not a directory"+cure)
	})
	t.Run("page of an output", func(t *testing.T) {
		_, err := writePage("01.html", viz.Output{HTML: "x"})
		if err == nil || strings.Contains(err.Error(), root) || !strings.HasSuffix(err.Error(), cure) {
			t.Errorf("error %v", err)
		}
	})
}
