package notebook

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

const aMaster = "# Title\n\ntext\n\n```go\na := 1\n```\n\nmore\n+++\nnext cell\n\n```sh\nls\n```\n\n```go stub\n// TODO\n```\n\n```go solution\nb := 2\n```\n\nend\n"

func TestFromMaster(t *testing.T) {
	make := func(solved bool, old *Notebook) *Notebook {
		t.Helper()
		n, err := FromMaster("05-local", []byte(aMaster), solved, old)
		if err != nil {
			t.Fatal(err)
		}
		if f := Check("x", n.Bytes()); f != nil {
			t.Errorf("faults %v", f)
		}
		return n
	}
	student, solved := make(false, nil), make(true, nil)
	if got, want := student.Sources(), []string{"markdown: # Title\n\ntext", "code: a := 1", "markdown: more", "markdown: next cell\n\n```sh\nls\n```", "code: // TODO",
		"markdown: <details><summary>Solution</summary>\n\n```go\nb := 2\n```\n\n</details>\n\n\nend"}; !slices.Equal(got, want) {
		t.Errorf("student: %q", got)
	}
	if got, want := solved.Sources(), []string{"markdown: # Title\n\ntext", "code: a := 1", "markdown: more", "markdown: next cell\n\n```sh\nls\n```", "code: b := 2", "markdown: end"}; !slices.Equal(got, want) {
		t.Errorf("solved: %q", got)
	}
	if !bytes.Equal(solved.Bytes(), make(true, nil).Bytes()) {
		t.Error("two runs differ")
	}
	// Outputs stay with the cell that made them, and go when it changes.
	old := string(solved.Bytes())
	old = strings.Replace(old, `"outputs": []`, `"outputs": [{"output_type": "stream", "name": "stdout", "text": ["one"]}]`, 1)
	n, err := Parse("x", []byte(old))
	if err != nil {
		t.Fatal(err)
	}
	if again := make(true, n); !strings.Contains(string(again.Bytes()), `"one"`) {
		t.Error("the output of an unchanged cell is gone")
	}
	changed, err := FromMaster("05-local", []byte(strings.Replace(aMaster, "a := 1", "a := 3", 1)), true, n)
	if err != nil || strings.Contains(string(changed.Bytes()), `"one"`) {
		t.Errorf("the output of a changed cell is still there, %v", err)
	}
}

func TestBadMasters(t *testing.T) {
	for master, want := range map[string]string{
		"```go\nx":                        "has no end",
		"```go solution\nx\n```":          "follows no stub",
		"```go stub\n```\n```golang\n```": `block "lang"`,
		" \n":                             "is empty",
	} {
		if _, err := FromMaster("x", []byte(master), false, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", master, err, want)
		}
	}
}
