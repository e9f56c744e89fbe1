package notebook

import (
	"fmt"
	"html"
	"regexp"
	"strings"

	"github.com/etredal/cross-layer-transcoder/viz"
)

// Page is the executed notebook as one HTML page, for who has no Jupyter: headings,
// paragraphs as they were written, code folded, outputs as figures. Outputs that do
// not carry our mark are shown as text. It trusts those that do: give it what Run
// has just made.
func (n *Notebook) Page(o viz.PageOptions) ([]byte, error) {
	var sections []viz.Section
	for _, cell := range n.cells {
		source := text(cell["source"])
		switch cell["cell_type"] {
		case "markdown":
			for _, s := range markdownSections(source) {
				if o.Title == "" && s.Title != "" {
					o.Title, s.Title = s.Title, ""
				}
				sections = append(sections, s)
			}
		case "code":
			sections = append(sections, codeSections(cell, source)...)
		}
	}
	return viz.Page(sections, o)
}

var (
	heading = regexp.MustCompile(`^#{1,3}\s+(.+?)\s*#*\s*$`)
	link    = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	marks   = strings.NewReplacer("**", "", "*", "", "`", "", "$$", "", "$", "")
)

// markdownSections cuts Markdown at its headings and empty lines.
func markdownSections(source string) (list []viz.Section) {
	for _, part := range strings.Split(source, "\n\n") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		if m := heading.FindStringSubmatch(part); m != nil {
			list = append(list, viz.Section{Title: plain(m[1])})
			continue
		}
		list = append(list, viz.Section{Text: plain(strings.ReplaceAll(part, "\n", " "))})
	}
	return list
}

func plain(s string) string { return marks.Replace(link.ReplaceAllString(s, "$1")) }

// codeSections are a cell's folded code and its outputs.
func codeSections(cell map[string]any, source string) []viz.Section {
	code := fmt.Sprintf("<details class=\"code\"><summary>code, %d lines</summary><pre>%s</pre></details>\n",
		strings.Count(strings.TrimSpace(source), "\n")+1, html.EscapeString(source))
	list := []viz.Section{}
	for _, o := range outputs(cell) {
		data, _ := o["data"].(map[string]any)
		meta, _ := o["metadata"].(map[string]any)
		mark, ours := meta["clt"].(map[string]any)
		shown := text(data["text/html"])
		if !ours || shown == "" {
			shown = "<pre>" + html.EscapeString(text(o["text"])+text(data["text/plain"])) + "</pre>\n"
		}
		kind, _ := mark["kind"].(string)
		if kind == "progress" || kind == "remark" {
			continue
		}
		list = append(list, viz.Section{Output: viz.Output{HTML: shown, Kind: kind}})
	}
	if len(list) == 0 {
		list = append(list, viz.Section{Output: viz.Output{Kind: "code"}})
	}
	list[0].Output.HTML = code + list[0].Output.HTML
	return list
}
