package notebook

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/etredal/cross-layer-transcoder/viz"
)

// Stale lists what says that the saved outputs are not those of one run of this
// program, from the first cell to the last: outputs in the form of another version,
// and cells that were run before cells above them.
func Stale(name string, data []byte) []Fault {
	n, err := Parse(name, data)
	if err != nil {
		return nil
	}
	return n.stale()
}

const runAgain = "restart the kernel and run all cells"

func (n *Notebook) stale() []Fault {
	var faults []Fault
	last, lastCell, skipped := int64(0), 0, 0
	for i, cell := range n.cells {
		if cell["cell_type"] != "code" || strings.TrimSpace(text(cell["source"])) == "" {
			continue
		}
		add := func(format string, args ...any) {
			faults = append(faults, Fault{i + 1, fmt.Sprintf(format, args...) + "; " + runAgain})
		}
		for _, o := range outputs(cell) {
			meta, _ := o["metadata"].(map[string]any)
			mark, ours := meta["clt"].(map[string]any)
			if v := fmt.Sprint(mark["v"]); ours && mark["v"] != nil && v != strconv.Itoa(viz.OutputVersion) {
				add("an output has the form of version %.20s, this program makes %d", v, viz.OutputVersion)
				break
			}
		}
		number, _ := cell["execution_count"].(json.Number)
		count, err := number.Int64()
		switch {
		case err != nil:
			if skipped == 0 {
				skipped = i + 1
			}
			continue
		case skipped > 0:
			add("was run, but cell %d above it was not", skipped)
			skipped = 0
		case count <= last:
			add("was run before cell %d, which stands above it", lastCell)
		}
		last, lastCell = count, i+1
	}
	return faults
}
