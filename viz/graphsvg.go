package viz

import (
	"fmt"
	"math"
	"strings"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
)

// bucket is a class of edges by cumulative score: what the strongest carry is
// drawn thick, the long tail thin.
type bucket struct {
	upTo           float64 // cumulative share of the score
	width, opacity float64
	dash           string // for negative edges, display pixels
}

var buckets = []bucket{{0.25, 3.4, 0.85, "6 3"}, {0.50, 2.0, 0.6, "5 3"}, {0.70, 1.1, 0.42, "5 3"}, {1.01, 0.7, 0, "3 2"}}

// svg draws the whole picture.
func (v *view) svg(p palette) string {
	v = v.join()
	s := newPicture(v.W, v.H, p, v.alt())
	v.drawGrid(s)
	v.drawRows(s)
	v.drawEdges(s)
	v.drawNodes(s)
	v.drawLabels(s)
	v.drawLegend(s)
	return s.String()
}

func (v *view) drawGrid(s *picture) {
	x0 := v.cols[0].x
	x1 := v.cols[len(v.cols)-1].x + v.cols[len(v.cols)-1].w
	for r, b := range v.rows {
		top := b.y - b.h/2
		if r == 0 {
			top += 6
		}
		if r%2 == 1 && r <= v.layers {
			s.rect(x0, top, x1-x0, b.h, s.p.Band, "")
		}
	}
	bottom := v.rows[1].y + v.rows[1].h/2
	top := v.rows[v.layers+1].y + v.rows[v.layers+1].h/2
	var d strings.Builder
	for _, c := range v.cols[1:] {
		fmt.Fprintf(&d, "M%d %dV%d", unit(c.x), unit(top), unit(bottom))
	}
	if d.Len() > 0 {
		fmt.Fprintf(&s.b, `<path d="%s" stroke="%s" stroke-width="1" opacity=".7"/>`, d.String(), s.p.Border)
	}
	if v.H > 600 { // far from the tokens: say them again between layers and targets
		s.open(`fill="` + s.p.Dim + `" text-anchor="middle" font-size="20" opacity=".85"`)
		for _, c := range v.cols {
			fmt.Fprintf(&s.b, `<text x="%d" y="%d">%s</text>`, unit(c.x+c.w/2), unit(top-2), esc(fit(c.token, 10, c.w-2)))
		}
		s.close()
	}
}

// drawRows names the rows, at the left.
func (v *view) drawRows(s *picture) {
	s.open(`fill="` + s.p.Dim + `" text-anchor="end"`)
	for r, b := range v.rows {
		fmt.Fprintf(&s.b, `<text x="%d" y="%d">%s</text>`, unit(marginLeft-8), unit(b.y+4), v.rows[r].label)
	}
	s.close()
}

// curve is the SVG path of one edge, from the top of the source to the bottom
// of the target. Edges within a column bow to the left, past the nodes between.
func (v *view) curve(l link, straight bool) string {
	a, b := &v.nodes[l.s], &v.nodes[l.t]
	x0, y0, x1, y1 := unit(a.x), unit(a.y-a.r), unit(b.x), unit(b.y+b.r)
	if a.Kind == attribution.Position || a.Kind == attribution.Bias {
		y0 = unit(a.y - 4)
	}
	if straight {
		return fmt.Sprintf("M%d %dL%d %d", x0, y0, x1, y1)
	}
	bow := 0
	if a.col == b.col && b.row-a.row > 1 {
		bow = -unit(math.Min(34, 6*float64(b.row-a.row-1)))
	}
	dy := int(math.Round(0.45 * float64(y1-y0)))
	return fmt.Sprintf("M%d %dc%d %d %d %d %d %d", x0, y0, bow, dy, x1-x0+bow, y1-y0-dy, x1-x0, y1-y0)
}

func (v *view) drawEdges(s *picture) {
	shown, _ := v.overview()
	total := 0.0
	for _, i := range shown {
		total += v.links[i].score
	}
	var paths [4][2]strings.Builder
	part := 0.0
	for _, i := range shown {
		l := v.links[i]
		k := 0
		for part/total >= buckets[k].upTo {
			k++
		}
		part += l.score
		sign := 0
		if l.share < 0 {
			sign = 1
		}
		paths[k][sign].WriteString(v.curve(l, len(shown) > 1000))
	}
	s.open(`fill="none" stroke-linecap="round"`)
	faint := tailOpacity(len(shown))
	for k := len(buckets) - 1; k >= 0; k-- {
		for sign, colour := range []string{s.p.Pos, s.p.Neg} {
			d := paths[k][sign].String()
			if d == "" {
				continue
			}
			dash := ""
			if sign == 1 {
				dash = ` stroke-linecap="butt" stroke-dasharray="` + doubled(buckets[k].dash) + `"`
			}
			opacity := buckets[k].opacity
			if k == len(buckets)-1 {
				opacity = faint
			}
			fmt.Fprintf(&s.b, `<path stroke="%s" stroke-width="%s" opacity="%s"%s d="%s"/>`,
				colour, css(2*buckets[k].width), css(opacity), dash, d)
		}
	}
	s.close()
}

// tailOpacity keeps the many weak edges in the background and the few visible.
func tailOpacity(edges int) float64 {
	return math.Max(0.2, 0.45-0.25*math.Log(math.Max(1, float64(edges)/60))/math.Log(8))
}

func (v *view) drawNodes(s *picture) {
	var weak, strong, errs, rings, rest, both strings.Builder
	for i := range v.nodes {
		d := &v.nodes[i]
		if !v.byDefault(i) {
			continue
		}
		x, y, r := unit(d.x), unit(d.y), unit(d.r)
		switch d.Kind {
		case attribution.Feature:
			b := &weak
			if d.strong {
				b = &strong
			}
			if d.both {
				b = &both
			}
			fmt.Fprintf(b, `<circle cx="%d" cy="%d" r="%d"/>`, x, y, r)
		case attribution.Error:
			fmt.Fprintf(&errs, "M%d %dl%d %d %d %d %d %dz", x, y-r, r, r, -r, r, -r, -r)
		case attribution.Position, attribution.Bias:
			fmt.Fprintf(&errs, "M%d %dl%d %dh%dz", x, y-r, r, 2*r-2, -2*r)
		case gathered:
			fmt.Fprintf(&rest, `<text x="%d" y="%d">%s</text>`, x, y+7, esc(d.text))
		}
		if d.pinned && d.w == 0 {
			fmt.Fprintf(&rings, `<circle cx="%d" cy="%d" r="%d"/>`, x, y, r+6)
		}
	}
	group := func(attr, body string) {
		if body != "" {
			s.b.WriteString("<g " + attr + ">" + body + "</g>")
		}
	}
	group(`fill="`+s.p.Back+`" stroke="`+s.p.Err+`" stroke-width="2"`, weak.String())
	if errs.Len() > 0 {
		fmt.Fprintf(&s.b, `<path d="%s" fill="%s" stroke="%s" stroke-width="2"/>`, errs.String(), s.p.Back, s.p.Err)
	}
	group(`fill="`+s.p.Back+`" stroke="`+s.p.Text+`" stroke-width="2.8"`, strong.String())
	group(`fill="`+s.p.Both+`" stroke="`+s.p.Text+`" stroke-width="2.8"`, both.String())
	group(`fill="none" stroke="`+s.p.Pin+`" stroke-width="5"`, rings.String())
	group(s.halo()+` fill="`+s.p.Dim+`" text-anchor="middle" font-size="18"`, rest.String())
	v.drawChips(s)
}

// drawChips draws tokens and targets as boxes with their text.
func (v *view) drawChips(s *picture) {
	for i := range v.nodes {
		d := &v.nodes[i]
		if d.w == 0 || d.joined {
			continue
		}
		fill, stroke, width := s.p.Band, s.p.Err, "2"
		if d.Kind == attribution.Logit || d.Kind == supernode {
			fill = s.p.Back
		}
		if d.Kind == supernode {
			stroke, width = s.p.Text, "3"
		}
		if i == v.target {
			stroke, width = s.p.Text, "4"
		}
		if d.pinned {
			stroke, width = s.p.Pin, "5"
		}
		h := 2 * d.r
		s.rect(d.x-d.w/2, d.y-d.r, d.w, h, fill, fmt.Sprintf(`rx="8" stroke="%s" stroke-width="%s"`, stroke, width))
		if d.text == "" {
			continue
		}
		attr := ""
		if i == v.target {
			attr = `font-weight="600"`
		}
		s.text(d.x, d.y+4, "middle", chipSize, s.p.Text, attr, d.text)
	}
}

func (v *view) drawLabels(s *picture) {
	s.open(s.halo())
	for i := range v.nodes {
		d := &v.nodes[i]
		if !d.labelled || !v.byDefault(i) {
			continue
		}
		attr := ""
		if !d.user && d.Label != "" {
			attr = `font-style="italic"`
		}
		s.text(d.lx, d.ly, d.lanchor, labelSize, s.p.Text, attr, cut(d.text, 22))
	}
	s.close()
}

// drawLegend explains glyphs and lines in one row under the picture, and returns
// where it ends.
func (v *view) drawLegend(s *picture) (end float64) {
	y := v.H - 9
	x := marginLeft
	word := func(text string) {
		s.text(x, y, "start", 11, s.p.Dim, "", text)
		x += textWidth(text, 11) + 14
	}
	line := func(colour, dash string, width float64) {
		s.line(x, y-4, x+26, y-4, colour, fmt.Sprintf(`stroke-width="%s"%s`, css(2*width), dash))
		x += 31
	}
	fmt.Fprintf(&s.b, `<circle cx="%d" cy="%d" r="10" fill="%s" stroke="%s" stroke-width="2.8"/>`, unit(x+5), unit(y-4), s.p.Back, s.p.Text)
	x += 14
	word("feature, larger = more influence")
	X, Y := unit(x+5), unit(y-4)
	fmt.Fprintf(&s.b, `<path d="M%d %dl10 10 -10 10 -10 -10z" fill="%s" stroke="%s" stroke-width="2"/>`, X, Y-10, s.p.Back, s.p.Err)
	x += 14
	word("error")
	if v.o.Other != nil {
		fmt.Fprintf(&s.b, `<circle cx="%d" cy="%d" r="10" fill="%s" stroke="%s" stroke-width="2.8"/>`, unit(x+5), unit(y-4), s.p.Both, s.p.Text)
		x += 14
		word("in both")
	}
	line(s.p.Pos, "", 2.4)
	word("raises")
	line(s.p.Neg, ` stroke-dasharray="10 6"`, 2.4)
	word("lowers the target")
	if x < v.W-260 {
		word("thick: the first 25 % of the effect")
	}
	return x
}
