package notebook

import (
	"encoding/json"
	"fmt"
	"strings"
)

// FromMaster makes a notebook of a master, a Markdown file: text becomes Markdown
// cells, blocks fenced as ```go become code cells. An exercise is a block fenced as
// ```go stub, followed by one fenced as ```go solution: the notebook for students has
// the stub as a cell and the solution folded away below it, the one with solved set
// has the solution as a cell. A line "+++" ends a Markdown cell. Cell ids are name and
// number, so that the same master gives the same bytes.
//
// Outputs of old, which may be nil, are kept for code cells that have not changed.
func FromMaster(name string, master []byte, solved bool, old *Notebook) (*Notebook, error) {
	parts, err := cutMaster(name, string(master), solved)
	if err != nil {
		return nil, err
	}
	kept := map[string]map[string]any{}
	if old != nil {
		for _, c := range old.cells {
			if c["cell_type"] == "code" {
				kept[text(c["source"])] = c
			}
		}
	}
	n := &Notebook{Name: name, root: map[string]any{"nbformat": json.Number("4"), "nbformat_minor": json.Number("5"),
		"metadata": map[string]any{"kernelspec": map[string]any{"name": "gonb", "display_name": "Go (gonb)", "language": "go"}}}}
	var cells []any
	for i, b := range parts {
		cell := map[string]any{"cell_type": "markdown", "id": fmt.Sprintf("%s-%02d", cellName(name), i), "metadata": map[string]any{}, "source": b.text}
		if b.code {
			cell["cell_type"], cell["outputs"], cell["execution_count"] = "code", []any{}, nil
			if o := kept[b.text]; o != nil {
				cell["outputs"], cell["execution_count"] = o["outputs"], o["execution_count"]
			}
		}
		cells = append(cells, cell)
		n.cells = append(n.cells, cell)
	}
	n.root["cells"] = cells
	n.Clean(false)
	return n, nil
}

// Sources are the texts of the cells, in order, each with its kind in front.
func (n *Notebook) Sources() []string {
	list := make([]string, len(n.cells))
	for i, c := range n.cells {
		list[i] = fmt.Sprintf("%v: %s", c["cell_type"], text(c["source"]))
	}
	return list
}

type part struct {
	code bool
	text string
}

// cutMaster cuts a master into cells.
func cutMaster(name, master string, solved bool) (parts []part, err error) {
	var prose []string
	flush := func() {
		if t := strings.Trim(strings.Join(prose, "\n"), "\n"); strings.TrimSpace(t) != "" {
			parts = append(parts, part{false, t})
		}
		prose = nil
	}
	lines := strings.Split(strings.ReplaceAll(master, "\r\n", "\n"), "\n")
	stub := false // the block before was a stub and waits for its solution
	for i := 0; i < len(lines); i++ {
		kind, isGo := strings.CutPrefix(lines[i], "```go")
		switch {
		case lines[i] == "+++":
			flush()
			continue
		case !isGo:
			prose = append(prose, lines[i])
			continue
		}
		begin, end := i+1, i+1
		for end < len(lines) && lines[end] != "```" {
			end++
		}
		if end == len(lines) {
			return nil, fmt.Errorf("notebook: %s: the block that begins in line %d has no end; close it with ``` in a line of its own", name, i+1)
		}
		code := strings.Join(lines[begin:end], "\n")
		i = end
		switch kind = strings.TrimSpace(kind); {
		case kind == "solution" && !stub:
			return nil, fmt.Errorf("notebook: %s: the solution in line %d follows no stub; put ```go stub before it", name, begin)
		case kind == "solution" && !solved:
			prose = append(prose, "<details><summary>Solution</summary>\n\n```go\n"+code+"\n```\n\n</details>\n")
		case kind == "" || kind == "solution" || kind == "stub" && !solved:
			flush()
			parts = append(parts, part{true, code})
		case kind != "stub":
			return nil, fmt.Errorf("notebook: %s: block %q in line %d; use go, go stub or go solution", name, kind, begin)
		}
		stub = kind == "stub"
	}
	flush()
	if len(parts) == 0 {
		return nil, fmt.Errorf("notebook: %s is empty; write some text and ```go blocks", name)
	}
	return parts, nil
}

// cellName is a name that may stand in a cell id.
func cellName(name string) string {
	name = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return -1
	}, strings.ToLower(name))
	return name[:min(len(name), 40)]
}
