package notebook

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func notebookOf(t *testing.T, cells ...string) *Notebook {
	t.Helper()
	var list []any
	for _, c := range cells {
		list = append(list, map[string]any{"cell_type": "code", "source": c, "metadata": map[string]any{}, "outputs": []any{}, "execution_count": nil})
	}
	data, err := json.Marshal(map[string]any{"nbformat": 4, "nbformat_minor": 5, "metadata": map[string]any{}, "cells": list})
	if err != nil {
		t.Fatal(err)
	}
	n, err := Parse("test.ipynb", data)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Cells run with Go alone: declarations are kept and replaced, imports found, outputs
// taken with their forms.
func TestRunCells(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	n := notebookOf(t,
		"import \"strings\"\nconst word = \"one\"\nfunc shout(s string) string { return strings.ToUpper(s) }",
		"%%\nfmt.Println(shout(word))",
		"func shout(s string) string { return s + \"!\" }\n%%\nfmt.Println(shout(word))",
		"import \""+module+"/notebooks/lab\"\n%%\nfmt.Println(\"before\")\nlab.Check(true, \"rows add up\", \"1e-7\")",
	)
	if err := n.Run(context.Background(), RunOptions{Root: root, Dir: t.TempDir()}, nil); err != nil {
		t.Fatal(err)
	}
	printed := func(i int) string {
		b, _ := json.Marshal(n.cells[i]["outputs"])
		return string(b)
	}
	if !strings.Contains(printed(1), `ONE\n`) || !strings.Contains(printed(2), `one!\n`) || printed(0) != "[]" {
		t.Errorf("cells printed %s, %s", printed(1), printed(2))
	}
	last := outputs(n.cells[3])
	if len(last) != 2 || last[0]["name"] != "stdout" || last[1]["output_type"] != "display_data" {
		t.Fatalf("the last cell left %s", printed(3))
	}
	data := object(last[1], "data")
	if !strings.Contains(data["text/plain"].(string), "rows add up") || data["text/html"] == nil || object(object(last[1], "metadata"), "clt")["kind"] != "check" {
		t.Errorf("shown: %s", printed(3))
	}
	if faults := Check("test.ipynb", func() []byte { n.Clean(false); return n.Bytes() }()); len(faults) > 0 {
		t.Errorf("faults: %v", faults)
	}
}

func TestRunFailures(t *testing.T) {
	root, _ := filepath.Abs("../..")
	for want, source := range map[string]string{
		"does not compile":      "%%\nvar x int = \"text\"",
		"command of the kernel": "!ls\n%%\nfmt.Println(1)",
		"cell 1":                "%%\nos.Exit(3)",
		"expected":              "func (",
	} {
		err := notebookOf(t, source).Run(context.Background(), RunOptions{Root: root, Dir: t.TempDir()}, nil)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want %q", source, err, want)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "clt-nb-*")); len(left) > 3 {
		t.Errorf("left behind: %v", left)
	}
}
