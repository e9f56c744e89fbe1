package notebook

import (
	"fmt"
	"strings"
	"testing"
)

// Paths of a person or a machine are found wherever they stand; names relative to the
// clone, addresses and the system's own folders are left alone.
func TestAbsolutePaths(t *testing.T) {
	const home, temp = "/" + "home/me/x", "/" + "tmp/y" // no path stands in the sources either
	for _, s := range []string{home, "see file://" + home, "`" + home + "`", ">" + home + "<", "C:" + `\Users\me`, "D:" + `\Temp\x`, "/opt/me/x", "/workspace/x", "/var" + temp, "cd /x;" + temp} {
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
		at[i] = `"p":"` + home + `"`
		if faults := fmt.Sprint(Check("x", fmt.Appendf(nil, cell, at...))); !strings.Contains(faults, home) {
			t.Errorf("a path in metadata %d passes: %s", i, faults)
		}
	}
}
