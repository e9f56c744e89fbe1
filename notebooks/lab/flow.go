package lab

import (
	"fmt"
	"math"
	"slices"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/viz"
)

// Flow sums the graph up by layer: which part of the input of each kind of target
// comes from each kind of source.
func (g *Graph) Flow() *Flow {
	f := &Flow{}
	row, column := make([]int, len(g.Nodes)), make([]int, len(g.Nodes))
	for i, n := range g.Nodes {
		name := n.Kind.String()
		if n.Kind == attribution.Feature {
			name = fmt.Sprintf("features of layer %d", n.Layer)
		}
		row[i], column[i] = -1, -1
		if n.Kind.IsTarget() {
			row[i] = slot(&f.Targets, name)
		}
		if n.Kind != attribution.Logit {
			column[i] = slot(&f.Sources, name)
		}
	}
	for range f.Targets {
		f.Share = append(f.Share, make([]float64, len(f.Sources)))
	}
	for t := range g.Nodes {
		for s := range g.Nodes {
			if row[t] >= 0 && column[s] >= 0 {
				f.Share[row[t]][column[s]] += math.Abs(g.Weight(t, s))
			}
		}
	}
	for i, r := range f.Share {
		if sum := Mean(r) * float64(len(r)); sum > 0 {
			f.Share[i] = Times(r, 1/sum)
		}
	}
	return f
}

// slot is the index of a name in a list, to which it is added if it is new.
func slot(list *[]string, name string) int {
	i := slices.Index(*list, name)
	if i < 0 {
		i = len(*list)
		*list = append(*list, name)
	}
	return i
}

// Flow is a graph by kind of node and layer. Share[t][s] is the part of the absolute
// input of targets t that comes from sources s; rows sum to 1.
type Flow struct {
	Targets, Sources []string
	Share            [][]float64
}

// Output is a map.
func (f *Flow) Output() viz.Output {
	return viz.Heat("Where the input of each kind of target comes from (share of the sum of |edges|)", f.Share, f.Sources, f.Targets, viz.HeatOptions{XLabel: "source", YLabel: "target", BottomUp: true})
}

// Groups joins the graph's nodes into supernodes and shows the graph of those:
// edges between groups as the published viewers compute them. Without groups the
// suggested ones are taken, which are guesses.
func (g *Graph) Groups(groups ...attribution.Group) *Grouped {
	if len(groups) == 0 {
		var err error
		if groups, err = g.SuggestGroups(); err != nil {
			fail("groups", err)
		}
	}
	j, err := g.Grouped(groups)
	if err != nil {
		fail("groups", err)
		return nil
	}
	return &Grouped{j, g}
}

// Grouped is a graph of supernodes.
type Grouped struct {
	*attribution.Grouped
	graph *Graph
}

// Output is a table of the groups with what feeds them most.
func (j *Grouped) Output() viz.Output {
	var rows [][]string
	for t, group := range j.Grouped.Groups {
		if len(j.Members[t]) < 2 {
			continue
		}
		best := -1
		for s := range j.Grouped.Groups {
			if s != t && (best < 0 || math.Abs(j.Weights.At(t, s)) > math.Abs(j.Weights.At(t, best))) {
				best = s
			}
		}
		from, label := "", group.Label
		if best >= 0 {
			from = fmt.Sprintf("%s (%+.0f %%)", j.name(best), 100*j.Weights.At(t, best))
		}
		if group.Guess {
			label += " (a guess)"
		}
		rows = append(rows, []string{label, fmt.Sprint(len(j.Members[t])), from})
	}
	return viz.Table("Supernodes", []string{"group", "members", "fed most by"}, rows)
}

func (j *Grouped) name(i int) string {
	if l := j.Grouped.Groups[i].Label; l != "" {
		return l
	}
	return j.graph.Name(j.Members[i][0])
}
