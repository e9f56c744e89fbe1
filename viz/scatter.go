package viz

import (
	"fmt"
	"math"
	"sort"
	"strings"
)

// Point is one mark of a scatter plot.
type Point struct {
	X, Y  float64
	Label string
	Group string // points of one group share colour and shape
}

// ScatterOptions set a scatter plot; the zero value works.
type ScatterOptions struct {
	XLabel, YLabel string // with their units
	LogX, LogY     bool
	// Pareto marks the points that no other point beats on both axes, and joins
	// them: less is better, unless MoreX or MoreY says otherwise.
	Pareto       bool
	MoreX, MoreY bool
	Identity     bool    // a dashed line where y = x; both axes then have one range
	Selected     []int   // points that are ringed, and whose nearest neighbours are listed
	Width        float64 // pixels; 0 for 640 by 360
	Height       float64
	Note         string // one line under the title: how the map was made, with its seed
}

const (
	maxPoints = 2000 // drawn
	maxLabels = 24   // tried beside their points
)

// Scatter draws points over one pair of axes, with labels where there is room:
// a Pareto plot of a sweep, or a map of features. Points that are not finite, or
// not positive on a log axis, are counted and left out.
func Scatter(title string, points []Point, o ScatterOptions) Output {
	if o.Width == 0 {
		o.Width = 640
	}
	if o.Height == 0 {
		o.Height = 360
	}
	c := card{kind: "scatter", title: title}
	if o.Note != "" {
		c.lines = append(c.lines, dim(o.Note))
	}
	s := newScatter(points, o)
	if s.dropped > 0 {
		c.lines = append(c.lines, dim(many(s.dropped, "point")+" left out: not finite, not positive on a log axis, or beyond the first "+count(maxPoints)))
	}
	alt := fmt.Sprintf("%s: %s, %s against %s", title, many(len(s.keep), "point"), orWord(o.YLabel, "y"), orWord(o.XLabel, "x"))
	c.body = figure(o.Width, img(s.svg(title), alt, o.Width, o.Height)+s.spots())
	head, rows := s.table(20)
	c.details = append(c.details, fold(fmt.Sprintf("Data: %d of %s", len(rows), many(len(s.keep), "point")), htmlTable("Points", false, head, rows)))
	c.markdown, c.plain = mdTable(title, head, rows), plainTable(title, head, rows)
	if len(o.Selected) > 0 {
		h, r := s.neighbours()
		c.details = append(c.details, fold("Nearest neighbours of the ringed points", htmlTable("Nearest in the picture; distances between far points say little", false, h, r)))
		c.markdown += "\n" + mdTable("Nearest neighbours", h, r)
	}
	return c.output()
}

func orWord(s, word string) string {
	if s == "" {
		return word
	}
	return s
}

// scatter is a plot with its geometry.
type scatter struct {
	points  []Point
	o       ScatterOptions
	keep    []int // drawn
	dropped int
	best    map[int]bool // on the Pareto front
	front   []int        // in order of x
	groups  []string
	ax, ay  axis
}

func newScatter(points []Point, o ScatterOptions) *scatter {
	s := &scatter{points: points, o: o, best: map[int]bool{}}
	var xs, ys []float64
	seen := map[string]bool{}
	for i, p := range points {
		if !finite(p.X) || !finite(p.Y) || o.LogX && p.X <= 0 || o.LogY && p.Y <= 0 || len(s.keep) == maxPoints {
			s.dropped++
			continue
		}
		s.keep = append(s.keep, i)
		xs, ys = append(xs, p.X), append(ys, p.Y)
		if !seen[p.Group] {
			seen[p.Group] = true
			s.groups = append(s.groups, p.Group)
		}
	}
	right := 16.0
	if len(s.groups) > 1 {
		for _, g := range s.groups {
			right = math.Max(right, 34+math.Min(150, textWidth(cut(visible(g), 22), 11)))
		}
	}
	xlo, xhi, _ := extent(xs, usable(o.LogX))
	ylo, yhi, _ := extent(ys, usable(o.LogY))
	if o.LogX && xlo <= 0 {
		xlo, xhi = 1, 10
	}
	if o.LogY && ylo <= 0 {
		ylo, yhi = 1, 10
	}
	xlo, xhi = roomy(xlo, xhi, o.LogX)
	ylo, yhi = roomy(ylo, yhi, o.LogY)
	if o.Identity && o.LogX == o.LogY {
		xlo, xhi = math.Min(xlo, ylo), math.Max(xhi, yhi)
		ylo, yhi = xlo, xhi
	}
	s.ax = newAxis(xlo, xhi, int(o.Width/110)+1, 60, o.Width-right, o.LogX)
	s.ay = newAxis(ylo, yhi, int(o.Height/50), o.Height-38, 22, o.LogY)
	if o.Pareto {
		s.pareto()
	}
	return s
}

// roomy widens a range by 4 % at each end.
func roomy(lo, hi float64, log bool) (float64, float64) {
	if log {
		f := math.Pow(hi/lo, 0.04)
		return lo / f, hi * f
	}
	d := 0.04 * (hi - lo)
	return lo - d, hi + d
}

// pareto finds the points that none beats.
func (s *scatter) pareto() {
	cost := func(i int) (x, y float64) {
		x, y = s.points[i].X, s.points[i].Y
		if s.o.MoreX {
			x = -x
		}
		if s.o.MoreY {
			y = -y
		}
		return x, y
	}
	order := append([]int(nil), s.keep...)
	sort.SliceStable(order, func(a, b int) bool {
		x0, y0 := cost(order[a])
		x1, y1 := cost(order[b])
		return x0 < x1 || x0 == x1 && y0 < y1
	})
	least := math.Inf(1)
	for _, i := range order {
		if _, y := cost(i); y < least {
			least = y
			s.best[i] = true
			s.front = append(s.front, i)
		}
	}
}

func (s *scatter) place(i int) (x, y float64) { return s.ax.at(s.points[i].X), s.ay.at(s.points[i].Y) }

func (s *scatter) group(i int) int {
	for k, g := range s.groups {
		if g == s.points[i].Group {
			return k
		}
	}
	return 0
}

// marks are shapes around (0, 0) in half pixels, as wide as a circle of radius 4.
var marks = []string{"", "m-7 -7h14v14h-14z", "m0 -10l10 10l-10 10l-10 -10z", "m0 -9l9 16h-18z", "m0 9l9 -16h-18z", "m-9 -3h6v-6h6v6h6v6h-6v6h-6v-6h-6z"}

func mark(k int, x, y float64, attr string) string {
	m := marks[k%len(marks)]
	if m == "" {
		return fmt.Sprintf(`<circle cx="%d" cy="%d" r="8" %s/>`, unit(x), unit(y), attr)
	}
	return fmt.Sprintf(`<path d="M%d %d%s" %s/>`, unit(x), unit(y), m, attr)
}

func (s *scatter) svg(title string) string {
	p := newPicture(s.o.Width, s.o.Height, lightTheme, title)
	if len(s.keep) == 0 {
		p.text(s.o.Width/2, s.o.Height/2, "middle", 13, p.p.Dim, "", "no points")
		return p.String()
	}
	drawAxes(p, s.ax, s.ay, CurveOptions{XLabel: s.xLabel(), YLabel: s.o.YLabel, LogY: s.o.LogY, Height: s.o.Height})
	if len(s.front) > 1 {
		var d strings.Builder
		for k, i := range s.front {
			x, y := s.place(i)
			op := "L"
			if k == 0 {
				op = "M"
			}
			fmt.Fprintf(&d, "%s%d %d", op, unit(x), unit(y))
		}
		fmt.Fprintf(&p.b, `<path d="%s" fill="none" stroke="#767676" stroke-width="3" stroke-dasharray="12 6"/>`, d.String())
	}
	if s.o.Identity && s.o.LogX == s.o.LogY {
		fmt.Fprintf(&p.b, `<path d="M%d %dL%d %d" fill="none" stroke="#767676" stroke-width="2" stroke-dasharray="6 6"/>`, unit(s.ax.from), unit(s.ay.from), unit(s.ax.to), unit(s.ay.to))
	}
	for _, i := range s.keep {
		x, y := s.place(i)
		k := s.group(i)
		attr := `fill="` + categoryFill(k) + `" fill-opacity=".85" stroke="#FFFFFF" stroke-width="2"`
		if s.o.Pareto && !s.best[i] {
			attr = `fill="#FFFFFF" stroke="` + categoryFill(k) + `" stroke-width="3"`
		}
		p.b.WriteString(mark(k, x, y, attr))
	}
	for _, i := range s.o.Selected {
		if i >= 0 && i < len(s.points) {
			x, y := s.place(i)
			fmt.Fprintf(&p.b, `<circle cx="%d" cy="%d" r="15" fill="none" stroke="%s" stroke-width="5"/>`, unit(x), unit(y), p.p.Pin)
		}
	}
	s.labels(p)
	if len(s.groups) > 1 {
		for k, g := range s.groups[:min(len(s.groups), 12)] {
			y := 32 + 16*float64(k)
			p.b.WriteString(mark(k, s.ax.to+16, y-4, `fill="`+categoryFill(k)+`"`))
			p.text(s.ax.to+26, y, "start", 11, p.p.Text, "", cut(visible(g), 22))
		}
	}
	return p.String()
}

func (s *scatter) xLabel() string {
	if s.o.LogX {
		return strings.TrimSpace(s.o.XLabel + " (log)")
	}
	return s.o.XLabel
}

// categoryFill is the colour of a group: the first is the blue of all bars.
func categoryFill(k int) string {
	if k == 0 {
		return lightTheme.Pos
	}
	return darker(categories[k%len(categories)])
}

// labels writes names beside points, first the selected ones and the front, as
// long as none covers another or a point.
func (s *scatter) labels(p *picture) {
	order := append([]int(nil), s.keep...)
	chosen := map[int]bool{}
	for _, i := range s.o.Selected {
		chosen[i] = true
	}
	sort.SliceStable(order, func(a, b int) bool {
		rank := func(i int) int {
			switch {
			case chosen[i]:
				return 0
			case s.best[i]:
				return 1
			}
			return 2
		}
		return rank(order[a]) < rank(order[b])
	})
	var taken []box
	for _, i := range s.keep {
		x, y := s.place(i)
		taken = append(taken, box{x - 4, y - 4, x + 4, y + 4})
	}
	p.open(p.halo())
	for _, i := range order[:min(maxLabels, len(order))] {
		text := cut(visible(s.points[i].Label), 22)
		if text == "" {
			continue
		}
		x, y := s.place(i)
		w := textWidth(text, 11)
		for _, c := range []struct {
			dx, dy float64
			anchor string
		}{{8, 4, "start"}, {-8, 4, "end"}, {0, -9, "middle"}, {0, 17, "middle"}} {
			b := labelBox(x+c.dx, y+c.dy, w, c.anchor)
			if b.x0 < s.ax.from || b.x1 > s.ax.to+12 || b.y0 < 16 || b.y1 > s.ay.from || anyHit(taken, b) {
				continue
			}
			taken = append(taken, b)
			p.text(x+c.dx, y+c.dy, c.anchor, 11, p.p.Text, "", text)
			break
		}
	}
	p.close()
}

// labelBox is the room of a line of 11 px whose baseline starts, centres or
// ends at x, y.
func labelBox(x, y, w float64, anchor string) box {
	b := box{x, y - 9, x + w, y + 2}
	switch anchor {
	case "end":
		b.x0, b.x1 = x-w, x
	case "middle":
		b.x0, b.x1 = x-w/2, x+w/2
	}
	return b
}

func (s *scatter) spots() string {
	var b strings.Builder
	for _, i := range s.keep[:min(maxSpots, len(s.keep))] {
		x, y := s.place(i)
		b.WriteString(spot(s.describe(i), x-8, y-8, 16, 16, s.o.Width, s.o.Height))
	}
	return b.String()
}

func (s *scatter) describe(i int) string {
	p := s.points[i]
	text := cut(p.Label, 120)
	if p.Group != "" {
		text += " · " + cut(p.Group, 60)
	}
	text += " · " + orWord(s.o.XLabel, "x") + " " + num(p.X) + " · " + orWord(s.o.YLabel, "y") + " " + num(p.Y)
	if s.best[i] {
		text += " · on the front"
	}
	return text
}

// table lists points: the front first, then as given.
func (s *scatter) table(n int) (head []string, rows [][]string) {
	head = []string{"point", orWord(s.o.XLabel, "x"), orWord(s.o.YLabel, "y")}
	if len(s.groups) > 1 {
		head = append(head, "group")
	}
	if s.o.Pareto {
		head = append(head, "front")
	}
	order := append([]int(nil), s.front...)
	for _, i := range s.keep {
		if !s.best[i] {
			order = append(order, i)
		}
	}
	for _, i := range order[:min(n, len(order))] {
		p := s.points[i]
		row := []string{p.Label, num(p.X), num(p.Y)}
		if len(s.groups) > 1 {
			row = append(row, p.Group)
		}
		if s.o.Pareto {
			row = append(row, map[bool]string{true: "yes"}[s.best[i]])
		}
		rows = append(rows, row)
	}
	return head, rows
}

// neighbours lists the three nearest points of up to five selected ones, by
// distance in the picture.
func (s *scatter) neighbours() (head []string, rows [][]string) {
	head = []string{"point", "nearest", "second", "third"}
	for _, i := range s.o.Selected[:min(5, len(s.o.Selected))] {
		if i < 0 || i >= len(s.points) {
			continue
		}
		x0, y0 := s.place(i)
		var order []int
		for _, j := range s.keep {
			if j != i {
				order = append(order, j)
			}
		}
		sort.SliceStable(order, func(a, b int) bool {
			xa, ya := s.place(order[a])
			xb, yb := s.place(order[b])
			return math.Hypot(xa-x0, ya-y0) < math.Hypot(xb-x0, yb-y0)
		})
		row := []string{s.points[i].Label}
		for k := range 3 {
			text := ""
			if k < len(order) {
				text = s.points[order[k]].Label
			}
			row = append(row, text)
		}
		rows = append(rows, row)
	}
	return head, rows
}
