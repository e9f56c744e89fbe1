package viz

import (
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
)

// supernode is the kind of a group of nodes, drawn as one box.
const supernode attribution.Kind = 101

const (
	boxHeight   = 26.0
	maxHints    = 12
	mostSuggest = 1000 // nodes of a graph whose edges are compared
)

// members finds the drawn nodes of a group; those that are gathered, left out or
// already in another group are not among them.
func (v *view) members(g attribution.Group, taken map[int]bool) (out []int) {
	index := make(map[attribution.ID]int, len(v.nodes))
	for i := range v.nodes {
		index[v.nodes[i].ID] = i
	}
	for _, id := range g.Nodes {
		if i, ok := index[id]; ok && !taken[i] && v.nodes[i].members == 1 && v.nodes[i].w == 0 {
			taken[i] = true
			out = append(out, i)
		}
	}
	return out
}

// given are the groups to draw.
func (v *view) given() (groups []frameGroup, taken map[int]bool) {
	groups, taken = []frameGroup{}, map[int]bool{}
	for _, g := range v.o.Groups {
		if !g.Guess {
			groups = v.addGroup(groups, g, taken)
		}
	}
	return groups, taken
}

func (v *view) addGroup(list []frameGroup, g attribution.Group, taken map[int]bool) []frameGroup {
	m := v.members(g, taken)
	if len(m) < 2 {
		return list
	}
	f := frameGroup{Label: visible(cut(g.Label, 80)), Nodes: m}
	if g.Guess {
		f.Guess = 1
	}
	return append(list, f)
}

// hints are groups that are only suggested: the guesses among those given, else
// what alike edges suggest. Unpruned graphs have none: their edges are mostly
// noise, and many.
func (v *view) hints(taken map[int]bool) []frameGroup {
	out := []frameGroup{}
	suggested := v.o.Groups
	if !slices.ContainsFunc(suggested, func(g attribution.Group) bool { return g.Guess }) && len(v.g.Nodes) <= mostSuggest {
		suggested, _ = v.g.SuggestGroups() // an error means none
	}
	for _, g := range suggested {
		if g.Guess && len(out) < maxHints {
			out = v.addGroup(out, g, taken)
		}
	}
	return out
}

// join draws each given group as one box at the mean place of its members, which
// disappear. An edge between two boxes is the sum of its members' shares over
// the input from outside the target's box, as in attribution.Grouped. Only the
// still picture is joined: the frame does it itself and can undo it.
func (v *view) join() *view {
	groups, _ := v.given()
	if len(groups) == 0 {
		return v
	}
	j := *v
	j.nodes, j.links = append([]drawn(nil), v.nodes...), nil
	home := make([]int, len(v.nodes)) // box of a node, or itself
	for i := range home {
		home[i] = i
	}
	outside := map[int]float64{}
	for _, g := range groups {
		n := len(j.nodes)
		b := drawn{Node: attribution.Node{ID: attribution.ID{Kind: supernode, Index: n}}, col: -n, r: boxHeight / 2, user: true, strong: true, text: fmt.Sprintf("%s · %d", g.Label, len(g.Nodes))}
		for _, m := range g.Nodes {
			d := &v.nodes[m]
			home[m] = n
			j.nodes[m].joined = true
			share := 1 / float64(len(g.Nodes))
			b.x, b.y = b.x+share*d.x, b.y+share*d.y
			b.infl += d.infl
			b.members += d.members
			b.row = max(b.row, d.row)
		}
		b.text = fit(b.text, chipSize, 170)
		b.w = textWidth(b.text, chipSize) + 14
		b.x = math.Max(marginLeft+b.w/2, math.Min(v.W-b.w/2-4, b.x))
		outside[n] = float64(len(g.Nodes))
		for k := len(v.nodes); k < n; k++ { // boxes do not cover each other
			if o := &j.nodes[k]; math.Abs(o.y-b.y) < boxHeight+2 && math.Abs(o.x-b.x) < (o.w+b.w)/2+6 {
				b.y = o.y - boxHeight - 5
			}
		}
		j.nodes = append(j.nodes, b)
	}
	for _, l := range v.links {
		if home[l.s] == home[l.t] {
			outside[home[l.t]] -= math.Abs(l.share)
		}
	}
	j.joinLinks(v.links, home, outside)
	j.placeLabels()
	return &j
}

// joinLinks sums links between boxes.
func (j *view) joinLinks(links []link, home []int, outside map[int]float64) {
	at := map[[2]int]int{}
	for _, l := range links {
		s, t := home[l.s], home[l.t]
		if s == l.s && t == l.t {
			j.links = append(j.links, l)
			continue
		}
		if s == t {
			continue
		}
		k, ok := at[[2]int{s, t}]
		if !ok {
			k = len(j.links)
			at[[2]int{s, t}] = k
			j.links = append(j.links, link{s: s, t: t})
		}
		j.links[k].share += l.share
		j.links[k].score += l.score
	}
	for i := range j.links {
		if e, ok := outside[j.links[i].t]; ok {
			j.links[i].share /= math.Max(0.01, e)
		}
	}
	sort.SliceStable(j.links, func(a, b int) bool { return j.links[a].score > j.links[b].score })
}

// markBoth finds the features that are in another graph too.
func (v *view) markBoth(other *attribution.Graph) {
	if other == nil {
		return
	}
	have := map[feature]bool{}
	for _, n := range other.Nodes {
		if n.Kind == attribution.Feature {
			have[feature{n.Layer, n.Index}] = true
		}
	}
	for i := range v.nodes {
		d := &v.nodes[i]
		d.both = d.Kind == attribution.Feature && have[feature{d.Layer, d.Index}]
	}
}
