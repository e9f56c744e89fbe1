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

// TestReportWithoutJupyter: a notebook becomes a page in a clone without Jupyter too,
// with one line that says what is missing, the same bytes each time.
func TestReportWithoutJupyter(t *testing.T) {
	root := t.TempDir()
	writeTestFile(t, filepath.Join(root, "go.mod"), "module github.com/etredal/cross-layer-transcoder\n")
	t.Setenv("CLT_ROOT", root)
	nb := filepath.Join("..", "..", "tutorials", "07-prune-and-read.ipynb")
	page := filepath.Join(t.TempDir(), "page.html")
	var pages []string
	for range 2 {
		r := cli(t, "report", "-o", page, nb)
		if r.status != 0 || strings.Count(r.stderr, "no Jupyter") != 1 || !strings.Contains(r.stderr, "make setup installs it") {
			t.Fatalf("exit %d, %q", r.status, r.stderr)
		}
		data, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, string(data))
	}
	if pages[0] != pages[1] {
		t.Error("two reports differ")
	}
	for _, want := range []string{"default-src 'none'", "data:image/svg+xml;base64,", "of this notebook hold", "notebook_sha256", "clt report 07-prune-and-read.ipynb", "lab.Open("} {
		if !strings.Contains(pages[0], want) {
			t.Errorf("the page has no %q", want)
		}
	}
	if strings.Contains(pages[0], root) || strings.Contains(pages[0], "<iframe") || strings.Contains(pages[0], "srcdoc") {
		t.Error("the page names a folder, or has a frame")
	}
	must(t, "report", "-no-input", "-o", page, nb)
	if data, _ := os.ReadFile(page); strings.Contains(string(data), "lab.Open(") {
		t.Error("-no-input left code in the page")
	}
	if r := cli(t, "report", "-o", page, filepath.Join(root, "go.mod")); r.status == 0 {
		t.Error("a file that is no graph became a report")
	}
	bad := filepath.Join(root, "bad.ipynb")
	writeTestFile(t, bad, "{")
	if r := cli(t, "report", "-o", page, bad); r.status != statusFailed || !message.MatchString(lastLine(r.stderr)) {
		t.Errorf("a broken notebook: exit %d, %q", r.status, r.stderr)
	}
}
