package main

import (
	"flag"
	"fmt"
	"path/filepath"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/viz"
)

// diffTolerance is what counts as a difference, relative to max(1, |value|).
const diffTolerance = 1e-6

// graphDiff is the JSON of diff.
type graphDiff struct {
	Same         bool                     `json:"same"`
	NodesGained  []attribution.ID         `json:"nodes_gained"`
	NodesLost    []attribution.ID         `json:"nodes_lost"`
	NodesChanged []attribution.NodeChange `json:"nodes_changed"`
	EdgesGained  []edgeChange             `json:"edges_gained"`
	EdgesLost    []edgeChange             `json:"edges_lost"`
	EdgesChanged []edgeChange             `json:"edges_changed"`
}

type edgeChange struct {
	Target attribution.ID `json:"target"`
	Source attribution.ID `json:"source"`
	Before float64        `json:"before"`
	After  float64        `json:"after"`
}

func diffVerb(f *flag.FlagSet) func(c *call) error {
	tolerance := f.Float64("tolerance", diffTolerance, "differences that do not count, relative to max(1, |value|)")
	most := f.Int("top", topDefault, "changes of each sort to show")
	asJSON := f.Bool("json", false, "all changes as JSON")
	html := f.String("html", "", "page `file` with both graphs, in which shared features are filled")
	cut := pruneFlags(f)
	return func(c *call) error {
		if len(c.args) != 2 {
			return badCall("%d graph files; give two", len(c.args))
		}
		if !(*tolerance >= 0) {
			return badCall("-tolerance %g; give 0 or more", *tolerance)
		}
		if err := checkTop(*most); err != nil {
			return err
		}
		if err := cut.cfg.Validate(); err != nil {
			return usageError{err}
		}
		if err := output(*html); err != nil {
			return err
		}
		before, err := loadGraph(c.args[0])
		if err != nil {
			return err
		}
		after, err := loadGraph(c.args[1])
		if err != nil {
			return err
		}
		if *html != "" {
			page, err := comparePage(c, cut, before, after)
			if err != nil {
				return err
			}
			if err := c.write(*html, page); err != nil {
				return err
			}
		}
		d := attribution.Compare(before, after, *tolerance)
		if *asJSON {
			return c.json(graphDiff{Same: d.Same(), NodesGained: some(d.NodesGained), NodesLost: some(d.NodesLost), NodesChanged: some(d.NodesChanged),
				EdgesGained: edgeChanges(d.EdgesGained), EdgesLost: edgeChanges(d.EdgesLost), EdgesChanged: edgeChanges(d.EdgesChanged)})
		}
		c.printf("%s", diffText(d, before, after, *most))
		return nil
	}
}

// comparePage shows both graphs, pruned if they are whole.
func comparePage(c *call, cut *cutFlags, before, after *attribution.Graph) ([]byte, error) {
	d := drawing{cut: cut, theme: "light"}
	a, optsA, err := d.view(before)
	if err != nil {
		return nil, err
	}
	b, optsB, err := d.view(after)
	if err != nil {
		return nil, err
	}
	nameA, nameB := filepath.Base(c.args[0]), filepath.Base(c.args[1])
	both, err := viz.Compare(a, b, viz.CompareOptions{A: nameA, B: nameB, GraphA: optsA, GraphB: optsB})
	if err != nil {
		return nil, err
	}
	p := provenance()
	p.Command = fmt.Sprintf("clt diff -html FILE %s %s", viz.ShellWord(nameA), viz.ShellWord(nameB))
	return viz.Page([]viz.Section{{Output: both}}, viz.PageOptions{Title: nameA + " and " + nameB, Provenance: p})
}

// some is the list, [] in JSON if there is none.
func some[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}

func edgeChanges(l []attribution.EdgeChange) []edgeChange {
	out := make([]edgeChange, len(l))
	for i, e := range l {
		out[i] = edgeChange(e)
	}
	return out
}

func diffText(d attribution.Diff, before, after *attribution.Graph, most int) string {
	if d.Same() {
		return "the same\n"
	}
	name := func(id attribution.ID) string {
		if i := after.Find(id); i >= 0 {
			return after.Name(i)
		}
		if i := before.Find(id); i >= 0 {
			return before.Name(i)
		}
		return id.String()
	}
	text := table("", []string{"", "gained", "lost", "changed"}, [][]string{
		{"nodes", fmt.Sprint(len(d.NodesGained)), fmt.Sprint(len(d.NodesLost)), fmt.Sprint(len(d.NodesChanged))},
		{"edges", fmt.Sprint(len(d.EdgesGained)), fmt.Sprint(len(d.EdgesLost)), fmt.Sprint(len(d.EdgesChanged))},
	})
	var rows [][]string
	for _, n := range d.NodesChanged[:min(most, len(d.NodesChanged))] {
		rows = append(rows, []string{n.ID.String(), name(n.ID), number(n.Before), number(n.After)})
	}
	if len(rows) > 0 {
		text += "\n" + table("Nodes changed most", []string{"node", "is", "before", "after"}, rows)
	}
	for _, part := range []struct {
		title string
		list  []attribution.EdgeChange
	}{{"Edges changed most", d.EdgesChanged}, {"Edges gained", d.EdgesGained}, {"Edges lost", d.EdgesLost}} {
		rows = nil
		for _, e := range part.list[:min(most, len(part.list))] {
			rows = append(rows, []string{name(e.Source), name(e.Target), number(e.Before), number(e.After)})
		}
		if len(rows) > 0 {
			text += "\n" + table(part.title, []string{"from", "to", "before", "after"}, rows)
		}
	}
	return text
}
