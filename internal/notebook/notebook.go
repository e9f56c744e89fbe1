package notebook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
)

// Notebook is a notebook of format 4, as its JSON.
type Notebook struct {
	Name  string
	root  map[string]any
	cells []map[string]any
}

// Parse reads a notebook; name is used in errors.
func Parse(name string, data []byte) (*Notebook, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	n := &Notebook{Name: name}
	if err := d.Decode(&n.root); err != nil {
		return nil, fmt.Errorf("notebook: %s: %w; is it a notebook, and whole?", name, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("notebook: %s: text after the end; is it two files in one?", name)
	}
	if v, ok := n.root["nbformat"].(json.Number); !ok || v != "4" {
		return nil, fmt.Errorf("notebook: %s: nbformat is %v, 4 is needed; open and save it in JupyterLab", name, n.root["nbformat"])
	}
	list, ok := n.root["cells"].([]any)
	if !ok {
		return nil, fmt.Errorf("notebook: %s has no list of cells; is it a notebook?", name)
	}
	for i, c := range list {
		cell, ok := c.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("notebook: %s: cell %d is no object; is it a notebook?", name, i+1)
		}
		n.cells = append(n.cells, cell)
	}
	return n, nil
}

// object is a member that is an object, made if it is missing.
func object(m map[string]any, key string) map[string]any {
	o, ok := m[key].(map[string]any)
	if !ok {
		o = map[string]any{}
		m[key] = o
	}
	return o
}

// outputs are the outputs of a cell.
func outputs(cell map[string]any) []map[string]any {
	list, _ := cell["outputs"].([]any)
	var out []map[string]any
	for _, o := range list {
		if m, ok := o.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

// text joins a multi-line text, which is a string or a list of lines.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []any:
		var b bytes.Buffer
		for _, l := range v {
			s, _ := l.(string)
			b.WriteString(s)
		}
		return b.String()
	}
	return ""
}

// Clean drops what differs between two runs of the same cells and no reader
// needs: times of execution, the state of widgets, trust marks, the kernel's exact
// version. Cell ids stay; missing ones are made from the cell. With strip, outputs
// and execution counts go too.
func (n *Notebook) Clean(strip bool) {
	meta := object(n.root, "metadata")
	delete(meta, "widgets")
	delete(meta, "signature")
	if n.isGo() {
		meta["language_info"] = map[string]any{"name": "go", "file_extension": ".go", "mimetype": "text/x-go"}
		meta["kernelspec"] = map[string]any{"name": "gonb", "display_name": "Go (gonb)", "language": "go"}
	} else if info, ok := meta["language_info"].(map[string]any); ok {
		delete(info, "version")
	}
	if v, _ := n.root["nbformat_minor"].(json.Number); minorOf(v) < 5 {
		n.root["nbformat_minor"] = json.Number("5") // cell ids
	}
	taken := map[string]bool{}
	for i, cell := range n.cells {
		m := object(cell, "metadata")
		for _, key := range []string{"execution", "collapsed", "ExecuteTime", "trusted"} {
			delete(m, key)
		}
		n.identify(i, cell, taken)
		if cell["cell_type"] != "code" {
			continue
		}
		if strip {
			cell["outputs"], cell["execution_count"] = []any{}, nil
		}
		cleanOutputs(cell)
	}
}

// cleanOutputs drops the transient parts of outputs.
func cleanOutputs(cell map[string]any) {
	if _, ok := cell["execution_count"]; !ok {
		cell["execution_count"] = nil
	}
	if _, ok := cell["outputs"].([]any); !ok {
		cell["outputs"] = []any{}
	}
	for _, o := range outputs(cell) {
		delete(o, "transient")
		if data, ok := o["data"].(map[string]any); ok {
			delete(data, "application/vnd.jupyter.widget-view+json")
		}
	}
}

// identify keeps a cell's id; one that is missing or taken is made from place and source.
func (n *Notebook) identify(i int, cell map[string]any, taken map[string]bool) {
	id, _ := cell["id"].(string)
	for salt := 0; id == "" || taken[id]; salt++ {
		h := fnv.New32a()
		fmt.Fprintf(h, "%d %d %s", i, salt, text(cell["source"]))
		id = fmt.Sprintf("c%08x", h.Sum32())
	}
	taken[id] = true
	cell["id"] = id
}

func (n *Notebook) isGo() bool {
	meta := object(n.root, "metadata")
	spec, _ := meta["kernelspec"].(map[string]any)
	info, _ := meta["language_info"].(map[string]any)
	return spec["name"] == "gonb" || spec["language"] == "go" || info["name"] == "go"
}

func minorOf(v json.Number) int64 {
	i, _ := v.Int64()
	return i
}
