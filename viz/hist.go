package viz

import (
	"fmt"
	"math"
	"sort"
	"strings"
)

// HistOptions set a histogram; the zero value works.
type HistOptions struct {
	Bins          int     // 0 for 50
	LogX          bool    // equal bins in the logarithm; values that are not positive are counted apart
	LogCount      bool    // bars grow with log(1 + count)
	SkipZero      bool    // leave exact zeros out, and say how many
	XLabel        string  // with its unit
	Width, Height float64 // pixels; 0 for 560 by 220
}

// Hist draws the distribution of values and lists its quantiles.
func Hist(title string, values []float64, o HistOptions) Output {
	if o.Bins <= 0 {
		o.Bins = 50
	}
	if o.Width == 0 {
		o.Width = 560
	}
	if o.Height == 0 {
		o.Height = 220
	}
	var kept []float64
	zeros, bad, low := 0, 0, 0
	for _, v := range values {
		switch {
		case !finite(v):
			bad++
		case v == 0 && o.SkipZero:
			zeros++
		case v <= 0 && o.LogX:
			low++
		default:
			kept = append(kept, v)
		}
	}
	sort.Float64s(kept)
	c := card{kind: "hist", title: title}
	line := count(len(kept)) + " values"
	for _, x := range []struct {
		n    int
		what string
	}{{zeros, "zeros left out"}, {low, "not positive, left out"}, {bad, "not finite, left out"}} {
		if x.n > 0 {
			line += ", " + count(x.n) + " " + x.what
		}
	}
	c.lines = append(c.lines, dim(line))
	head, rows := []string{"quantile", "value"}, quantiles(kept)
	svg, spots := histPicture(title, kept, o)
	c.body = figure(o.Width, img(svg, title+": histogram of "+line, o.Width, o.Height)+spots)
	c.details = append(c.details, fold("Data: quantiles", htmlTable("Quantiles", false, head, rows)))
	c.markdown = mdTable(title, head, rows)
	c.plain = plainTable(title+" ("+line+")", head, rows)
	return c.output()
}

// quantiles of sorted values, by nearest rank.
func quantiles(sorted []float64) (rows [][]string) {
	for _, q := range []float64{0, 1, 5, 25, 50, 75, 95, 99, 100} {
		v := math.NaN()
		if n := len(sorted); n > 0 {
			v = sorted[min(n-1, int(q/100*float64(n)))]
		}
		rows = append(rows, []string{brief(q) + " %", num(v)})
	}
	return rows
}

// histPicture is the histogram, and a hover text for each bar.
func histPicture(title string, sorted []float64, o HistOptions) (svg, spots string) {
	s := newPicture(o.Width, o.Height, lightTheme, title)
	if len(sorted) == 0 {
		s.text(o.Width/2, o.Height/2, "middle", 13, s.p.Dim, "", "no values")
		return s.String(), ""
	}
	lo, hi := sorted[0], sorted[len(sorted)-1]
	ax := newAxis(lo, hi, int(o.Width/90), 56, o.Width-16, o.LogX)
	counts := make([]float64, o.Bins)
	most := 0.0
	for _, v := range sorted {
		t := (ax.at(v) - ax.from) / (ax.to - ax.from)
		k := min(o.Bins-1, int(t*float64(o.Bins)))
		counts[k]++
		most = math.Max(most, counts[k])
	}
	height := func(n float64) float64 { return n }
	if o.LogCount {
		height = math.Log1p
	}
	ay := newAxis(0, height(most), 4, o.Height-38, 16, false)
	if o.LogCount {
		ay.ticks = nil
		for t := 1.0; t <= most; t *= 10 {
			ay.ticks = append(ay.ticks, t)
		}
	}
	at := func(n float64) float64 { return ay.at(height(n)) }
	s.open(`fill="none" stroke="#E6E6E6" stroke-width="2"`)
	for _, t := range ay.ticks {
		s.line(ax.from, at(t), ax.to, at(t), "#E6E6E6", "")
	}
	s.close()
	for _, t := range ay.ticks {
		s.text(ax.from-6, at(t)+4, "end", 11, s.p.Dim, "", tick(t))
	}
	w := (ax.to - ax.from) / float64(o.Bins)
	var hover strings.Builder
	for k, n := range counts {
		if n > 0 {
			x := ax.from + w*float64(k)
			s.rect(x, at(n), math.Max(1, w-1), ay.from-at(n), s.p.Pos, "")
			if k < maxSpots {
				hover.WriteString(spot(fmt.Sprintf("%s to %s: %s", num(ax.value(x)), num(ax.value(x+w)), many(int(n), "value")), x, ay.to, w, ay.from-ay.to, o.Width, o.Height))
			}
		}
	}
	s.line(ax.from, ay.from, ax.to, ay.from, "#767676", `stroke-width="2"`)
	for _, t := range ax.ticks {
		s.text(ax.at(t), ay.from+16, "middle", 11, s.p.Dim, "", tick(t))
	}
	label := o.XLabel
	if o.LogX {
		label += " (log)"
	}
	s.text((ax.from+ax.to)/2, o.Height-6, "middle", 11, s.p.Dim, "", label)
	y := "count"
	if o.LogCount {
		y = "count (log)"
	}
	s.text(8, 12, "start", 11, s.p.Dim, "", y)
	return s.String(), hover.String()
}
