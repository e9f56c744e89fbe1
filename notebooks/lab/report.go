package lab

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/etredal/cross-layer-transcoder/internal/atomicfile"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
	"github.com/etredal/cross-layer-transcoder/viz"
)

// Report writes everything that this kernel has shown so far, in order, to one page
// under out that opens in any browser without a network, and shows where. What was
// shown twice alike, as by running a cell again, stands there once. For the notebook
// with its text and code use bin/clt report NOTEBOOK.
func Report(title string) {
	list := remembered()
	if len(list) == 0 {
		fail("report", &wire.Error{Message: "lab: nothing has been shown yet", Cure: "run the cells above first"})
		return
	}
	var sections []viz.Section
	for _, o := range list {
		sections = append(sections, viz.Section{Output: o})
	}
	page, err := viz.Page(sections, viz.PageOptions{Title: title, Provenance: viz.Provenance{Tool: modulePath, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}})
	if err != nil {
		fail("report", err)
		return
	}
	root, err := findRoot()
	if err != nil {
		fail("report", err)
		return
	}
	file := filepath.Join("out", fileName(title)+".html")
	if err := os.MkdirAll(filepath.Join(root, "out"), 0o755); err != nil {
		fail("report", fmt.Errorf("lab: %w; is the folder writable?", err))
		return
	}
	if err := atomicfile.Write(filepath.Join(root, file), page); err != nil {
		fail("report", err)
		return
	}
	Show(viz.Check("wrote "+filepath.ToSlash(file), true, fmt.Sprintf("%d figures, %d KB", len(list), (len(page)+1023)/1024)))
}

// fileName is a title as the name of a file: letters and digits, joined by hyphens.
func fileName(title string) string {
	words := strings.FieldsFunc(strings.ToLower(title), func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
	name := strings.Join(words, "-")
	return "report-" + name[:min(len(name), 60)]
}

// shownHere is what this process has shown, for programs outside a notebook.
var shownHere []viz.Output

// shownFile holds what the cells of a kernel have shown; "" outside a notebook.
func shownFile() string {
	if dir := os.Getenv("GONB_TMP_DIR"); dir != "" {
		return filepath.Join(dir, "shown.jsonl")
	}
	return ""
}

// remember keeps an output for Report. A full disk costs the report, not the cell.
func remember(o viz.Output) {
	if o.HTML == "" || o.Kind == "help" {
		return
	}
	file := shownFile()
	if file == "" {
		shownHere = append(shownHere, o)
		return
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	defer f.Close()
	if line, err := json.Marshal(o); err == nil {
		_, _ = f.Write(append(line, '\n'))
	}
}

// remembered lists what was shown, equal outputs once, at their last place.
func remembered() []viz.Output {
	list := slices.Clone(shownHere)
	if f, err := os.Open(shownFile()); err == nil {
		defer f.Close()
		sc := bufio.NewScanner(f)
		for sc.Buffer(nil, 64<<20); sc.Scan(); {
			var o viz.Output
			if json.Unmarshal(sc.Bytes(), &o) == nil {
				list = append(list, o)
			}
		}
	}
	var out []viz.Output
	for i, o := range list {
		if !slices.Contains(list[i+1:], o) {
			out = append(out, o)
		}
	}
	return out
}
