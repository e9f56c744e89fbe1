package viz

import (
	"crypto/sha256"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestSwapIsKnown: reports run the two scripts of our outputs and no other; they know their
// versions by these sums.
func TestSwapIsKnown(t *testing.T) {
	const file = "../notebooks/templates/clt/swap.sha256"
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	known := strings.Fields(string(got))
	for _, script := range []string{swapJS, aliveJS} {
		want := fmt.Sprintf("%x", sha256.Sum256([]byte(compact(script))))
		if *update && !slices.Contains(known, want) { // saved notebooks have older ones
			known = append(known, want)
			if err := os.WriteFile(file, []byte(strings.Join(known, "\n")+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Contains(known, want) {
			t.Errorf("%s lacks the sum of a script: go test ./viz -run SwapIsKnown -update", file)
		}
		if strings.Contains(script, `("`) {
			t.Error("a script holds a text in double quotes, by which reports find its end")
		}
	}
	script, err := swap("doc", "title")
	if err != nil || script != compact(swapJS)+`("doc","title");` {
		t.Errorf("the script is called otherwise than reports expect: %v", err)
	}
	if script := alive("title"); !strings.HasPrefix(script, compact(aliveJS)+`("`) || !strings.HasSuffix(script, `,"title");`) {
		t.Error("the script of figures is called otherwise than reports expect")
	}
}
