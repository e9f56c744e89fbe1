package notebook

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
)

// Limits of a committed notebook.
const (
	MaxBytes  = 1 << 20  // of the file
	MaxStream = 20 << 10 // of the printed text of one cell, bytes
)

// Fault is something that a committed notebook must not have.
type Fault struct {
	Cell int // from 1; 0 for the notebook itself
	Text string
}

// String is "cell 3: ...".
func (f Fault) String() string {
	if f.Cell == 0 {
		return f.Text
	}
	return fmt.Sprintf("cell %d: %s", f.Cell, f.Text)
}

var (
	absolutePath = regexp.MustCompile(`(?:^|[\s"'=(,:;>\x60|\[]|file://)((?:/(?:home|root|Users|tmp|private|mnt|work|workspace|content|opt|srv|var/(?:folders|tmp))/|[A-Za-z]:\\+(?:Users|Temp|Windows|ProgramData)\\)[^\s"'<)\x60]*)`)
	ansi         = regexp.MustCompile(`\x1b\[`)
	goodID       = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)
)

// Check lists what is wrong with a notebook that is to be committed: errors and
// terminal colours in outputs, absolute paths, long prints, missing cell ids,
// outputs that are not of one run, a file that is too large or not in normal form.
func Check(name string, data []byte) []Fault {
	n, err := Parse(name, data)
	if err != nil {
		return []Fault{{0, err.Error()}}
	}
	faults := append(n.check(), n.stale()...)
	if len(data) > MaxBytes {
		faults = append(faults, Fault{0, fmt.Sprintf("%d bytes, at most %d; prune pictures, or make them static", len(data), MaxBytes)})
	}
	if n.Clean(false); !bytes.Equal(data, n.Bytes()) {
		faults = append(faults, Fault{0, "not in normal form; clt nb clean writes it"})
	}
	return faults
}

func (n *Notebook) check() []Fault {
	var faults []Fault
	if p := absoluteIn(n.root["metadata"]); p != "" {
		faults = append(faults, Fault{0, "absolute path " + p + " in the metadata; remove it"})
	}
	seen := map[string]int{}
	for i, cell := range n.cells {
		add := func(format string, args ...any) {
			faults = append(faults, Fault{i + 1, fmt.Sprintf(format, args...)})
		}
		switch cell["cell_type"] {
		case "code", "markdown", "raw":
		default:
			add("cell_type is %v", cell["cell_type"])
		}
		id, _ := cell["id"].(string)
		switch {
		case !goodID.MatchString(id):
			add("id %q; clt nb clean makes one", id)
		case seen[id] > 0:
			add("id %q is that of cell %d too", id, seen[id])
		default:
			seen[id] = i + 1
		}
		if p := absolute(text(cell["source"])); p != "" {
			add("absolute path %s; write it relative to the clone", p)
		}
		if p := absoluteIn(cell["metadata"]); p != "" {
			add("absolute path %s in the metadata; remove it", p)
		}
		checkOutputs(cell, add)
	}
	return faults
}

// checkOutputs looks at what a cell left.
func checkOutputs(cell map[string]any, add func(string, ...any)) {
	printed := 0
	for _, o := range outputs(cell) {
		switch o["output_type"] {
		case "error":
			add("ends in an error: %v: %.80v", o["ename"], o["evalue"])
		case "stream":
			printed += len(text(o["text"]))
		}
		data, _ := json.Marshal(o["data"])
		meta, _ := json.Marshal(o["metadata"])
		for _, s := range []string{text(o["text"]), string(data), string(meta)} {
			if ansi.MatchString(s) || bytes.Contains([]byte(s), []byte(`\u001b[`)) {
				add("terminal escapes in an output; print without colours")
			}
			if p := absolute(s); p != "" {
				add("absolute path %s in an output; show names only", p)
			}
		}
	}
	if printed > MaxStream {
		add("prints %d bytes, at most %d; show a table or less", printed, MaxStream)
	}
}

// absoluteIn is the first absolute path in a value, or "".
func absoluteIn(value any) string {
	b, _ := json.Marshal(value)
	return absolute(string(b))
}

// absolute is the first absolute path of a person or a machine in a text, or "".
func absolute(s string) string {
	if m := absolutePath.FindStringSubmatch(s); m != nil {
		return m[1]
	}
	return ""
}
