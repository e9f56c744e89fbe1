package viz

import (
	"fmt"
	"math"
	"sort"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
)

// gathered is the kind of a "+k" node, which stands for the rest of a cell.
const gathered attribution.Kind = 100

// drawn is one node of the picture.
type drawn struct {
	attribution.Node
	infl     float64 // influence, summed over members
	mass     float64 // sum of |edges| into it before pruning
	errShare float64 // share of that which comes from error nodes
	members  int     // nodes it stands for; 1 unless gathered
	user     bool    // the label was given by a person
	pinned   bool
	joined   bool   // drawn inside a box
	both     bool   // a feature that another graph has too
	text     string // default name: label, or L5/f1234

	row, col   int
	x, y, r, w float64 // centre, radius; width of a chip
	labelled   bool
	lx, ly     float64 // label origin
	lanchor    string
	strong     bool // inside the first 80 % of shown influence
}

// link is one edge of the picture.
type link struct {
	s, t  int
	share float64 // signed share of the target's input
	score float64 // share times (influence + probability) of the target
}

// view is a graph prepared for drawing.
type view struct {
	g, full *attribution.Graph
	o       GraphOptions
	nodes   []drawn // descending influence within kinds; see order
	links   []link  // descending score
	target  int     // most probable logit

	untitled bool // leave the title to the page

	totalNodes, totalEdges int
	shownNodes             int     // drawn by default: without position and bias nodes
	shownLinks             int     // links in the overview
	shownScore             float64 // share of the shown nodes' edge score they carry, 0-1
	allInfl                float64 // influence of all nodes but the targets, summed
	shownInfl              float64 // share of it in drawn nodes, 0-1
	dense, first           int     // features left out
	hiddenInfl             float64 // share of influence in them

	W, H   float64
	layers int
	cols   []column
	rows   []band
	slot   float64
}

// newView selects nodes, reads influence and shares from the full graph, and
// collects the edges between what is drawn.
func newView(g *attribution.Graph, o GraphOptions) (*view, error) {
	if err := checkGraph(g); err != nil {
		return nil, err
	}
	v := &view{g: g, full: o.Full, o: o, target: -1}
	if v.full == nil {
		v.full = g
	} else if err := checkGraph(v.full); err != nil {
		return nil, err
	}
	toFull, err := match(g, v.full)
	if err != nil {
		return nil, err
	}
	infl, err := v.full.Influence()
	if err != nil {
		return nil, err
	}
	mass, errMass, edges := inputs(v.full)
	v.totalNodes, v.totalEdges = len(v.full.Nodes), edges
	v.layers = v.full.Settings.Layers
	for _, n := range g.Nodes {
		if n.Kind == attribution.Feature || n.Kind == attribution.Error {
			v.layers = max(v.layers, n.Layer+1)
		}
	}
	place := v.choose(toFull, infl, mass, errMass)
	v.connect(toFull, place, infl, mass)
	v.tally(infl)
	v.markBoth(o.Other)
	return v, nil
}

// match finds each node of g in full by identity.
func match(g, full *attribution.Graph) ([]int, error) {
	out := make([]int, len(g.Nodes))
	index := make(map[attribution.ID]int, len(full.Nodes))
	for i, n := range full.Nodes {
		index[n.ID] = i
	}
	for i, n := range g.Nodes {
		j, ok := index[n.ID]
		if !ok {
			return nil, fmt.Errorf("viz: draw graph: node %v is not in the full graph; are the two from one prompt?", n.ID)
		}
		out[i] = j
	}
	return out, nil
}

// inputs sums |edges| into every node, and the part that comes from error
// nodes; the bias is left out, as in influence. It counts all edges.
func inputs(g *attribution.Graph) (mass, errMass []float64, edges int) {
	n := len(g.Nodes)
	mass, errMass = make([]float64, n), make([]float64, n)
	for t := range n {
		for s := range n {
			w := math.Abs(g.Weight(t, s))
			if w == 0 {
				continue
			}
			edges++
			switch g.Nodes[s].Kind {
			case attribution.Bias:
				continue
			case attribution.Error:
				errMass[t] += w
			}
			mass[t] += w
		}
	}
	return mass, errMass, edges
}

// choose fills v.nodes and returns, for each node of g, its place there or -1.
func (v *view) choose(toFull []int, infl, mass, errMass []float64) []int {
	g := v.g
	place := make([]int, len(g.Nodes))
	active := v.activePositions()
	pinned := map[attribution.ID]bool{}
	for _, id := range v.o.Pinned {
		pinned[id] = true
	}
	var ranked []int // nodes of g that compete for a place
	for i, n := range g.Nodes {
		place[i] = -1
		if n.Kind == attribution.Feature && !v.o.All && !pinned[n.ID] {
			if n.Pos == 0 && len(g.Tokens) > 1 {
				v.first++
				v.hiddenInfl += infl[toFull[i]]
				continue
			}
			if f := (feature{n.Layer, n.Index}); len(g.Tokens) > 3 && 3*active[f] > 2*len(g.Tokens) {
				v.dense++
				v.hiddenInfl += infl[toFull[i]]
				continue
			}
		}
		ranked = append(ranked, i)
	}
	always := func(n attribution.Node) bool {
		return n.Kind != attribution.Feature && n.Kind != attribution.Error || pinned[n.ID]
	}
	sort.SliceStable(ranked, func(a, b int) bool {
		na, nb := g.Nodes[ranked[a]], g.Nodes[ranked[b]]
		if x, y := always(na), always(nb); x != y {
			return x
		}
		return infl[toFull[ranked[a]]] > infl[toFull[ranked[b]]]
	})
	rest := map[[2]int]int{} // (layer, pos) -> nodes without a place
	for k, i := range ranked {
		if n := g.Nodes[i]; k >= v.o.MaxNodes && !always(n) {
			rest[[2]int{n.Layer, n.Pos}]++
		}
	}
	cells := map[[2]int]int{} // (layer, pos) -> gathered node
	for k, i := range ranked {
		n, fi := g.Nodes[i], toFull[i]
		if n.Kind == attribution.Feature && n.Label == "" && v.o.Features != nil {
			if known, ok := v.o.Features(n.Layer, n.Index); ok {
				n.Label = known.Label
			}
		}
		d := drawn{Node: n, infl: infl[fi], mass: mass[fi], errShare: errMass[fi], members: 1, pinned: pinned[n.ID]}
		cell := [2]int{n.Layer, n.Pos}
		if k < v.o.MaxNodes || always(n) || rest[cell] == 1 {
			place[i] = len(v.nodes)
			v.nodes = append(v.nodes, d)
			continue
		}
		at, ok := cells[cell]
		if !ok {
			d.Node = attribution.Node{ID: attribution.ID{Kind: gathered, Layer: n.Layer, Pos: n.Pos}}
			cells[cell], place[i] = len(v.nodes), len(v.nodes)
			v.nodes = append(v.nodes, d)
			continue
		}
		m := &v.nodes[at]
		m.infl += d.infl
		m.mass += d.mass
		m.errShare += d.errShare
		m.members++
		place[i] = at
	}
	for i := range v.nodes {
		d := &v.nodes[i]
		if d.mass > 0 {
			d.errShare /= d.mass
		}
		d.text, d.user = v.name(d)
		if d.Kind == attribution.Logit && (v.target < 0 || d.Prob > v.nodes[v.target].Prob) {
			v.target = i
		}
	}
	return place
}

type feature struct{ layer, index int }

// activePositions counts on how many tokens each feature fires.
func (v *view) activePositions() map[feature]int {
	out := map[feature]int{}
	for _, n := range v.full.Nodes {
		if n.Kind == attribution.Feature {
			out[feature{n.Layer, n.Index}]++
		}
	}
	return out
}

// name is what a node is called in the picture, and whether a person chose it.
func (v *view) name(d *drawn) (string, bool) {
	if l := v.o.Labels[d.ID]; l != "" {
		return visible(cut(l, 80)), true
	}
	switch d.Kind {
	case attribution.Feature:
		if d.Label != "" {
			return visible(cut(d.Label, 80)), false
		}
		return fmt.Sprintf("L%d/f%d", d.Layer, d.Index), false
	case attribution.Error:
		return fmt.Sprintf("error L%d", d.Layer), false
	case attribution.Token:
		return inSVG(v.g.Tokens[d.Pos], d.Pos), true
	case attribution.Position:
		return fmt.Sprintf("position %d", d.Pos), true
	case attribution.Bias:
		return "bias", true
	case attribution.Logit:
		return inSVG(d.Label, 1), true
	}
	return fmt.Sprintf("+%d", d.members), true
}

// connect collects the edges between drawn nodes; those of gathered nodes are
// summed by sign.
func (v *view) connect(toFull, place []int, infl, mass []float64) {
	type key struct {
		s, t int
		neg  bool
	}
	sums := map[key]int{}
	for t := range v.g.Nodes {
		for s := range v.g.Nodes {
			w := v.g.Weight(t, s)
			ps, pt := place[s], place[t]
			if w == 0 || ps < 0 || pt < 0 || ps == pt || v.nodes[pt].mass == 0 {
				continue
			}
			ft := toFull[t]
			score := 0.0
			if mass[ft] > 0 && v.nodes[ps].Kind != attribution.Bias {
				score = math.Abs(w) / mass[ft] * (infl[ft] + v.g.Nodes[t].Prob)
			}
			l := link{s: ps, t: pt, share: w / v.nodes[pt].mass, score: score}
			if v.nodes[ps].members == 1 && v.nodes[pt].members == 1 {
				v.links = append(v.links, l)
				continue
			}
			k := key{ps, pt, w < 0}
			if at, ok := sums[k]; ok {
				v.links[at].share += l.share
				v.links[at].score += l.score
				continue
			}
			sums[k] = len(v.links)
			v.links = append(v.links, l)
		}
	}
	sort.SliceStable(v.links, func(a, b int) bool { return v.links[a].score > v.links[b].score })
}

func (v *view) influence(i int) float64 { return v.nodes[i].infl }

// sortBy sorts indices by a value, largest first; equal ones keep their order.
func sortBy(order []int, value func(i int) float64) {
	sort.SliceStable(order, func(a, b int) bool { return value(order[a]) > value(order[b]) })
}

// byDefault says whether a node is in the picture before any button is pressed.
func (v *view) byDefault(i int) bool {
	k := v.nodes[i].Kind
	return !v.nodes[i].joined && (v.o.Inputs || v.nodes[i].pinned || k != attribution.Position && k != attribution.Bias)
}

const (
	scoreMass = 0.95 // of the shown edges' score is drawn
	mostLinks = 600
)

// tally counts what is shown: nodes, share of influence, overview edges, and
// which nodes are strong.
func (v *view) tally(infl []float64) {
	for i, n := range v.full.Nodes {
		if n.Kind != attribution.Logit {
			v.allInfl += infl[i]
		}
	}
	shown := 0.0
	var order []int
	for i, d := range v.nodes {
		if !v.byDefault(i) {
			continue
		}
		v.shownNodes += d.members
		if d.Kind != attribution.Logit {
			shown += d.infl
			order = append(order, i)
		}
	}
	if v.allInfl > 0 {
		v.shownInfl, v.hiddenInfl = shown/v.allInfl, v.hiddenInfl/v.allInfl
	}
	sortBy(order, v.influence)
	sum := 0.0
	for _, i := range order {
		v.nodes[i].strong = sum <= 0.8*shown
		sum += v.nodes[i].infl
	}
	shownLinks, carried := v.overview()
	v.shownLinks, v.shownScore = len(shownLinks), carried
}

// overview lists the links of the overall picture: between nodes shown by
// default, the shortest prefix that carries 95 % of the score, at most 600;
// and the share it carries.
func (v *view) overview() (links []int, carried float64) {
	sum := 0.0
	for i, l := range v.links {
		if v.byDefault(l.s) && v.byDefault(l.t) && l.score > 0 {
			links = append(links, i)
			sum += l.score
		}
	}
	part := 0.0
	for k, i := range links {
		part += v.links[i].score
		if part >= scoreMass*sum || k+1 == mostLinks {
			return links[:k+1], part / sum
		}
	}
	return links, 1
}
