package viz

import (
	"crypto/sha256"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestSwapIsKnown: reports run the script of our outputs and no other; they know its versions
// by these sums.
func TestSwapIsKnown(t *testing.T) {
	const file = "../notebooks/templates/clt/swap.sha256"
	sum := sha256.Sum256([]byte(compact(swapJS)))
	want := fmt.Sprintf("%x", sum)
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	known := strings.Fields(string(got))
	if *update && !slices.Contains(known, want) { // saved notebooks have older ones
		known = append(known, want)
		if err := os.WriteFile(file, []byte(strings.Join(known, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Contains(known, want) {
		t.Errorf("%s lacks the sum of frame/swap.js: go test ./viz -run SwapIsKnown -update", file)
	}
	script, err := swap("doc", "title")
	if err != nil || script != compact(swapJS)+`("doc","title");` {
		t.Errorf("the script is called otherwise than reports expect: %v", err)
	}
}
