package notebook

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/etredal/cross-layer-transcoder/viz"
)

// What could run, load or send something is refused, in an output that bears our mark
// too.
func TestStillRefuses(t *testing.T) {
	for _, bad := range []string{
		`<img src=x onerror="x()">`, `<img src="https://example.org/x.png">`, `<img src="data:text/html;base64,PHNjcmlwdD4=">`, `<svg onload="x()"></svg>`,
		`<iframe srcdoc="x"></iframe>`, `<a href="javascript:x()">y</a>`, `<a href="https://example.org">y</a>`, `<form action="x"><input></form>`,
		`<div style="background:url(x)">y</div>`, `<div style="background:u\72l(x)">y</div>`, `<div style="background:&#117;rl(x)">y</div>`, `<div style="position: fixed">y</div>`,
		`<meta http-equiv="refresh" content="0">`, `<script src="x"></script>`, `<script>x()`, `<SCRIPT>x()</SCRIPT>`, `<scr<script></script>ipt>x()</script>`,
		`<p title='"><img src=x>'>y</p>`, `<p onclick="x()">y</p>`, `<!-- x -->`, `<style>p{}</style>`, `<math><mtext></mtext></math>`, "<p\u00a0title=\"x\">", `<p title="a" "b">`, `<`, `a < b`,
	} {
		if shown, ok := still(bad); ok {
			t.Errorf("%s became %s", bad, shown)
		}
	}
	for in, want := range map[string]string{
		`<div class="clt-out" style="color:#1A1A1A">x &lt; y</div>`:    `<div class="clt-out" style="color:#1A1A1A">x &lt; y</div>`,
		`<p>a</p><script>swap("b")</script>`:                           `<p>a</p>`,
		`<details open><summary>s</summary></details>`:                 `<details open><summary>s</summary></details>`,
		`<img alt="a" width="9" src="data:image/png;base64,AAAA+/==">`: `<img alt="a" width="9" src="data:image/png;base64,AAAA+/==">`,
	} {
		if got, ok := still(in); !ok || got != want {
			t.Errorf("%s: %s, %v", in, got, ok)
		}
	}
}

// Every picture and table of the committed notebooks is kept.
func TestStillKeepsOurOutputs(t *testing.T) {
	seen := map[string]int{}
	for name, data := range committed(t, "notebooks/*.ipynb", "tutorials/*.ipynb") {
		n, err := Parse(filepath.Base(name), data)
		if err != nil {
			t.Fatal(err)
		}
		for i, cell := range n.cells {
			for _, o := range outputs(cell) {
				data, _ := o["data"].(map[string]any)
				html := text(data["text/html"])
				if html == "" {
					continue
				}
				shown, ok := still(html)
				if !ok {
					t.Errorf("%s: cell %d: refused: %s", name, i+1, harmful(shown))
				}
				meta, _ := o["metadata"].(map[string]any)
				mark, _ := meta["clt"].(map[string]any)
				kind, _ := mark["kind"].(string)
				seen[kind]++
			}
		}
	}
	if seen["graph"] == 0 || seen["table"] == 0 || seen["check"] == 0 || seen["tokens"] == 0 {
		t.Errorf("only %v", seen)
	}
}

// A notebook from anywhere becomes a page in which nothing of it runs.
func TestPageOfForeignNotebook(t *testing.T) {
	nb := `{"nbformat":4,"nbformat_minor":5,"metadata":{},"cells":[
{"cell_type":"markdown","id":"a","metadata":{},"source":"# T <script>x1()</script>\n\nSee <img src=x onerror=x2()>.\n\n- one *<b>*\n  more\n- two\n\n1. <i>\n\n$$a<b$$"},
{"cell_type":"code","id":"b","metadata":{},"execution_count":1,"source":"%%\nlab.Show(x)","outputs":[
 {"output_type":"display_data","metadata":{"clt":{"kind":"graph","v":1}},"data":{"text/html":"<p>kept</p><script>x3()</script>","text/plain":"p"}},
 {"output_type":"display_data","metadata":{"clt":{"kind":"graph","v":1}},"data":{"text/html":"<img src=x onerror=x4()>","text/plain":"forged"}},
 {"output_type":"display_data","metadata":{},"data":{"text/html":"<b>x5</b>","text/plain":"foreign"}},
 {"output_type":"display_data","metadata":{},"data":{"application/javascript":"x6()"}},
 {"output_type":"error","ename":"E","evalue":"bad <b>","traceback":["t"]}]}]}`
	n, err := Parse("f.ipynb", []byte(nb))
	if err != nil {
		t.Fatal(err)
	}
	data, err := n.Page(PageOptions{PageOptions: viz.PageOptions{}})
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	for _, bad := range []string{"<script>x1", "<img src=x", "x3()", "x4()", "<b>x5", "x6()"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %s", bad)
		}
	}
	for _, want := range []string{"<p>kept</p>", "forged", "foreign", "an output that this page does not show", "E: bad &lt;b&gt;", "lab.Show(x)", "<ul><li>one &lt;b&gt; more</li><li>two</li></ul>", "<ol><li>&lt;i&gt;</li></ol>", "<pre>a&lt;b</pre>"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	if data, err = n.Page(PageOptions{NoInput: true}); err != nil || strings.Contains(string(data), "lab.Show(x)") {
		t.Errorf("code is in the page that is to be without: %v", err)
	}
}
