package viz

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"strconv"
	"strings"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
)

//go:embed frame/page.html
var pageHTML string

//go:embed frame/page.css
var pageCSS string

//go:embed frame/page.js
var pageJS string

var pageTemplate = template.Must(template.New("page").Parse(pageHTML))

const maxPage = 5 << 20 // bytes

// Section is one part of a page: a heading, a paragraph, a figure; each may be
// empty.
type Section struct {
	Title, Text string
	Output      Output
}

// PageOptions set a page; the zero value works.
type PageOptions struct {
	Title      string // default: the prompt, or "Report"
	Subtitle   string
	Summary    string // the finding, in at most three sentences
	Lang       string // default "en"
	Licence    string // of the data shown
	Provenance Provenance
	Graph      GraphOptions // for GraphPage
}

// GraphPage is one graph as a file for the browser: picture, interactive
// frame, tables, provenance. It asks the network for nothing and the same
// input gives the same bytes. Provenance fields that the graph knows are
// filled in.
func GraphPage(g *attribution.Graph, o PageOptions) ([]byte, error) {
	if o.Graph.Width == 0 {
		o.Graph.Width = 1180
	}
	if o.Graph.MaxNodes == 0 {
		o.Graph.MaxNodes = 2000
	}
	v, err := newView(g, o.Graph.withDefaults())
	if err != nil {
		return nil, err
	}
	v.layout()
	v.untitled = true // the page has the title
	out, err := v.output()
	if err != nil {
		return nil, err
	}
	if o.Title == "" {
		o.Title = "Attribution graph: " + plainText(g.Tokens)
	}
	p := &o.Provenance
	if p.Model.Name == "" {
		p.Model = g.Model
	}
	if p.CLT.Name == "" {
		p.CLT = g.CLT
	}
	if p.Prompt == "" {
		p.Prompt, p.IDs = g.Prompt, g.IDs
		if len(p.Prompt) > 64<<10 { // the ids say it all
			p.Prompt = cut(p.Prompt, 1000)
		}
	}
	if p.Attribution == nil {
		s := g.Settings
		p.Attribution = &s
	}
	if p.Backend == "" {
		p.Backend = g.Settings.Backend
	}
	p.Nodes, p.Edges, p.Influence = [2]int{v.shownNodes, v.totalNodes}, [2]int{len(v.links), v.totalEdges}, v.shownInfl
	return Page([]Section{{Output: out}}, o)
}

// notFigures are kinds of outputs that have no number and no caption.
var notFigures = map[string]bool{"check": true, "text": true, "code": true}

// Page puts sections on one HTML page with a provenance table. It fails if the
// page would be larger than 5 MiB or name an absolute path.
func Page(sections []Section, o PageOptions) ([]byte, error) {
	if o.Title == "" {
		o.Title = "Report"
	}
	if o.Lang == "" {
		o.Lang = "en"
	}
	if err := o.Provenance.check(); err != nil {
		return nil, err
	}
	type part struct {
		Title, Text, ID string
		HTML            template.HTML
		Number          int
		Bare            bool // no figure
	}
	var parts, toc []part
	number, used := 0, map[string]int{}
	for _, s := range sections {
		p := part{Title: visible(s.Title), Text: visible(s.Text), HTML: template.HTML(s.Output.HTML)}
		if p.Bare = notFigures[s.Output.Kind]; s.Output.HTML != "" && !p.Bare {
			number++
		}
		p.Number, p.ID = number, slug(s.Title, s.Output.Kind, used)
		parts = append(parts, p)
		if p.Title != "" {
			toc = append(toc, p)
		}
	}
	if len(toc) < 3 {
		toc = nil
	}
	data := map[string]any{
		"Title": visible(o.Title), "Subtitle": visible(o.Subtitle), "Summary": visible(o.Summary), "Lang": o.Lang, "Licence": visible(o.Licence),
		"CSS": template.CSS(pageCSS), "Script": template.JS(compact(pageJS)), "Sections": parts, "TOC": toc,
	}
	if rows := o.Provenance.rows(); len(rows) > 0 {
		for _, r := range rows {
			r[0], r[1] = visible(r[0]), visible(r[1])
		}
		o.Provenance.Schema = Schema
		js, err := json.MarshalIndent(o.Provenance, "", " ")
		if err != nil {
			return nil, fmt.Errorf("viz: page: provenance: %w", err)
		}
		data["Rows"], data["JSON"] = rows, template.JS(js)
	}
	var b strings.Builder
	if err := pageTemplate.Execute(&b, data); err != nil {
		return nil, fmt.Errorf("viz: page: %w", err)
	}
	if b.Len() > maxPage {
		return nil, fmt.Errorf("viz: page: it has %.1f MiB, the limit is %d; prune harder or draw fewer nodes", float64(b.Len())/(1<<20), maxPage>>20)
	}
	return []byte(b.String()), nil
}

// slug is a name for anchors and files: lower-case letters, digits and dashes
// of the title, made unique by a number.
func slug(title, kind string, used map[string]int) string {
	var b strings.Builder
	for _, r := range strings.ToLower(title) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
		if b.Len() >= 50 {
			break
		}
	}
	s := strings.Trim(b.String(), "-")
	if s == "" {
		s = "figure"
		if kind != "" {
			s = kind
		}
	}
	used[s]++
	if n := used[s]; n > 1 {
		s += "-" + strconv.Itoa(n)
	}
	return "s-" + s
}
