package viz

import (
	"math"
	"sort"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
)

// placeInputs puts token chips on their columns, position triangles below
// them, the bias at the left.
func (v *view) placeInputs() {
	for i := range v.nodes {
		d := &v.nodes[i]
		c := v.cols[d.col]
		switch d.Kind {
		case attribution.Token:
			d.x, d.y = c.x+c.w/2, v.rows[0].y
			d.text = fit(d.text, chipSize, c.w-10)
			d.w = math.Min(c.w-3, textWidth(d.text, chipSize)+12)
			d.r = chipHeight / 2
		case attribution.Position:
			d.x, d.y = c.x+c.w/2, v.rows[0].y+19
		case attribution.Bias:
			d.x, d.y = marginLeft-14, v.rows[0].y+19
		}
	}
}

// placeTargets puts the targets in the top row. Those that do not fit with text
// become small squares.
func (v *view) placeTargets() {
	var order []int
	for i := range v.nodes {
		if v.nodes[i].Kind == attribution.Logit {
			order = append(order, i)
		}
	}
	sort.SliceStable(order, func(a, b int) bool {
		x, y := v.nodes[order[a]], v.nodes[order[b]]
		if x.Pos != y.Pos {
			return x.Pos < y.Pos
		}
		return x.Prob > y.Prob
	})
	left, right := marginLeft, v.W-6
	free := right - left
	for _, i := range order {
		free -= 12 + chipGap
		v.nodes[i].w = 12
	}
	for _, i := range order { // text while there is room
		d := &v.nodes[i]
		label := cut(d.text, 18) + "  " + pct(d.Prob)
		if w := textWidth(label, chipSize) + 14; free > w-12 {
			free -= w - 12
			d.w, d.text = w, label
		} else {
			d.text = ""
		}
	}
	v.lineUp(order, left, right)
}

const chipGap = 6.0

// lineUp puts the targets of each position in one line: the most probable
// stands over its column, the others to its left, and what does not fit there
// to its right.
func (v *view) lineUp(order []int, left, right float64) {
	for from := 0; from < len(order); {
		to := from
		for to < len(order) && v.nodes[order[to]].Pos == v.nodes[order[from]].Pos {
			to++
		}
		group := order[from:to]
		first := &v.nodes[group[0]]
		c := v.cols[first.col]
		x := math.Max(left, math.Min(c.x+c.w/2-first.w/2, right-first.w))
		lo, hi := x, x+first.w // taken so far
		v.setTarget(group[0], x)
		for _, i := range group[1:] {
			w := v.nodes[i].w + chipGap
			if lo-w >= left || hi+w > right {
				lo -= w
				v.setTarget(i, lo)
				continue
			}
			v.setTarget(i, hi+chipGap)
			hi += w
		}
		if lo < left { // too many: move the line right, as far as it goes
			for _, i := range group {
				v.nodes[i].x += left - lo
			}
			hi += left - lo
		}
		left = hi + chipGap
		from = to
	}
}

func (v *view) setTarget(i int, x float64) {
	d := &v.nodes[i]
	d.x, d.y, d.r = x+d.w/2, v.rows[v.layers+1].y, chipHeight/2
	if d.text == "" {
		d.r = 6
	}
}

type box struct{ x0, y0, x1, y1 float64 }

func (a box) hits(b box) bool { return a.x0 < b.x1 && b.x0 < a.x1 && a.y0 < b.y1 && b.y0 < a.y1 }

// placeLabels sets labels beside their nodes, strongest first: right, left,
// above, below; a label without a free spot is left to the hover text.
func (v *view) placeLabels() {
	var taken []box
	var order []int
	for i := range v.nodes {
		d := &v.nodes[i]
		if !v.byDefault(i) {
			continue
		}
		w := d.r
		if d.w > 0 {
			w = d.w / 2
		}
		taken = append(taken, box{d.x - w, d.y - d.r, d.x + w, d.y + d.r})
		if d.labelled {
			order = append(order, i)
		}
	}
	sort.SliceStable(order, func(a, b int) bool {
		x, y := &v.nodes[order[a]], &v.nodes[order[b]]
		if x.pinned != y.pinned {
			return x.pinned
		}
		return x.infl > y.infl
	})
	for _, i := range order {
		d := &v.nodes[i]
		text := cut(d.text, 22)
		w := textWidth(text, labelSize)
		d.labelled = false
		for _, c := range []struct {
			dx, dy float64
			anchor string
		}{
			{d.r + 3, 4, "start"}, {-d.r - 3, 4, "end"}, {0, -d.r - 4, "middle"}, {0, d.r + 11, "middle"},
		} {
			x := d.x + c.dx
			b := box{x, d.y + c.dy - 9, x + w, d.y + c.dy + 2}
			switch c.anchor {
			case "end":
				b.x0, b.x1 = x-w, x
			case "middle":
				b.x0, b.x1 = x-w/2, x+w/2
			}
			if b.x0 < marginLeft || b.x1 > v.W-2 || anyHit(taken, b) {
				continue
			}
			taken = append(taken, b)
			d.labelled, d.lx, d.ly, d.lanchor = true, x, d.y+c.dy, c.anchor
			break
		}
	}
}

func anyHit(all []box, b box) bool {
	for _, a := range all {
		if a.hits(b) {
			return true
		}
	}
	return false
}
