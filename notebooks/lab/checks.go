package lab

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
	"github.com/etredal/cross-layer-transcoder/viz"
)

// outcome is one check of this kernel, kept in a file since every cell is a
// process of its own.
type outcome struct {
	Claim string `json:"claim"`
	OK    bool   `json:"ok"`
}

// checksFile is where the checks of this kernel are; "" outside a notebook.
func checksFile() string {
	if dir := os.Getenv("GONB_TMP_DIR"); dir != "" {
		return filepath.Join(dir, "checks.jsonl")
	}
	return ""
}

// record notes a check for Done. A check that was run again replaces itself.
func record(claim string, ok bool) {
	file := checksFile()
	if file == "" {
		return
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	defer f.Close()
	if line, err := json.Marshal(outcome{claim, ok}); err == nil {
		_, _ = f.Write(append(line, '\n'))
	}
}

// recorded reads the checks of this kernel, the last word on each claim, in the
// order in which they were first made.
func recorded() []outcome {
	f, err := os.Open(checksFile())
	if err != nil {
		return nil
	}
	defer f.Close()
	var list []outcome
	at := map[string]int{}
	for sc := bufio.NewScanner(f); sc.Scan(); {
		var o outcome
		if json.Unmarshal(sc.Bytes(), &o) != nil {
			continue
		}
		if i, ok := at[o.Claim]; ok {
			list[i] = o
			continue
		}
		at[o.Claim] = len(list)
		list = append(list, o)
	}
	return list
}

// Done is the last cell of a notebook: it says how many of the notebook's claims
// were checked and held, and ends the cell with an error if one did not, or if
// none was made.
func Done() {
	list := recorded()
	var failed []string
	for _, o := range list {
		if !o.OK {
			failed = append(failed, o.Claim)
		}
	}
	switch {
	case len(failed) > 0:
		fail("done", &wire.Error{Message: "lab: these claims do not hold: " + strings.Join(failed, "; "), Cure: "run their cells again"})
	case len(list) == 0 && checksFile() != "":
		fail("done", &wire.Error{Message: "lab: no claim of this notebook was checked", Cure: "run the cells above first"})
	}
	markWhole(list)
	Show(viz.Check(fmt.Sprintf("%d of %d checks of this notebook hold", len(list), len(list)), true, ""))
}
