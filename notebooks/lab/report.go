package lab

import (
	"fmt"
	"html"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/etredal/cross-layer-transcoder/internal/atomicfile"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
	"github.com/etredal/cross-layer-transcoder/viz"
)

// Section shows a heading, text (paragraphs with empty lines between them) and
// results, and keeps them together for Report: one part of a study. When its cell is
// run again, what it shows then takes the place of what it showed before.
func Section(title, text string, things ...any) {
	paragraphs := strings.Split(strings.TrimSpace(text), "\n\n")
	o := viz.Output{Kind: "text", Plain: title, Markdown: "**" + plainMarkdown.Replace(title) + "**",
		HTML: `<div style="font-weight:600;font-size:17px;margin:6px 0">` + html.EscapeString(title) + `</div>`}
	remember(part{Title: title})
	for _, p := range paragraphs {
		if p = strings.TrimSpace(p); p == "" {
			continue
		}
		o.HTML += `<p style="max-width:60em">` + html.EscapeString(p) + `</p>`
		o.Markdown, o.Plain = o.Markdown+"\n\n"+plainMarkdown.Replace(p), o.Plain+"\n"+p
		remember(part{Text: p})
	}
	out.show("", o)
	Show(things...)
}

// Report writes everything that this kernel has shown so far, in order, to one page
// under out that opens in any browser without a network, and shows where. Section
// gives it headings, a table of contents and text; finding, the result in a sentence
// or two, stands at its top. What was shown twice alike, as by running a cell again,
// stands there once. The page says which model, transcoder and graphs it shows, with
// their hashes and the commands that make the graphs again. For the notebook with its
// text and code use bin/clt report NOTEBOOK.
func Report(title string, finding ...string) {
	list := remembered()
	if len(list) == 0 {
		fail("report", &wire.Error{Message: "lab: nothing has been shown yet", Cure: "run the cells above first"})
		return
	}
	var sections []viz.Section
	figures := 0
	for _, p := range list {
		sections = append(sections, viz.Section{Title: p.Title, Text: p.Text, Output: p.Output})
		if p.Output.HTML != "" {
			figures++
		}
	}
	root, err := findRoot()
	if err != nil {
		fail("report", err)
		return
	}
	page, err := viz.Page(sections, viz.PageOptions{Title: title, Summary: strings.Join(finding, " "), Provenance: madeFrom(root, list)})
	if err != nil {
		fail("report", err)
		return
	}
	file := filepath.Join("out", fileName(title)+".html")
	if err := atomicfile.Write(filepath.Join(root, file), page); err != nil {
		fail("report", cannotWrite(file, err))
		return
	}
	out.show("", viz.Check("wrote "+filepath.ToSlash(file), true, fmt.Sprintf("%d results, %d KB", figures, (len(page)+1023)/1024)))
	out.sync()
}

// madeFrom says what the parts of a report were made from.
func madeFrom(root string, list []part) viz.Provenance {
	p := viz.Provenance{Tool: modulePath, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	seen, first := map[string]bool{}, true
	for _, g := range graphsOf(list) {
		if key := g.Prompt + g.SHA256; !seen[key] {
			seen[key] = true
			p.Graphs = append(p.Graphs, g.GraphMade)
		}
		if first {
			p.Model, p.CLT, p.Backend, first = g.Model, g.CLT, g.Backend, false
		}
		if g.Model != p.Model { // several: the graphs' commands name them
			p.Model.Name, p.Model.SHA256 = "several", ""
		}
		if g.CLT != p.CLT {
			p.CLT.Name, p.CLT.SHA256 = "several", ""
		}
	}
	if checks := recorded(); len(checks) > 0 {
		held := 0
		for _, c := range checks {
			if c.OK {
				held++
			}
		}
		p.Extra = map[string]string{"checks": fmt.Sprintf("%d of %d hold", held, len(checks))}
	}
	if name := os.Getenv("JPY_SESSION_NAME"); strings.HasSuffix(name, ".ipynb") { // JupyterLab tells kernels
		p.Command = "bin/clt nb run " + viz.ShellWord(relative(name, root))
	}
	return p
}

func graphsOf(list []part) (out []madeGraph) {
	for _, p := range list {
		out = append(out, p.Graphs...)
	}
	return out
}

// relative is a path relative to the clone, or its last element where it is not inside.
func relative(path, root string) string {
	if !filepath.IsAbs(path) {
		return path
	}
	if rel, err := filepath.Rel(root, path); err == nil && filepath.IsLocal(rel) {
		return filepath.ToSlash(rel)
	}
	return filepath.Base(path)
}

// fileName is a title as the name of a file: letters and digits, joined by hyphens.
func fileName(title string) string {
	words := strings.FieldsFunc(strings.ToLower(title), func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
	name := strings.Join(words, "-")
	return "report-" + name[:min(len(name), 60)]
}
