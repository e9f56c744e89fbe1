package notebook

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	root         = "../.."
	maxTutorial  = 300 << 10 // bytes with outputs
	maxCellLines = 12        // after %%; imports and constants above it are not counted
)

// committed lists the notebooks of the repository.
func committed(t *testing.T, patterns ...string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, p := range patterns {
		list, err := filepath.Glob(filepath.Join(root, p))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range list {
			data, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			rel, _ := filepath.Rel(root, f)
			files[filepath.ToSlash(rel)] = data
		}
	}
	if len(files) == 0 {
		t.Fatalf("no files %v", patterns)
	}
	return files
}

func TestCommittedNotebooksAreClean(t *testing.T) {
	for name, data := range committed(t, "notebooks/*.ipynb", "tutorials/*.ipynb", "tutorials/exercises/*.ipynb", "tutorials/exercises/solutions/*.ipynb") {
		for _, f := range Check(filepath.Base(name), data) {
			t.Errorf("%s: %s", name, f)
		}
		if len(data) > maxTutorial && strings.HasPrefix(name, "tutorials/") {
			t.Errorf("%s has %d bytes, at most %d", name, len(data), maxTutorial)
		}
	}
}

// Every notebook that has a master is what the master says, outputs apart.
func TestNotebooksFollowTheirMasters(t *testing.T) {
	for name, master := range committed(t, "*/src/*.md", "tutorials/exercises/src/*.md") {
		base := strings.TrimSuffix(filepath.Base(name), ".md")
		dir := filepath.Join(root, filepath.FromSlash(name), "..", "..")
		variants := map[string]bool{filepath.Join(dir, base+".ipynb"): false}
		if strings.Contains(string(master), "```go stub\n") {
			variants[filepath.Join(dir, "solutions", base+".ipynb")] = true
		}
		for file, solved := range variants {
			want, err := FromMaster(base, master, solved, nil)
			if err != nil {
				t.Error(err)
				continue
			}
			data, err := os.ReadFile(file)
			if err != nil {
				t.Errorf("%v; make it with clt nb make %s", err, name)
				continue
			}
			got, err := Parse(filepath.Base(file), data)
			if err != nil {
				t.Error(err)
				continue
			}
			if !slices.Equal(got.Sources(), want.Sources()) {
				t.Errorf("%s differs from its master; clt nb make %s makes it anew", file, name)
			}
		}
	}
}

// Every notebook has a master, so that text and exercises are written once.
func TestEveryNotebookHasAMaster(t *testing.T) {
	for name := range committed(t, "notebooks/*.ipynb", "tutorials/*.ipynb", "tutorials/exercises/*.ipynb", "tutorials/exercises/solutions/*.ipynb") {
		dir, base := filepath.Split(filepath.Join(root, filepath.FromSlash(name)))
		dir = strings.TrimSuffix(dir, "solutions"+string(filepath.Separator))
		if _, err := os.Stat(filepath.Join(dir, "src", strings.TrimSuffix(base, ".ipynb")+".md")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a reader on a fresh clone sees: every cell was run, in order, without an
// error; every display has its three forms and our mark; nothing points to the
// network; the last cell says that all checks hold.
func TestCommittedOutputs(t *testing.T) {
	link := regexp.MustCompile(`(?i)(?:src|href)\s*=\s*["']?(?:https?:)?//`)
	for name, data := range committed(t, "notebooks/*.ipynb", "tutorials/*.ipynb", "tutorials/exercises/solutions/*.ipynb") {
		n, err := Parse(filepath.Base(name), data)
		if err != nil {
			t.Error(err)
			continue
		}
		last, end, checks := json.Number(""), "", 0
		for i, cell := range n.cells {
			if cell["cell_type"] != "code" {
				continue
			}
			count, ok := cell["execution_count"].(json.Number)
			if !ok {
				t.Errorf("%s: cell %d was not run; make notebooks runs it", name, i+1)
			}
			last, end = count, ""
			for _, o := range outputs(cell) {
				meta, _ := o["metadata"].(map[string]any)
				ours, _ := meta["clt"].(map[string]any)
				data, _ := o["data"].(map[string]any)
				switch {
				case o["output_type"] == "error":
					t.Errorf("%s: cell %d ends in an error", name, i+1)
				case o["output_type"] != "display_data":
				case ours == nil:
					t.Errorf("%s: cell %d shows something that is not ours", name, i+1)
				case text(data["text/html"]) == "" || text(data["text/markdown"]) == "" || text(data["text/plain"]) == "":
					t.Errorf("%s: cell %d: a display lacks one of its three forms", name, i+1)
				}
				if link.MatchString(text(data["text/html"])) {
					t.Errorf("%s: cell %d points to the network", name, i+1)
				}
				if ours["kind"] == "check" {
					checks++
					end = text(data["text/plain"])
				}
			}
		}
		if !strings.HasPrefix(end, "✓") || !strings.Contains(end, "checks of this notebook hold") || checks < 3 {
			t.Errorf("%s: %d checks, the last cell (%s) says %q", name, checks, last, end)
		}
	}
}

// The rules of the course: each tutorial says what it claims, what it cannot show, has
// a control, something to try and something to read; cells are short and hold calls.
func TestTutorialsKeepTheRules(t *testing.T) {
	masters := committed(t, "tutorials/src/*.md")
	for name, data := range masters {
		s := string(data)
		for _, want := range []string{"# ", "**Claim.**", "**Try it yourself.**", "## Limits", "Further reading", "lab.Done()", "lab.Check("} {
			if !strings.Contains(s, want) && !(want == "## Limits" && strings.Contains(s, "What would change my mind")) && !(want == "**Try it yourself.**" && strings.Contains(s, "Replace the example by your own")) {
				t.Errorf("%s has no %q", name, want)
			}
		}
		if !regexp.MustCompile(`(?i)negative control|control:|the control|known fault|random`).MatchString(s) {
			t.Errorf("%s has no negative control", name)
		}
		if !strings.HasSuffix(strings.TrimSpace(s), "lab.Done()\n```") {
			t.Errorf("%s does not end with lab.Done()", name)
		}
	}
	for name, data := range committed(t, "*/src/*.md") {
		n, err := FromMaster("x", data, false, nil)
		if err != nil {
			t.Error(err)
			continue
		}
		for i, source := range n.Sources() {
			_, code, _ := strings.Cut(source, "%%\n")
			if lines := strings.Count(code, "\n"); strings.HasPrefix(source, "code:") && lines >= maxCellLines {
				t.Errorf("%s: cell %d has %d lines, at most %d", name, i+1, lines+1, maxCellLines)
			}
		}
	}
}
