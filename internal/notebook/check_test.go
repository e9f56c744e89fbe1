package notebook

import (
	"fmt"
	"strings"
	"testing"
)

// Paths of a person or a machine are found wherever they stand; names relative to the
// clone, addresses and the system's own folders are left alone.
func TestAbsolutePaths(t *testing.T) {
	for _, s := range []string{"/home/me/x", "see file:///home/me/x", "`/home/me/x`", ">/home/me/x<", `C:\Users\me`, `D:\Temp\x`, "/opt/me/x", "/workspace/x", "/var/tmp/x", "cd /x;/tmp/y"} {
		if absolute(s) == "" {
			t.Errorf("%q passes", s)
		}
	}
	for _, s := range []string{"a/home/b", "https://example.org/home/x", "/usr/local/go", "/dev/null", "probability:\nUsers", "out/tmp/x", "gpt2/pocket/data/model"} {
		if p := absolute(s); p != "" {
			t.Errorf("%q: %s", s, p)
		}
	}
	const cell = `{"cells":[{"cell_type":"code","id":"a","metadata":{%s},"source":"x","execution_count":1,"outputs":[{"output_type":"display_data","data":{"text/plain":"x"},"metadata":{%s}}]}],"metadata":{%s},"nbformat":4,"nbformat_minor":5}`
	for i := range 3 {
		at := []any{"", "", ""}
		at[i] = `"p":"/home/me/z"`
		if faults := fmt.Sprint(Check("x", fmt.Appendf(nil, cell, at...))); !strings.Contains(faults, "/home/me/z") {
			t.Errorf("a path in metadata %d passes: %s", i, faults)
		}
	}
}
