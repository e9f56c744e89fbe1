package notebook

import (
	"fmt"
	"strings"
	"testing"
)

func TestStale(t *testing.T) {
	made := func(version string) string {
		return `{"output_type":"display_data","metadata":{"clt":{"v":` + version + `,"kind":"check"}},"data":{"text/plain":"x"}}`
	}
	book := func(cells ...string) []byte {
		for i, c := range cells {
			cells[i] = fmt.Sprintf(`{"cell_type":"code","id":"c%d","metadata":{},%s}`, i, c)
		}
		return []byte(`{"nbformat":4,"nbformat_minor":5,"metadata":{},"cells":[` + strings.Join(cells, ",") + `]}`)
	}
	run := func(count, outputs string) string {
		return `"source":"x","execution_count":` + count + `,"outputs":[` + outputs + `]`
	}
	empty := `"source":" ","execution_count":null,"outputs":[]`
	for name, c := range map[string]struct {
		data []byte
		want string // "" for none
	}{
		"in order":          {book(run("1", made("1")), empty, run("4", made("1"))), ""},
		"not run":           {book(run("null", ""), run("null", "")), ""},
		"run to the middle": {book(run("1", ""), run("null", "")), ""},
		"foreign outputs":   {book(run("1", `{"output_type":"stream","name":"stdout","text":"v"}`)), ""},
		"older":             {book(run("1", made("0"))), "cell 1: an output has the form of version 0, this program makes 1; restart the kernel and run all cells"},
		"newer":             {book(run("1", made("2"))), "form of version 2"},
		"strange":           {book(run("1", made(`"`+strings.Repeat("y", 1000)+`"`))), "form of version " + strings.Repeat("y", 20) + ","},
		"run again":         {book(run("1", ""), run("5", ""), run("3", "")), "cell 3: was run before cell 2, which stands above it"},
		"left out":          {book(run("1", ""), run("null", ""), run("2", "")), "cell 3: was run, but cell 2 above it was not"},
		"no notebook":       {[]byte("{"), ""},
	} {
		faults := Stale("x.ipynb", c.data)
		if c.want == "" && len(faults) > 0 || c.want != "" && (len(faults) != 1 || !strings.Contains(faults[0].String(), c.want)) {
			t.Errorf("%s: faults %v, want %q", name, faults, c.want)
		}
	}
}
