package viz

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"sort"
	"strings"
)

// HeatOptions set a heat map; the zero value works.
type HeatOptions struct {
	XLabel, YLabel string
	Signed         bool    // blue, white, orange around zero; else dark blue to yellow
	Min, Max       float64 // both 0: from the data; Signed uses the larger magnitude
	Cell           float64 // pixels a cell, 0 to fit; 6 to 40
	BottomUp       bool    // row 0 at the bottom, as layers are drawn in graphs
}

const maxLabelSize = 12

// Heat draws a matrix m[row][column] with a colour bar; xs name the columns,
// ys the rows; without names rows are numbered. Cells that are not finite are
// grey.
func Heat(title string, m [][]float64, xs, ys []string, o HeatOptions) Output {
	named := ys
	if len(ys) == 0 {
		for i := range m {
			named = append(named, count(i))
		}
	}
	h := newHeatMap(m, xs, named, o)
	h.ys = ys
	c := card{kind: "heat", title: title}
	head, rows := h.table(20)
	if len(m) == 0 || h.cols == 0 {
		c.body = esc("no values")
	} else {
		alt := fmt.Sprintf("%s: heat map of %d by %d cells from %s to %s", title, len(m), h.cols, num(h.lo), num(h.hi))
		c.body = figure(h.W, img(h.axes(title), alt, h.W, h.H)+h.raster()+h.spots())
		c.details = append(c.details, fold(fmt.Sprintf("Data: the %d largest cells", len(rows)), htmlTable("Cells by magnitude", false, head, rows)))
	}
	c.markdown = mdTable(title, head, rows)
	c.plain = plainTable(title, head, rows)
	return c.output()
}

// heatMap is a matrix with its geometry in pixels.
type heatMap struct {
	m            [][]float64
	xs, ys       []string
	o            HeatOptions
	cols         int
	lo, hi       float64
	cell         float64
	left, top    float64
	W, H         float64
	legendRoom   float64
	rotateColumn bool
	causal       bool // cells right of the diagonal cannot be other than zero, and stay empty
}

func newHeatMap(m [][]float64, xs, ys []string, o HeatOptions) *heatMap {
	h := &heatMap{m: m, xs: xs, ys: ys, o: o}
	var all []float64
	for _, r := range m {
		h.cols = max(h.cols, len(r))
		all = append(all, r...)
	}
	h.lo, h.hi, _ = extent(all, nil)
	if finite(o.Min) && finite(o.Max) && (o.Min != 0 || o.Max != 0) {
		h.lo, h.hi = o.Min, o.Max
	} else if !o.Signed && h.lo > 0 && h.lo < h.hi/3 {
		h.lo = 0
	}
	if o.Signed {
		h.hi = math.Max(math.Abs(h.lo), math.Abs(h.hi))
		h.lo = -h.hi
	}
	h.cell = o.Cell
	if h.cell == 0 {
		h.cell = math.Max(6, math.Min(28, math.Floor(720/float64(max(h.cols, 1)))))
	}
	longest := 0.0
	for _, y := range ys {
		longest = math.Max(longest, textWidth(cut(inSVG(y, 1), maxLabelSize), 11))
	}
	h.left = 24 + longest
	h.top = 10
	wide := 0.0
	for _, x := range xs {
		wide = math.Max(wide, textWidth(cut(inSVG(x, 1), maxLabelSize), 11))
	}
	below := 22.0
	if h.rotateColumn = wide > h.cell-2; h.rotateColumn {
		below = 14 + wide*0.75
	}
	if o.XLabel != "" {
		below += 16
	}
	h.legendRoom = 74
	h.W = math.Ceil(math.Max(240, h.left+h.cell*float64(h.cols)+h.legendRoom))
	h.H = math.Ceil(h.top + h.cell*float64(len(m)) + below)
	return h
}

func (h *heatMap) size() (w, ht float64) {
	return h.cell * float64(h.cols), h.cell * float64(len(h.m))
}

// y is the top of a row in pixels.
func (h *heatMap) y(row int) float64 {
	if h.o.BottomUp {
		row = len(h.m) - 1 - row
	}
	return h.top + h.cell*float64(row)
}

// axes draws labels and the scale of the colour bar; the raster lies above.
func (h *heatMap) axes(title string) string {
	s := newPicture(h.W, h.H, lightTheme, title)
	w, ht := h.size()
	every := max(1, int(math.Ceil(13/h.cell)))
	for i := 0; i < len(h.m); i += every {
		s.text(h.left-6, h.y(i)+h.cell/2+4, "end", 11, s.p.Dim, "", cut(inSVG(name(h.ys, i), i), maxLabelSize))
	}
	for j, x := range h.xs {
		if j >= h.cols || j%every != 0 {
			continue
		}
		px, py := h.left+h.cell*(float64(j)+0.5), h.top+ht+14
		if h.rotateColumn {
			s.text(px+3, h.top+ht+10, "end", 11, s.p.Dim, fmt.Sprintf(`transform="rotate(-45 %d %d)"`, unit(px+3), unit(h.top+ht+10)), cut(inSVG(x, j), maxLabelSize))
			continue
		}
		s.text(px, py, "middle", 11, s.p.Dim, "", cut(inSVG(x, j), maxLabelSize))
	}
	s.text(h.left+w/2, h.H-4, "middle", 11, s.p.Dim, "", h.o.XLabel)
	if h.o.YLabel != "" {
		x, y := 10.0, h.top+ht/2
		s.text(x, y, "middle", 11, s.p.Dim, fmt.Sprintf(`transform="rotate(-90 %d %d)"`, unit(x), unit(y)), h.o.YLabel)
	}
	bx, bh := h.left+w+26, math.Max(60, ht)
	ends := []float64{h.hi, (h.hi + h.lo) / 2, h.lo}
	for k, v := range ends {
		s.text(bx, h.top+9+float64(k)*(math.Min(bh, ht)-9)/2, "start", 11, s.p.Dim, "", brief(v))
	}
	return s.String()
}

func (h *heatMap) colour(v float64) color.RGBA {
	if !finite(v) {
		return color.RGBA{0xBB, 0xBB, 0xBB, 0xFF}
	}
	stops := sequential
	if h.o.Signed {
		stops = diverging
	}
	t := 0.5
	if h.hi > h.lo {
		t = (v - h.lo) / (h.hi - h.lo)
	}
	c := colourAt(stops, t)
	return color.RGBA{clampByte(c.r), clampByte(c.g), clampByte(c.b), 0xFF}
}

// raster is the map and the colour bar as images, scaled up here because pages
// may smooth small ones.
func (h *heatMap) raster() string {
	w, ht := h.size()
	return h.overlay(h.mapOnly(), h.left, h.top, w, ht) + h.overlay(h.bar(), h.left+w+10, h.top, 12, ht)
}

// bar is the scale of the colours.
func (h *heatMap) bar() image.Image {
	bar := image.NewRGBA(image.Rect(0, 0, 1, 64))
	for y := range 64 {
		bar.SetRGBA(0, y, h.colour(h.hi-(h.hi-h.lo)*float64(y)/63))
	}
	return bar
}

// mapOnly is the matrix, several pixels a cell.
func (h *heatMap) mapOnly() image.Image {
	pixels := max(1, min(int(2*h.cell), 1200/max(h.cols, len(h.m), 1)))
	m := image.NewRGBA(image.Rect(0, 0, pixels*h.cols, pixels*len(h.m)))
	for i := range h.m {
		row := i
		if h.o.BottomUp {
			row = len(h.m) - 1 - i
		}
		for j := range h.cols {
			if h.causal && j > i {
				continue
			}
			v := math.NaN()
			if j < len(h.m[i]) {
				v = h.m[i][j]
			}
			fill(m, j*pixels, row*pixels, pixels, h.colour(v))
		}
	}
	return m
}

func fill(m *image.RGBA, x, y, n int, c color.RGBA) {
	for dy := range n {
		for dx := range n {
			m.SetRGBA(x+dx, y+dy, c)
		}
	}
}

// overlay places an image over the picture, lengths in percent of it.
func (h *heatMap) overlay(m image.Image, x, y, w, ht float64) string {
	var b bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, m); err != nil {
		return esc("viz: " + err.Error()) // cannot happen: writing to memory, size checked
	}
	return fmt.Sprintf(`<img alt="" src="%s" style="position:absolute;left:%s%%;top:%s%%;width:%s%%;height:%s%%;max-width:none;margin:0">`,
		dataURI("image/png", b.Bytes()), css(100*x/h.W), css(100*y/h.H), css(100*w/h.W), css(100*ht/h.H))
}

type heatCell struct {
	i, j int
	v    float64
}

// ranked lists finite cells by magnitude.
func (h *heatMap) ranked() []heatCell {
	var out []heatCell
	for i, r := range h.m {
		for j, v := range r {
			if finite(v) && v != 0 {
				out = append(out, heatCell{i, j, v})
			}
		}
	}
	sort.SliceStable(out, func(a, b int) bool { return math.Abs(out[a].v) > math.Abs(out[b].v) })
	return out
}

func name(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return count(i)
}

// spots are hover texts of the 200 largest cells.
func (h *heatMap) spots() string {
	var b strings.Builder
	row := "" // what the number of a row without a name counts
	if len(h.ys) == 0 {
		row = cut(h.o.YLabel, 40)
	}
	for _, c := range h.ranked()[:min(maxSpots, len(h.ranked()))] {
		b.WriteString(spot(strings.TrimSpace(row+" "+name(h.ys, c.i))+" · "+quoted(name(h.xs, c.j))+" · "+num(c.v), h.left+h.cell*float64(c.j), h.y(c.i), h.cell, h.cell, h.W, h.H))
	}
	return b.String()
}

func (h *heatMap) table(n int) (head []string, rows [][]string) {
	y, x := h.o.YLabel, h.o.XLabel
	if y == "" {
		y = "row"
	}
	if x == "" {
		x = "column"
	}
	head = []string{"rank", y, x, "value"}
	for k, c := range h.ranked() {
		if k == n {
			break
		}
		rows = append(rows, []string{count(k + 1), name(h.ys, c.i), quoted(name(h.xs, c.j)), num(c.v)})
	}
	return head, rows
}
