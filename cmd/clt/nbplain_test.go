package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRunPlain: a notebook runs without Jupyter and becomes a page; a failing cell
// stops it and is named.
func TestRunPlain(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("CLT_ROOT", root)
	dir := t.TempDir()
	nb := filepath.Join(dir, "plain-test.ipynb")
	cell := func(source string) string {
		return `{"cell_type":"code","id":"` + strings.Repeat("c", len(source)%60+1) + `","metadata":{},"outputs":[],"execution_count":null,"source":` + source + `}`
	}
	write := func(cells ...string) {
		writeTestFile(t, nb, `{"nbformat":4,"nbformat_minor":5,"metadata":{},"cells":[{"cell_type":"markdown","id":"m","metadata":{},"source":"# A <b>title</b>\n\nSome *words*."},`+strings.Join(cells, ",")+`]}`)
	}
	write(cell(`"import \"github.com/etredal/cross-layer-transcoder/notebooks/lab\"\n%%\nlab.Check(true, \"it holds\", \"\")"`), cell(`"%%\nfmt.Println(\"<script>\")"`))
	must(t, "nb", "run", "-plain", "-in-place", "-report", nb)
	page := filepath.Join(root, "out", "plain-test.html")
	defer os.Remove(page)
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"it holds", "&lt;script&gt;", "default-src 'none'", "code, 3 lines", "clt nb run -plain -report plain-test.ipynb"} {
		if !strings.Contains(string(data), want) {
			t.Errorf("the page has no %q", want)
		}
	}
	if strings.Contains(string(data), dir) || strings.Contains(string(data), "<b>title") {
		t.Error("the page names a folder, or has foreign tags")
	}
	if out := must(t, "nb", "check", nb); !strings.Contains(out, "ok") {
		t.Errorf("check: %s", out)
	}
	write(cell(`"%%\nos.Exit(2)"`))
	before, _ := os.ReadFile(nb)
	r := cli(t, "nb", "run", "-plain", "-in-place", nb)
	if line := lastLine(r.stderr); r.status != statusFailed || !strings.Contains(line, "cell 2") || !message.MatchString(line) {
		t.Errorf("a failing cell: exit %d, %q", r.status, r.stderr)
	}
	if after, _ := os.ReadFile(nb); string(after) != string(before) {
		t.Error("a failed run in place changed the notebook")
	}
	if got := byNumber("99"); !strings.Contains(got, "99-*") {
		t.Errorf("number 99 is %q", got)
	}
	if got := byNumber("6"); filepath.Base(got) != "06-graph-by-hand.ipynb" {
		t.Errorf("number 6 is %q", got)
	}
}
