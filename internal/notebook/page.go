package notebook

import (
	"fmt"
	"html"
	"regexp"
	"strings"

	"github.com/etredal/cross-layer-transcoder/viz"
)

// PageOptions say how a notebook becomes a page.
type PageOptions struct {
	viz.PageOptions
	// Trusted keeps the scripts of outputs that carry our mark, so that pictures can be
	// explored: for outputs that Run has just made. Without it, as for a file from
	// anywhere, pictures stand still, and an output with anything in it that could run,
	// load or send something is shown as its text.
	Trusted bool
	NoInput bool // leave the code out
}

// Page is the executed notebook as one HTML page, for who has no Jupyter: headings,
// paragraphs as they were written, code folded, outputs as figures. Outputs that do
// not carry our mark are shown as text.
func (n *Notebook) Page(o PageOptions) ([]byte, error) {
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
			sections = append(sections, codeSections(cell, source, o)...)
		}
	}
	return viz.Page(sections, o.PageOptions)
}

var (
	heading = regexp.MustCompile(`^#{1,3}\s+(.+?)\s*#*\s*$`)
	link    = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	item    = regexp.MustCompile(`^(?:[-*]|\d{1,3}\.)\s+`)
	folding = regexp.MustCompile(`</?(?:details|summary)>`)
	marks   = strings.NewReplacer("**", "", "*", "", "`", "", "$$", "", "$", "")
)

// markdownSections cuts Markdown at its headings and empty lines.
func markdownSections(source string) (list []viz.Section) {
	for _, part := range strings.Split(source, "\n\n") {
		part = strings.TrimSpace(part)
		if part = strings.TrimSpace(folding.ReplaceAllString(part, "")); part == "" {
			continue
		}
		if m := heading.FindStringSubmatch(part); m != nil {
			list = append(list, viz.Section{Title: plain(m[1])})
			continue
		}
		switch {
		case strings.HasPrefix(part, "$$") || strings.HasPrefix(part, "```"):
			list = append(list, viz.Section{Output: viz.Output{HTML: "<pre>" + html.EscapeString(strings.Trim(part, "$`\n")) + "</pre>\n", Kind: "text"}})
		case item.MatchString(part):
			list = append(list, viz.Section{Output: viz.Output{HTML: items(part), Kind: "text"}})
		default:
			list = append(list, viz.Section{Text: plain(strings.ReplaceAll(strings.TrimPrefix(part, "> "), "\n", " "))})
		}
	}
	return list
}

// items is a list, numbered or not; a line that begins no item belongs to the one before.
func items(part string) string {
	var texts []string
	for line := range strings.Lines(part) {
		line = strings.TrimSpace(line)
		if m := item.FindString(line); m != "" || len(texts) == 0 {
			texts = append(texts, plain(line[len(m):]))
		} else {
			texts[len(texts)-1] += " " + plain(line)
		}
	}
	tag := "ul"
	if part[0] >= '0' && part[0] <= '9' {
		tag = "ol"
	}
	var b strings.Builder
	for _, t := range texts {
		b.WriteString("<li>" + html.EscapeString(t) + "</li>")
	}
	return "<" + tag + ">" + b.String() + "</" + tag + ">\n"
}

func plain(s string) string { return marks.Replace(link.ReplaceAllString(s, "$1")) }

// codeSections are a cell's folded code and its outputs.
func codeSections(cell map[string]any, source string, opts PageOptions) []viz.Section {
	code := ""
	if !opts.NoInput {
		code = folded(source)
	}
	list := []viz.Section{}
	for _, o := range outputs(cell) {
		data, _ := o["data"].(map[string]any)
		meta, _ := o["metadata"].(map[string]any)
		mark, ours := meta["clt"].(map[string]any)
		kind, _ := mark["kind"].(string)
		if o["output_type"] == "stream" || o["output_type"] == "error" {
			kind = "text" // no figure
		}
		if kind == "progress" || kind == "remark" {
			continue
		}
		shown := text(data["text/html"])
		if ours && !opts.Trusted {
			shown, ours = still(shown)
		}
		if !ours || shown == "" {
			shown = "<pre>" + html.EscapeString(plainOf(o, data)) + "</pre>\n"
		}
		list = append(list, viz.Section{Output: viz.Output{HTML: shown, Kind: kind}})
	}
	switch {
	case len(list) > 0:
		list[0].Output.HTML = code + list[0].Output.HTML
	case code != "":
		list = append(list, viz.Section{Output: viz.Output{HTML: code, Kind: "code"}})
	}
	return list
}

// plainOf is an output as text; of an error, what went wrong.
func plainOf(o, data map[string]any) string {
	if o["output_type"] == "error" {
		return fmt.Sprintf("%v: %v", o["ename"], o["evalue"])
	}
	if s := text(o["text"]) + text(data["text/plain"]); s != "" {
		return s
	}
	return "(an output that this page does not show)"
}

// folded is code that opens on a click.
func folded(source string) string {
	return fmt.Sprintf("<details class=\"code\"><summary>code, %d lines</summary><pre>%s</pre></details>\n",
		strings.Count(strings.TrimSpace(source), "\n")+1, html.EscapeString(source))
}
