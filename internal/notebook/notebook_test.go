package notebook

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
)

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The normal form is that of Python's nbformat, byte for byte: normal.ipynb was
// written by nbformat 5.11 from saved.ipynb, after the same cleaning.
func TestNormalForm(t *testing.T) {
	want := bytes.TrimRight(read(t, "normal.ipynb"), "\n")
	for _, name := range []string{"saved.ipynb", "normal.ipynb"} {
		n, err := Parse(name, read(t, name))
		if err != nil {
			t.Fatal(err)
		}
		n.Clean(false)
		got := n.Bytes()
		if !bytes.HasSuffix(got, []byte("}\n")) || bytes.HasSuffix(got, []byte("\n\n")) {
			t.Errorf("%s: ends in %q", name, got[len(got)-3:])
		}
		got = bytes.TrimRight(got, "\n")
		if !bytes.Equal(got, want) {
			a, b := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
			for i := range min(len(a), len(b)) {
				if a[i] != b[i] {
					t.Fatalf("%s: line %d is %q, nbformat writes %q", name, i+1, a[i], b[i])
				}
			}
			t.Fatalf("%s: %d lines, nbformat writes %d", name, len(a), len(b))
		}
	}
}

// Cleaning loses nothing that a reader sees.
func TestCleanKeeps(t *testing.T) {
	n, err := Parse("saved", read(t, "saved.ipynb"))
	if err != nil {
		t.Fatal(err)
	}
	before := contents(t, read(t, "saved.ipynb"))
	n.Clean(false)
	if after := contents(t, n.Bytes()); !reflect.DeepEqual(before, after) {
		t.Errorf("before %v\nafter %v", before, after)
	}
	n.Clean(true)
	if after := contents(t, n.Bytes()); strings.Contains(fmt.Sprint(after), "bold") || len(after) != len(before) {
		t.Errorf("stripped: %v", after)
	}
}

// contents lists ids, sources and texts of outputs.
func contents(t *testing.T, data []byte) []string {
	t.Helper()
	n, err := Parse("x", data)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, c := range n.cells {
		s := fmt.Sprint(c["id"], text(c["source"]))
		for _, o := range outputs(c) {
			s += text(o["text"])
			data, _ := o["data"].(map[string]any)
			s += text(data["text/html"]) + text(data["text/plain"])
		}
		out = append(out, s)
	}
	return out
}

// cell wraps JSON of one code cell's members into a notebook in normal form.
func cell(t *testing.T, members string) []byte {
	t.Helper()
	n, err := Parse("x", []byte(`{"nbformat":4,"nbformat_minor":5,"metadata":{},"cells":[{"cell_type":"code","metadata":{},"id":"a","execution_count":null,`+members+`}]}`))
	if err != nil {
		t.Fatal(err)
	}
	n.Clean(false)
	return n.Bytes()
}

func TestCheck(t *testing.T) {
	if f := Check("normal.ipynb", read(t, "normal.ipynb")); f != nil {
		t.Errorf("faults of a clean notebook: %v", f)
	}
	home := "/ho" + "me/someone/x"
	stream := func(s string) string {
		b, _ := json.Marshal(s)
		return `"source":"","outputs":[{"output_type":"stream","name":"stdout","text":` + string(b) + `}]`
	}
	for _, c := range []struct {
		name, want string
		data       []byte
	}{
		{"error", "ends in an error: E: v", cell(t, `"source":"","outputs":[{"output_type":"error","ename":"E","evalue":"v","traceback":[]}]`)},
		{"path in source", home, cell(t, `"source":"open(\"`+home+`\")","outputs":[]`)},
		{"path in output", home, cell(t, stream("see "+home+" there"))},
		{"path in a picture's text", home, cell(t, `"source":"","outputs":[{"output_type":"display_data","metadata":{},"data":{"text/plain":"`+home+`"}}]`)},
		{"colours", "terminal escapes", cell(t, stream("\x1b[31mred"))},
		{"long print", "prints 20481 bytes", cell(t, stream(strings.Repeat("x", MaxStream+1)))},
		{"large", "at most 1048576", cell(t, stream("x")+`,"attachments":{"a":"`+strings.Repeat("x", MaxBytes)+`"}`)},
		{"not normal", "not in normal form", read(t, "saved.ipynb")},
		{"not JSON", "is it a notebook", []byte("{")},
		{"old format", "nbformat is 3", []byte(`{"nbformat":3}`)},
		{"no cells", "no list of cells", []byte(`{"nbformat":4}`)},
		{"two values", "two files", []byte(`{"nbformat":4,"cells":[]}{}`)},
		{"no id", `id ""`, []byte(`{"nbformat":4,"nbformat_minor":5,"cells":[{"cell_type":"raw","metadata":{},"source":""}]}`)},
		{"same id", "that of cell 1 too", []byte(`{"nbformat":4,"nbformat_minor":5,"cells":[{"cell_type":"raw","id":"a","metadata":{},"source":""},{"cell_type":"raw","id":"a","metadata":{},"source":""}]}`)},
	} {
		t.Run(c.name, func(t *testing.T) {
			var all []string
			for _, f := range Check("x.ipynb", c.data) {
				all = append(all, f.String())
			}
			if text := strings.Join(all, "\n"); !strings.Contains(text, c.want) {
				t.Errorf("faults %q, want one with %q", text, c.want)
			}
		})
	}
}

// Ids are made where they are missing, the same each time.
func TestIDs(t *testing.T) {
	raw := []byte(`{"nbformat":4,"nbformat_minor":2,"metadata":{},"cells":[{"cell_type":"raw","metadata":{},"source":"a"},{"cell_type":"raw","metadata":{},"source":"a"},{"cell_type":"raw","id":"mine","metadata":{},"source":"a"}]}`)
	var first []byte
	for range 2 {
		n, err := Parse("x", raw)
		if err != nil {
			t.Fatal(err)
		}
		n.Clean(false)
		b := n.Bytes()
		if first == nil {
			first = b
		}
		if !bytes.Equal(first, b) || !bytes.Contains(b, []byte(`"mine"`)) || Check("x", b) != nil {
			t.Errorf("%s\n%v", b, Check("x", b))
		}
	}
}

func FuzzNotebook(f *testing.F) {
	f.Add([]byte(`{"nbformat":4,"cells":[{"cell_type":"code","source":["a\n","b"],"outputs":[{"data":{"text/plain":1}}]}]}`))
	f.Add([]byte(`{"nbformat":4,"cells":[{"outputs":3,"metadata":[]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := Parse("x", data)
		if err != nil {
			return
		}
		n.Clean(false)
		once := n.Bytes()
		m, err := Parse("x", once)
		if err != nil {
			t.Fatalf("own output does not parse: %v\n%s", err, once)
		}
		m.Clean(false)
		if twice := m.Bytes(); !bytes.Equal(once, twice) {
			t.Fatalf("not stable:\n%s\n%s", once, twice)
		}
	})
}
