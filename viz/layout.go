package viz

import (
	"math"
	"sort"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
)

// Columns are tokens, rows are layers: row 0 the tokens, row l+1 layer l, the
// last row the targets. A node never leaves its cell: position carries meaning.

type column struct {
	x, w  float64 // left edge, width
	token string  // glyphs
	bare  bool    // no feature or error nodes
}

type band struct {
	y, h  float64 // centre, height
	label string
}

const (
	marginLeft = 58.0
	marginTop  = 10.0
	legendRow  = 26.0
	leastWidth = 580.0 // what the legend needs
	chipHeight = 20.0
	chipSize   = 12.0 // font size in chips
	labelSize  = 11.0
	minSlot    = 9.0
	maxSlot    = 24.0
	basicSlot  = 14.0
	maxStretch = 2.5
	maxRadius  = 8.0
)

// layout gives every node its place. It is the same for the same graph: fixed
// sweeps, stable sorts, no randomness.
func (v *view) layout() {
	cells := v.cells()
	right := v.chooseLabels()
	v.layoutColumns(cells, right)
	v.layoutRows(cells)
	v.sizes()
	v.placeCells(cells)
	v.sweep(cells)
	v.placeInputs()
	v.placeTargets()
	v.placeLabels()
}

type cellKey struct{ row, col int }

// cells groups features, errors and gathered nodes by cell; in a cell features
// come by descending influence, then the rest.
func (v *view) cells() map[cellKey][]int {
	cells := map[cellKey][]int{}
	for i := range v.nodes {
		d := &v.nodes[i]
		d.col = d.Pos
		switch d.Kind {
		case attribution.Logit:
			d.row = v.layers + 1
		case attribution.Feature, attribution.Error, gathered:
			d.row = d.Layer + 1
			k := cellKey{d.row, d.col}
			cells[k] = append(cells[k], i)
		}
	}
	for _, c := range cells {
		sort.SliceStable(c, func(a, b int) bool { return v.nodes[c[a]].before(&v.nodes[c[b]]) })
	}
	return cells
}

// cellRank is the order of kinds in a cell.
var cellRank = map[attribution.Kind]int{attribution.Feature: 0, gathered: 1, attribution.Error: 2}

// before orders a cell: features by influence then index, then gathered, errors.
func (d *drawn) before(e *drawn) bool {
	if a, b := cellRank[d.Kind], cellRank[e.Kind]; a != b {
		return a < b
	}
	if d.infl != e.infl {
		return d.infl > e.infl
	}
	return d.Index < e.Index
}

// subRows is the number of lines in a cell of n nodes.
func subRows(n int) int { return max(1, min(3, (n+5)/6)) }

// chooseLabels marks the nodes that get a label and returns the room that
// labels of the last column need at the right.
func (v *view) chooseLabels() float64 {
	most := 12
	if len(v.nodes) <= staticNodes && len(v.links) <= 1000 {
		most = 20
	}
	var order []int
	for i := range v.nodes {
		if k := v.nodes[i].Kind; k == attribution.Feature || v.nodes[i].pinned {
			order = append(order, i)
		}
	}
	sortBy(order, v.influence)
	room := 0.0
	for k, i := range order {
		d := &v.nodes[i]
		if k < most || d.pinned {
			d.labelled = true
			if d.Pos == len(v.g.Tokens)-1 {
				room = math.Max(room, textWidth(cut(d.text, 22), labelSize))
			}
		}
	}
	if room == 0 {
		return 14
	}
	return math.Min(140, room+14)
}

// layoutColumns shares the width: by content first, then stretched to fill or
// squeezed to fit.
func (v *view) layoutColumns(cells map[cellKey][]int, right float64) {
	n := len(v.g.Tokens)
	v.cols = make([]column, n)
	slots := make([]int, n)
	for k, c := range cells {
		slots[k.col] = max(slots[k.col], (len(c)+subRows(len(c))-1)/subRows(len(c)))
	}
	room := v.o.Width - marginLeft - right
	for p := range v.cols {
		v.cols[p] = column{token: inSVG(v.g.Tokens[p], p), bare: slots[p] == 0}
	}
	mostText := 110.0 // a token may ask for this much
	width := func(p int, slot float64) float64 {
		text := math.Min(mostText, textWidth(v.cols[p].token, chipSize)+16)
		if v.cols[p].bare {
			return math.Max(18, text)
		}
		return math.Max(math.Max(28, 10+slot*float64(slots[p])), text)
	}
	sum := func(slot float64) (s float64) {
		for p := range v.cols {
			s += width(p, slot)
		}
		return s
	}
	v.slot = basicSlot
	leastText := 28.0
	if n <= 20 { // of so few tokens none should become "…"
		leastText = 40
	}
	for _, limit := range []struct{ slot, text float64 }{{14, 64}, {11, 64}, {10, 44}, {minSlot, leastText}} {
		for mostText > limit.text && sum(v.slot) > room {
			mostText -= 4
		}
		for v.slot > limit.slot && sum(v.slot) > room {
			v.slot -= 0.5
		}
	}
	stretch := 1.0
	if s := sum(v.slot); s < room {
		stretch = math.Min(maxStretch, room/s)
	}
	x := marginLeft
	for p := range v.cols {
		w := width(p, v.slot)
		if !v.cols[p].bare || stretch > 1.5 {
			w *= stretch
		}
		v.cols[p].x, v.cols[p].w = x, w
		x += w
	}
	v.slot = math.Min(maxSlot, v.slot*stretch)
	v.W = math.Max(leastWidth, math.Ceil(x+right))
	if v.o.Other != nil {
		v.W = math.Max(v.W, leastWidth+60) // one more thing to explain
	}
}

// layoutRows stacks the rows from the top: targets, layers, tokens, legend.
func (v *view) layoutRows(cells map[cellKey][]int) {
	v.rows = make([]band, v.layers+2)
	lines := make([]int, v.layers+2)
	for k, c := range cells {
		lines[k.row] = max(lines[k.row], subRows(len(c)))
	}
	least := math.Max(34, math.Min(70, 420/float64(len(v.rows))))
	y := marginTop
	for r := v.layers + 1; r >= 0; r-- {
		h, label := math.Max(least, 14+v.pitch()*float64(lines[r])), layerName(r-1)
		switch r {
		case 0:
			h, label = 44, "tokens"
		case v.layers + 1:
			h, label = 40, "output"
		}
		v.rows[r] = band{y: y + h/2, h: h, label: label}
		y += h
	}
	v.rows[0].y -= 6 // chips above, triangles below
	v.H = math.Ceil(y + legendRow)
}

func layerName(l int) string { return "layer " + count(l) }

func (v *view) pitch() float64 { return math.Min(v.slot, 18) }

// sizes sets radii: area grows with influence, never so large that neighbours
// touch.
func (v *view) sizes() {
	most := 0.0
	for i := range v.nodes {
		if v.nodes[i].Kind == attribution.Feature {
			most = math.Max(most, v.nodes[i].infl)
		}
	}
	limit := math.Min(v.pitch()/2-1, maxRadius)
	for i := range v.nodes {
		d := &v.nodes[i]
		switch d.Kind {
		case attribution.Feature:
			d.r = 3.5
			if most > 0 {
				d.r += 4.5 * math.Sqrt(d.infl/most)
			}
			d.r = math.Min(d.r, limit)
		case gathered:
			d.r = math.Min(8, limit)
		case attribution.Error, attribution.Position, attribution.Bias:
			d.r = math.Min(5, limit)
		}
	}
}

// placeCells puts the nodes of each cell on a small grid, centred.
func (v *view) placeCells(cells map[cellKey][]int) {
	for k, c := range cells {
		v.placeCell(k, c)
	}
}

func (v *view) placeCell(k cellKey, c []int) {
	lines := subRows(len(c))
	across := (len(c) + lines - 1) / lines
	col, row := v.cols[k.col], v.rows[k.row]
	slot := math.Min(v.slot, (col.w-6)/float64(across))
	x0 := col.x + col.w/2 - slot*float64(across-1)/2
	y0 := row.y - v.pitch()*float64(lines-1)/2
	for i, n := range c {
		v.nodes[n].x = x0 + slot*float64(i/lines)
		v.nodes[n].y = y0 + v.pitch()*float64(i%lines)
		if last := len(c) % lines; last != 0 && i/lines == across-1 { // a short last line of nodes: centre it
			v.nodes[n].y = row.y - v.pitch()*float64(last-1)/2 + v.pitch()*float64(i%lines)
		}
	}
}

// sweep orders the nodes inside each cell by the mean place of their
// neighbours, four times, and keeps the arrangement with the least sideways
// way of all edges.
func (v *view) sweep(cells map[cellKey][]int) {
	keys := make([]cellKey, 0, len(cells))
	for k := range cells {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(a, b int) bool {
		return keys[a].row < keys[b].row || keys[a].row == keys[b].row && keys[a].col < keys[b].col
	})
	for i := range v.nodes { // neighbours outside cells stand in their column
		if d := &v.nodes[i]; d.x == 0 {
			d.x = v.cols[d.col].x + v.cols[d.col].w/2
		}
	}
	links := v.links[:min(len(v.links), 3000)]
	near := make([][]int, len(v.nodes)) // links of a node
	for i, l := range links {
		near[l.s], near[l.t] = append(near[l.s], i), append(near[l.t], i)
	}
	best, saved := v.sideways(links), v.positions()
	for pass := range 4 {
		for i := range keys {
			k := keys[i]
			if pass%2 == 1 {
				k = keys[len(keys)-1-i]
			}
			c := cells[k]
			if len(c) < 3 {
				continue
			}
			key := make(map[int]float64, len(c))
			for _, n := range c {
				key[n] = v.barycentre(n, near[n], links)
			}
			sort.SliceStable(c, func(a, b int) bool { return key[c[a]] < key[c[b]] })
			sort.SliceStable(c, func(a, b int) bool { return cellRank[v.nodes[c[a]].Kind] < cellRank[v.nodes[c[b]].Kind] })
			v.placeCell(k, c)
		}
		if s := v.sideways(links); s < best {
			best, saved = s, v.positions()
		}
	}
	for i := range v.nodes {
		v.nodes[i].x, v.nodes[i].y = saved[i][0], saved[i][1]
	}
}

func (v *view) barycentre(n int, near []int, links []link) float64 {
	sum, weight := 0.0, 0.0
	for _, i := range near {
		l := links[i]
		o := l.s + l.t - n
		if v.nodes[o].row == v.nodes[n].row && v.nodes[o].col == v.nodes[n].col {
			continue
		}
		w := math.Abs(l.share)
		sum += w * v.nodes[o].x
		weight += w
	}
	if weight == 0 {
		return v.nodes[n].x
	}
	return sum / weight
}

func (v *view) sideways(links []link) (sum float64) {
	for _, l := range links {
		sum += math.Abs(l.share) * math.Abs(v.nodes[l.s].x-v.nodes[l.t].x)
	}
	return sum
}

func (v *view) positions() [][2]float64 {
	out := make([][2]float64, len(v.nodes))
	for i, d := range v.nodes {
		out[i] = [2]float64{d.x, d.y}
	}
	return out
}
