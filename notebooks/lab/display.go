package lab

import (
	"encoding/gob"
	"fmt"
	"html"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"sync"

	"github.com/etredal/cross-layer-transcoder/internal/atomicfile"
	"github.com/etredal/cross-layer-transcoder/viz"
	"github.com/janpfeifer/gonb/gonbui"
	"github.com/janpfeifer/gonb/gonbui/protocol"
)

// sink is where outputs go. An output with an id replaces the one shown before under that id.
type sink interface {
	show(id string, o viz.Output)
	sync()
}

// out is the notebook, or files and the terminal if there is none.
var out = newSink()

func newSink() sink {
	if gonbui.IsNotebook {
		return notebook{}
	}
	return &files{stdout: os.Stdout, stderr: os.Stderr}
}

// Shower is a value that can be shown; all that the verbs of a Session return are.
type Shower interface{ Output() viz.Output }

// Show displays values: pictures in a notebook, files under out with a line of text elsewhere. It returns when they have
// arrived. What is neither a Shower nor an output is printed, as is nil.
func Show(things ...any) {
	for _, t := range things {
		var o viz.Output
		switch v := t.(type) {
		case viz.Output:
			o = v
		case Shower:
			if !isNil(v) {
				o = v.Output()
				break
			}
			o = viz.Warn("nothing to show", fmt.Sprintf("this %T is nil: its cell has not made it", v))
		default:
			text := "nil"
			if !isNil(v) {
				text = fmt.Sprint(v)
			}
			o = viz.Output{HTML: "<pre>" + html.EscapeString(text) + "</pre>", Markdown: text, Plain: text, Kind: "text"}
		}
		out.show("", alive(o))
		remember(part{Output: o, Graphs: graphsIn(t)})
	}
	out.sync()
}

// isNil says whether a value is nothing, or a pointer to nothing.
func isNil(v any) bool {
	r := reflect.ValueOf(v)
	return !r.IsValid() || r.Kind() == reflect.Pointer && r.IsNil()
}

// alive leaves scripts out where pictures are to be small.
func alive(o viz.Output) viz.Output {
	if static() {
		return o.Still()
	}
	return o
}

// live is one place in a notebook that is drawn again and again.
type live struct{ id string }

func newLive() *live {
	if gonbui.IsNotebook {
		return &live{id: gonbui.UniqueId()}
	}
	return &live{id: "live"}
}

// final draws; what is drawn last stays. Callers keep to a few drawings a second.
func (l *live) final(o viz.Output) { out.show(l.id, o.Still()) } // a frame would flicker

// notebook sends each output in its three forms: HTML for JupyterLab, Markdown and plain text for whoever shows no HTML. The
// metadata key clt tells our outputs from others.
type notebook struct{}

func init() { gob.Register(map[string]any{}) } // the metadata is nested

func (notebook) show(id string, o viz.Output) {
	data := map[protocol.MIMEType]any{}
	for mime, text := range map[protocol.MIMEType]string{
		protocol.MIMETextHTML: o.HTML, protocol.MIMETextMarkdown: o.Markdown, protocol.MIMETextPlain: o.Plain} {
		if text != "" {
			data[mime] = text
		}
	}
	gonbui.SendData(&protocol.DisplayData{Data: data, DisplayID: id,
		Metadata: map[string]any{"clt": map[string]any{"v": viz.OutputVersion, "kind": o.Kind}}})
}

func (notebook) sync() { gonbui.Sync() }

// files prints the text of an output and writes its HTML under out.
type files struct {
	stdout, stderr io.Writer

	mu sync.Mutex
	n  int
}

func (f *files) show(id string, o viz.Output) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch o.Kind {
	case "progress": // the terminal's own bar, see bar
		return
	case "error":
		fmt.Fprintln(f.stderr, o.Plain)
		return
	case "remark":
		fmt.Fprintln(f.stderr, o.Plain)
		return
	}
	fmt.Fprintln(f.stdout, o.Plain)
	if o.HTML == "" || o.Kind == "check" || o.Kind == "text" { // the line that was printed is all there is
		return
	}
	name := "live"
	if id == "" {
		f.n++
		name = fmt.Sprintf("%02d-%s", f.n, o.Kind)
	}
	path, err := writePage(name+".html", o)
	if err != nil {
		fmt.Fprintln(f.stderr, err)
		return
	}
	if id == "" {
		fmt.Fprintln(f.stdout, "→", path)
	}
}

func (f *files) sync() {}

// writePage writes an output as a page of its own under out in the clone, or in the working directory outside one.
func writePage(name string, o viz.Output) (string, error) {
	root, err := findRoot()
	if err != nil {
		root = "."
	}
	dir := filepath.Join(root, "out")
	page := `<!doctype html><html lang="en"><meta charset="utf-8"><title>` + html.EscapeString(o.Kind) + `</title>` +
		`<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; ` +
		`script-src 'unsafe-inline'; frame-src 'self' data:; base-uri 'none'; form-action 'none'"><body>` + o.HTML + "</body></html>\n"
	path := filepath.Join(dir, name)
	if err := atomicfile.Write(path, []byte(page)); err != nil {
		return "", cannotWrite("out/"+name, err)
	}
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, path); err == nil {
			return rel, nil
		}
	}
	return path, nil
}
