package viz

import (
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

var (
	tag       = regexp.MustCompile(`^<(/?)([a-z0-9]+)((?: [a-z-]+(?:="[^"<]*")?)*) ?/?>`)
	attribute = regexp.MustCompile(` ([a-z-]+)(?:="([^"<]*)")?`)
	payload   = regexp.MustCompile(`data:image/(svg\+xml|png);base64,([A-Za-z0-9+/=]+)`)

	// what an untrusted JupyterLab keeps, and we use
	keptTags = words("div span b sub table caption thead tbody tr th td details summary ol li p img bdi br progress script")
	keptAttr = words("class lang dir title style alt width height src scope value max data-light data-dark")
	keptCSS  = words(`background color border border-left border-right border-bottom border-radius border-collapse table-layout padding margin max-width min-width width height overflow-x flex-grow flex-basis
		box-sizing font-family font-size font-weight line-height text-align vertical-align white-space opacity position left top display flex-wrap gap cursor`)
)

func words(s string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(s) {
		m[w] = true
	}
	return m
}

// checkHTML reads our HTML by the strictest rules: known tags, quoted
// attributes, known CSS, balanced; it returns the text outside tags.
func checkHTML(t *testing.T, what, html string) string {
	t.Helper()
	var text strings.Builder
	var open []string
	void := words("img br")
	for i := 0; i < len(html); {
		if html[i] != '<' {
			if html[i] == '>' {
				t.Fatalf("%s: raw > in text near %q", what, near(html, i))
			}
			text.WriteByte(html[i])
			i++
			continue
		}
		m := tag.FindStringSubmatch(html[i:])
		if m == nil {
			t.Fatalf("%s: raw < near %q", what, near(html, i))
		}
		i += len(m[0])
		if !keptTags[m[2]] {
			t.Fatalf("%s: tag <%s>", what, m[2])
		}
		for _, a := range attribute.FindAllStringSubmatch(m[3], -1) {
			if !keptAttr[a[1]] {
				t.Fatalf("%s: attribute %s of <%s>", what, a[1], m[2])
			}
			if a[1] == "style" {
				checkStyle(t, what, a[2])
			}
			if a[1] == "alt" && m[2] == "img" && utf8.RuneCountInString(a[2]) > 1000 {
				t.Errorf("%s: alt of %d characters", what, utf8.RuneCountInString(a[2]))
			}
		}
		if m[2] == "img" && !strings.Contains(m[3], ` alt="`) {
			t.Errorf("%s: image without alt", what)
		}
		switch {
		case m[2] == "script" && m[1] == "":
			end := strings.Index(html[i:], "</script>")
			i += end + len("</script>")
		case m[1] == "/":
			if len(open) == 0 || open[len(open)-1] != m[2] {
				t.Fatalf("%s: </%s> closes %v", what, m[2], open)
			}
			open = open[:len(open)-1]
		case !void[m[2]]:
			open = append(open, m[2])
		}
	}
	if len(open) > 0 {
		t.Errorf("%s: %v left open", what, open)
	}
	for _, p := range payload.FindAllStringSubmatch(html, -1) {
		b, err := base64.StdEncoding.DecodeString(p[2])
		if err != nil {
			t.Fatal(err)
		}
		if p[1] == "svg+xml" {
			checkSVG(t, what, string(b))
		}
	}
	return text.String()
}

func near(s string, i int) string { return s[max(0, i-40):min(len(s), i+60)] }

func checkStyle(t *testing.T, what, style string) {
	t.Helper()
	for decl := range strings.SplitSeq(strings.ReplaceAll(style, "&#39;", "'"), ";") {
		if decl == "" {
			continue
		}
		name, value, ok := strings.Cut(decl, ":")
		if !ok || !keptCSS[name] || regexp.MustCompile(`var\(|hsl|url|expression|ch\b`).MatchString(value) {
			t.Fatalf("%s: style %q would be dropped", what, decl)
		}
	}
}

// checkSVG: well-formed XML, sized, and nothing but drawing.
func checkSVG(t *testing.T, what, svg string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(svg))
	first := true
	allowed := words("svg title rect path circle text g")
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%s: SVG is not well-formed: %v", what, err)
		}
		e, ok := tok.(xml.StartElement)
		if !ok {
			continue
		}
		if !allowed[e.Name.Local] {
			t.Fatalf("%s: <%s> in SVG", what, e.Name.Local)
		}
		have := map[string]string{}
		for _, a := range e.Attr {
			have[a.Name.Local] = a.Value
			if a.Name.Local == "style" || a.Name.Local == "href" || strings.HasPrefix(a.Name.Local, "on") {
				t.Fatalf("%s: attribute %s in SVG", what, a.Name.Local)
			}
		}
		if first && (have["width"] == "" || have["height"] == "" || have["viewBox"] == "") {
			t.Errorf("%s: SVG without size", what)
		}
		first = false
	}
	checkText(t, what, svg)
}

// checkText: no character that is invisible, illegal or reorders; no address.
func checkText(t *testing.T, what, s string) {
	t.Helper()
	if !utf8.ValidString(s) {
		t.Errorf("%s: not UTF-8", what)
	}
	prev := rune(0)
	for i, r := range s {
		next, _ := utf8.DecodeRuneInString(s[i+utf8.RuneLen(max(r, 0)):])
		joiner := r == 0x200D && isEmoji(prev) && isEmoji(next)
		if r != '\n' && (r < 0x20 || unicode.In(r, unicode.Cf) && !joiner || r >= 0x7F && r < 0xA0 || r == 0xFFFE || r == 0xFDD0 || r == 0x2028) {
			t.Fatalf("%s: character %U near %q", what, r, near(s, i))
		}
		prev = r
	}
	s = strings.NewReplacer("http://www.w3.org/2000/svg", "", "http://www.w3.org/1999/xhtml", "").Replace(s)
	for _, bad := range []string{"http:", "https:", "://", "url(", "@import"} {
		if strings.Contains(s, bad) {
			t.Fatalf("%s: %q near %q", what, bad, near(s, strings.Index(s, bad)))
		}
	}
}

func TestHostileComponents(t *testing.T) {
	all := append(hostileComponents(), components()...)
	for _, h := range hostile {
		graphs, err := graphsOf(h)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, graphs...)
	}
	for _, o := range all {
		checkHTML(t, o.Kind, o.HTML)
		checkText(t, o.Kind, payload.ReplaceAllString(o.HTML, ""))
		checkText(t, o.Kind+" plain", o.Plain)
		checkMarkdown(t, o.Kind, o.Markdown)
		if strings.Contains(o.Still().HTML, " id=") {
			t.Errorf("%s: an id would clash when the output is shown twice", o.Kind)
		}
	}
}

var codeSpan = regexp.MustCompile("(`+) ?[^`]+ ?`+")

// checkMarkdown: outside code spans no raw HTML and no live markup.
func checkMarkdown(t *testing.T, what, md string) {
	t.Helper()
	checkText(t, what+" markdown", md)
	for line := range strings.Lines(md) {
		rest := codeSpan.ReplaceAllString(line, "")
		for _, bad := range []string{"<", "$", "{{"} {
			for k := strings.Index(rest, bad); k >= 0; k = strings.Index(rest, bad) {
				if k == 0 || rest[k-1] != '\\' {
					t.Fatalf("%s: raw %s in Markdown: %s", what, bad, line)
				}
				rest = rest[k+1:]
			}
		}
	}
}

func TestHostileGraph(t *testing.T) {
	g, o := hostileGraph()
	out, err := Graph(g, o)
	if err != nil {
		t.Fatal(err)
	}
	checkHTML(t, "graph", out.HTML)
	checkText(t, "graph", payload.ReplaceAllString(out.HTML, ""))
	checkText(t, "graph plain", out.Plain)
	checkMarkdown(t, "graph", out.Markdown)
	if n := strings.Count(out.HTML, "</script>"); n != 1 {
		t.Errorf("%d script ends, want 1: a token closed the script", n)
	}
	doc := frameOf(t, out)
	if n := strings.Count(doc, "</script>"); n != 2 {
		t.Errorf("%d script ends in the frame, want 2", n)
	}
	checkText(t, "frame", doc)
	for _, themeName := range []string{"light", "dark"} {
		o.Theme = themeName
		svg, err := GraphSVG(g, o)
		if err != nil {
			t.Fatal(err)
		}
		checkSVG(t, "svg "+themeName, svg)
	}
	page, err := GraphPage(g, PageOptions{Title: hostile[1], Subtitle: hostile[11], Summary: hostile[13], Licence: hostile[32], Graph: o,
		Provenance: Provenance{Tool: hostile[1], Extra: map[string]string{hostile[1]: hostile[11]}}})
	if err != nil {
		t.Fatal(err)
	}
	checkText(t, "page", payload.ReplaceAllString(string(page), ""))
	if n := strings.Count(string(page), "<img src=x"); n != 0 {
		t.Error("a token became an element of the page")
	}
}

// frameOf takes the frame's document out of an output's script.
func frameOf(t *testing.T, o Output) string {
	t.Helper()
	_, rest, ok := strings.Cut(o.HTML, "\n})(\"")
	if !ok {
		t.Fatal("output has no frame")
	}
	var doc string
	d := json.NewDecoder(strings.NewReader(`"` + rest))
	if err := d.Decode(&doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// TestScripts: nothing that runs text as code, reaches out, or keeps state.
func TestScripts(t *testing.T) {
	for name, js := range map[string]string{"frame": frameJS, "host": hostJS, "swap": swapJS, "alive": aliveJS, "readout": readoutJS, "page": pageJS} {
		for _, bad := range []string{"innerHTML", "outerHTML", "insertAdjacent", "eval(", "Function(", "fetch(", "XMLHttp", "import(", "document.write",
			"localStorage", "sessionStorage", "cookie", "allow-same-origin", "setTimeout('", "href=\"#", "WebSocket"} {
			if strings.Contains(js, bad) {
				t.Errorf("%s.js: %s", name, bad)
			}
		}
		if n := len(compact(js)); n > 12<<10 {
			t.Errorf("%s.js: %d bytes, limit 12 KiB", name, n)
		}
	}
	for _, html := range []string{frameHTML, pageHTML} {
		if !strings.Contains(html, "default-src 'none'") {
			t.Error("a document without content security policy")
		}
	}
	t.Logf("frame.js %d bytes, swap.js %d", len(compact(frameJS)), len(compact(swapJS)))
}
