package viz

import (
	"fmt"
	"math"
	"sort"
	"strings"
)

// Series is one line of a chart. X may be nil: then it counts 0, 1, 2.
// Values that are not finite are gaps.
type Series struct {
	Name string
	X, Y []float64
}

func (s Series) x(i int) float64 {
	if s.X == nil {
		return float64(i)
	}
	return s.X[i]
}

// CurveOptions set a line chart; the zero value works.
type CurveOptions struct {
	XLabel, YLabel string
	LogX, LogY     bool
	Zero           bool     // start the y axis at zero
	Tokens         []string // names of x = 0, 1, …, in place of numbers
	Smooth         float64  // weight of the past in an exponential mean, 0-1; the raw line stays, faint
	Width, Height  float64  // pixels; 0 for 720 by 280
	Note           string   // one line under the title
}

const (
	maxSeries    = 6
	curvePoints  = 400 // per series, after decimation
	mostReadings = 90  // points with a hover text, of all series
)

// Curve draws up to six lines over one pair of axes, each named at its end.
// Long series are thinned so that no peak is lost.
func Curve(title string, series []Series, o CurveOptions) Output {
	if o.Width == 0 {
		o.Width = 720
	}
	if o.Height == 0 {
		o.Height = 280
	}
	c := card{kind: "curve", title: title}
	if o.Note != "" {
		c.lines = append(c.lines, dim(o.Note))
	}
	if n := len(series) - maxSeries; n > 0 {
		series = series[:maxSeries]
		c.lines = append(c.lines, dim(fmt.Sprintf("%d more series not shown", n)))
	}
	head, table := curveTable(series)
	svg, spots := curvePicture(title, series, o)
	c.body = figure(o.Width, img(svg, title+": "+curveAlt(series), o.Width, o.Height)+spots)
	c.details = append(c.details, fold("Data: first, last, smallest, largest", htmlTable("Series", false, head, table)))
	c.markdown = mdTable(title, head, table)
	c.plain = plainTable(title, head, table)
	return c.output()
}

// usable says which values can be drawn on an axis.
func usable(log bool) func(float64) bool {
	if log {
		return func(v float64) bool { return v > 0 }
	}
	return nil
}

// curvePicture is the chart, and its hover texts.
func curvePicture(title string, series []Series, o CurveOptions) (svg, spots string) {
	s := newPicture(o.Width, o.Height, lightTheme, title)
	var xs, ys []float64
	for _, l := range series {
		for i, y := range l.Y {
			if finite(y) && (!o.LogY || y > 0) && (!o.LogX || l.x(i) > 0) {
				xs, ys = append(xs, l.x(i)), append(ys, y)
			}
		}
	}
	xlo, xhi, ok := extent(xs, usable(o.LogX))
	ylo, yhi, _ := extent(ys, usable(o.LogY))
	if !ok {
		s.text(o.Width/2, o.Height/2, "middle", 13, s.p.Dim, "", "no values yet")
		return s.String(), ""
	}
	if o.Zero && !o.LogY {
		ylo, yhi = math.Min(0, ylo), math.Max(0, yhi)
	}
	if !o.LogY && yhi > ylo {
		yhi += (yhi - ylo) * 0.04
	}
	right := 16.0
	for _, l := range series {
		right = math.Max(right, 18+math.Min(150, textWidth(cut(visible(l.Name), 22), 11)))
	}
	ax := newAxis(xlo, xhi, int(o.Width/110)+1, 56, o.Width-right, o.LogX)
	bottom := 38.0
	if len(o.Tokens) > 0 {
		bottom += tokenRoom
		ax.ticks = tokenTicks(len(o.Tokens), ax)
	}
	ay := newAxis(ylo, yhi, int(o.Height/50), o.Height-bottom, 22, o.LogY)
	drawAxes(s, ax, ay, o)
	ends := make([]float64, len(series))
	for i, l := range series {
		ends[i] = drawSeries(s, l, i, ax, ay, o)
	}
	for i, y := range spreadLabels(ends, 13, ay.to, ay.from) {
		if !math.IsNaN(y) {
			s.text(ax.to+8, y+4, "start", 11, darker(categories[i]), `font-weight="600"`, cut(visible(series[i].Name), 22))
		}
	}
	return s.String(), curveSpots(series, ax, ay, o)
}

// tokenRoom is what slanting tokens need below an axis, tokenStep how far one is from
// the next at least, in pixels.
const (
	tokenRoom = 48
	tokenStep = 14
)

// tokenTicks are the places of tokens that have room, the last one among them.
func tokenTicks(n int, ax axis) (ticks []float64) {
	every := 1
	if n > 1 {
		every = max(1, int(math.Ceil(tokenStep*float64(n-1)/math.Max(ax.to-ax.from, 1))))
	}
	for i := n - 1; i >= 0; i -= every {
		if t := float64(i); ax.at(t) >= ax.from-1e-9 && ax.at(t) <= ax.to+1e-9 {
			ticks = append(ticks, t)
		}
	}
	return ticks
}

// curveSpots are hover texts of some points, spread evenly.
func curveSpots(series []Series, ax, ay axis, o CurveOptions) string {
	var b strings.Builder
	for _, l := range series {
		points := thin(l.Y, curvePoints)
		every := max(1, (len(points)*len(series)+mostReadings-1)/mostReadings)
		for k := 0; k < len(points); k += every {
			x, y := l.x(points[k]), l.Y[points[k]]
			if !finite(y) || !finite(x) || o.LogY && y <= 0 || o.LogX && x <= 0 {
				continue
			}
			px, py := ax.at(x), ay.at(y)
			b.WriteString(spot(cut(l.Name, 60)+" · "+orWord(cut(o.XLabel, 40), "x")+" "+brief(x)+" · "+num(y), px-5, py-5, 10, 10, o.Width, o.Height))
		}
	}
	return b.String()
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// darker is a category colour that is legible as text on white.
func darker(colour string) string {
	c := hex(colour)
	for contrast(c.String(), "#FFFFFF") < 4.6 {
		c = blend(c, rgb{}, 0.08)
	}
	return c.String()
}

func drawAxes(s *picture, ax, ay axis, o CurveOptions) {
	s.open(`fill="none" stroke="#E6E6E6" stroke-width="2"`)
	for _, t := range ay.ticks {
		s.line(ax.from, ay.at(t), ax.to, ay.at(t), "#E6E6E6", "")
	}
	s.line(ax.from, ay.from, ax.to, ay.from, "#767676", "")
	for _, t := range ax.ticks {
		s.line(ax.at(t), ay.from, ax.at(t), ay.from+4, "#767676", "")
	}
	s.close()
	for _, t := range ay.ticks {
		s.text(ax.from-6, ay.at(t)+4, "end", 11, s.p.Dim, "", tick(t))
	}
	for _, t := range ax.ticks {
		if i := int(t); len(o.Tokens) > 0 {
			x, y := ax.at(t)+4, ay.from+14
			s.text(x, y, "end", 11, s.p.Dim, fmt.Sprintf(`transform="rotate(-45 %d %d)"`, unit(x), unit(y)), cut(inSVG(o.Tokens[i], i), maxLabelSize))
			continue
		}
		s.text(ax.at(t), ay.from+16, "middle", 11, s.p.Dim, "", tick(t))
	}
	y := o.YLabel
	if o.LogY {
		y = strings.TrimSpace(y + " (log)")
	}
	s.text(8, 13, "start", 11, s.p.Dim, "", y)
	s.text((ax.from+ax.to)/2, o.Height-6, "middle", 11, s.p.Dim, "", o.XLabel)
}

// drawSeries draws one line, and a faint raw one behind if it is smoothed. It
// returns the pixel height of the last point, NaN if there is none.
func drawSeries(s *picture, l Series, i int, ax, ay axis, o CurveOptions) float64 {
	colour := categories[i%len(categories)]
	attr := `fill="none" stroke-width="4" stroke-linejoin="round" stroke-linecap="round"`
	if d := dashes[i%len(dashes)]; d != "" {
		attr += ` stroke-dasharray="` + doubled(d) + `"`
	}
	if o.Smooth > 0 && o.Smooth < 1 {
		d, _ := linePath(l, ax, ay, o)
		fmt.Fprintf(&s.b, `<path d="%s" stroke="%s" fill="none" stroke-width="2" opacity=".25"/>`, d, colour)
		l = smooth(l, o.Smooth)
	}
	d, last := linePath(l, ax, ay, o)
	if d == "" {
		return math.NaN()
	}
	fmt.Fprintf(&s.b, `<path d="%s" stroke="%s" %s/>`, d, colour, attr)
	return last
}

func doubled(d string) string {
	var out []string
	for _, f := range strings.Fields(d) {
		var v float64
		fmt.Sscan(f, &v)
		out = append(out, fmt.Sprint(int(2*v)))
	}
	return strings.Join(out, " ")
}

func smooth(l Series, past float64) Series {
	out := Series{Name: l.Name, X: l.X, Y: make([]float64, len(l.Y))}
	mean, weight := 0.0, 0.0
	for i, y := range l.Y {
		if !finite(y) {
			out.Y[i] = math.NaN()
			continue
		}
		mean, weight = past*mean+(1-past)*y, past*weight+(1-past)
		out.Y[i] = mean / weight // unbiased from the first point
	}
	return out
}

// linePath is the SVG path of a series, thinned to curvePoints, with gaps.
func linePath(l Series, ax, ay axis, o CurveOptions) (d string, lastY float64) {
	var b strings.Builder
	pen, points := false, 0
	for _, i := range thin(l.Y, curvePoints) {
		x, y := l.x(i), l.Y[i]
		if !finite(y) || !finite(x) || o.LogY && y <= 0 || o.LogX && x <= 0 {
			pen = false
			continue
		}
		op := "L"
		if !pen {
			op = "M"
		}
		lastY = ay.at(y)
		fmt.Fprintf(&b, "%s%d %d", op, unit(ax.at(x)), unit(lastY))
		pen = true
		points++
	}
	if points == 1 { // a single point: a dot
		b.WriteString("h1")
	}
	return b.String(), lastY
}

// thin picks at most n indices: in each bucket the smallest and the largest
// value, in order, so that peaks survive.
func thin(y []float64, n int) []int {
	var out []int
	if len(y) <= n {
		for i := range y {
			out = append(out, i)
		}
		return out
	}
	buckets := n/2 - 1
	out = append(out, 0)
	for k := range buckets {
		from, to := 1+k*(len(y)-2)/buckets, 1+(k+1)*(len(y)-2)/buckets
		lo, hi := -1, -1
		for i := from; i < to; i++ {
			if !finite(y[i]) {
				continue
			}
			if lo < 0 || y[i] < y[lo] {
				lo = i
			}
			if hi < 0 || y[i] > y[hi] {
				hi = i
			}
		}
		if lo > hi {
			lo, hi = hi, lo
		}
		if lo >= 0 {
			out = append(out, lo)
		}
		if hi > lo {
			out = append(out, hi)
		}
	}
	return append(out, len(y)-1)
}

// spreadLabels moves label heights apart by at least gap, inside top to bottom.
func spreadLabels(ys []float64, gap, top, bottom float64) []float64 {
	order := []int{}
	for i, y := range ys {
		if !math.IsNaN(y) {
			order = append(order, i)
		}
	}
	sort.SliceStable(order, func(a, b int) bool { return ys[order[a]] < ys[order[b]] })
	out := append([]float64(nil), ys...)
	prev := math.Inf(-1)
	for _, i := range order {
		out[i] = math.Max(out[i], prev+gap)
		prev = out[i]
	}
	next := bottom + gap
	for k := len(order) - 1; k >= 0; k-- {
		out[order[k]] = math.Min(out[order[k]], next-gap)
		next = out[order[k]]
	}
	return out
}

func curveTable(series []Series) (head []string, rows [][]string) {
	head = []string{"series", "points", "first", "last", "smallest", "largest"}
	for _, l := range series {
		first, last, n := math.NaN(), math.NaN(), 0
		for _, y := range l.Y {
			if !finite(y) {
				continue
			}
			if n == 0 {
				first = y
			}
			last = y
			n++
		}
		lo, hi, ok := extent(l.Y, nil)
		if !ok {
			lo, hi = math.NaN(), math.NaN()
		}
		rows = append(rows, []string{l.Name, count(n), num(first), num(last), num(lo), num(hi)})
	}
	return head, rows
}

func curveAlt(series []Series) string {
	var parts []string
	_, rows := curveTable(series)
	for _, r := range rows {
		parts = append(parts, r[0]+" from "+r[2]+" to "+r[3])
	}
	return strings.Join(parts, ", ")
}
