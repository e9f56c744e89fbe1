package lab

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/viz"
)

// part is one thing that was shown: a heading, a paragraph or an output, with the
// graphs in it.
type part struct {
	Cell   string      `json:"cell"` // the process that showed it; each cell is one
	Title  string      `json:"title,omitempty"`
	Text   string      `json:"text,omitempty"`
	Output viz.Output  `json:"output,omitzero"`
	Graphs []madeGraph `json:"graphs,omitempty"`
}

// madeGraph is a graph and what it was made with.
type madeGraph struct {
	viz.GraphMade
	Model   attribution.Artifact `json:"model"`
	CLT     attribution.Artifact `json:"clt"`
	Backend string               `json:"backend,omitempty"`
}

// Command is the shell line that makes the whole graph again, from the clone, into a
// file: the same bytes on the same backend and kind of processor. Models outside the
// clone are named without their place.
func (g *Graph) Command(file string) string {
	set, root := g.session.setup, g.session.place.root
	words := []string{"bin/clt", "attribute", "-model", relative(set.Model, root), "-clt", relative(set.CLT, root), "-prompt", g.Prompt}
	if set.Backend != "" {
		words = append(words, "-backend", relative(set.Backend, root))
	}
	for _, t := range g.targets {
		words = append(words, "-targets", t)
	}
	words = append(words, "-o", file)
	for i, w := range words {
		words[i] = viz.ShellWord(w)
	}
	return strings.Join(words, " ")
}

func (g *Graph) made() madeGraph {
	return madeGraph{viz.GraphMade{Prompt: g.Prompt, SHA256: g.Info.SHA256, Command: g.Command("graph.safetensors")}, g.Model, g.CLT, g.Settings.Backend}
}

// graphsIn are the graphs that a value shows.
func graphsIn(thing any) []madeGraph {
	if isNil(thing) {
		return nil
	}
	switch v := thing.(type) {
	case *Graph:
		if v.session != nil {
			return []madeGraph{v.made()}
		}
	case *GraphComparison:
		return append(graphsIn(v.A), graphsIn(v.B)...)
	}
	return nil
}

// thisCell tells one run of a cell from another.
var thisCell = fmt.Sprintf("%d-%d", os.Getpid(), time.Now().UnixNano())

// shownHere is what this process has shown, for programs outside a notebook.
var shownHere []part

// shownFile holds what the cells of a kernel have shown; "" outside a notebook.
func shownFile() string {
	if dir := os.Getenv("GONB_TMP_DIR"); dir != "" {
		return filepath.Join(dir, "shown.jsonl")
	}
	return ""
}

// remember keeps what was shown for Report. A full disk costs the report, not the cell.
func remember(p part) {
	if p.Title == "" && p.Text == "" && p.Output.HTML == "" || p.Output.Kind == "help" {
		return
	}
	p.Cell = thisCell
	file := shownFile()
	if file == "" {
		shownHere = append(shownHere, p)
		return
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	defer f.Close()
	if line, err := json.Marshal(p); err == nil {
		_, _ = f.Write(append(line, '\n'))
	}
}

// remembered lists what was shown, without what running a cell again has replaced.
func remembered() []part {
	list := slices.Clone(shownHere)
	if f, err := os.Open(shownFile()); err == nil {
		defer f.Close()
		sc := bufio.NewScanner(f)
		for sc.Buffer(nil, 64<<20); sc.Scan(); {
			var p part
			if json.Unmarshal(sc.Bytes(), &p) == nil {
				list = append(list, p)
			}
		}
	}
	return latest(list)
}

// latest keeps the last run of each cell: a cell with headings is known by its first
// one and stays where it was; of cells without, equal outputs stay once, at their last
// place.
func latest(list []part) []part {
	var cells [][]part
	heading, at := []string{}, map[string]int{}
	for i, p := range list {
		if i == 0 || p.Cell != list[i-1].Cell {
			cells, heading = append(cells, nil), append(heading, "")
		}
		n := len(cells) - 1
		cells[n] = append(cells[n], p)
		if heading[n] == "" {
			heading[n] = p.Title
		}
	}
	for n, h := range heading {
		if first, ok := at[h]; ok && h != "" {
			cells[first], cells[n] = cells[n], nil
			heading[n] = ""
		} else {
			at[h] = n
		}
	}
	later := map[viz.Output]bool{}
	for n := len(cells) - 1; n >= 0; n-- {
		if heading[n] != "" {
			continue
		}
		for i := len(cells[n]) - 1; i >= 0; i-- {
			if o := cells[n][i].Output; later[o] {
				cells[n] = slices.Delete(cells[n], i, i+1)
			} else {
				later[o] = true
			}
		}
	}
	return slices.Concat(cells...)
}
