package viz

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"strings"
)

const (
	sans = `system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans','DejaVu Sans',sans-serif`
	mono = `ui-monospace,'SF Mono',Menlo,Consolas,'DejaVu Sans Mono',monospace`
)

// picture writes one SVG of w by h display pixels. Coordinates are rounded to
// half pixels (a viewBox twice the display size), so the file is short and the
// same on every processor. Only presentation attributes are used: viewers that
// drop style sheets still draw it right.
type picture struct {
	b    strings.Builder
	w, h float64
	p    palette
}

// unit converts display pixels to picture coordinates.
func unit(x float64) int { return int(math.Round(2 * x)) }

func us(x float64) string { return strconv.Itoa(unit(x)) }

func newPicture(w, h float64, p palette, title string) *picture {
	s := &picture{w: w, h: h, p: p}
	fmt.Fprintf(&s.b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="%s" font-size="22" fill="%s">`,
		int(w), int(h), unit(w), unit(h), sans, p.Text)
	if title != "" {
		s.b.WriteString("<title>" + esc(title) + "</title>")
	}
	s.rect(0, 0, w, h, p.Back, "")
	return s
}

func (s *picture) String() string { return s.b.String() + "</svg>\n" }

// rect draws a filled rectangle; attr holds more attributes, already escaped.
func (s *picture) rect(x, y, w, h float64, fill, attr string) {
	fmt.Fprintf(&s.b, `<rect x="%d" y="%d" width="%d" height="%d" fill="%s"%s/>`, unit(x), unit(y), unit(w), unit(h), fill, spaced(attr))
}

func (s *picture) line(x1, y1, x2, y2 float64, stroke, attr string) {
	fmt.Fprintf(&s.b, `<path d="M%d %dL%d %d" stroke="%s"%s/>`, unit(x1), unit(y1), unit(x2), unit(y2), stroke, spaced(attr))
}

// text writes one line; size in display pixels, anchor "start", "middle", "end".
func (s *picture) text(x, y float64, anchor string, size float64, fill, attr, str string) {
	if anchor != "start" && anchor != "" {
		attr += ` text-anchor="` + anchor + `"`
	}
	if size != 11 {
		attr += ` font-size="` + us(size) + `"`
	}
	if fill != s.p.Text {
		attr += ` fill="` + fill + `"`
	}
	fmt.Fprintf(&s.b, `<text x="%d" y="%d"%s>%s</text>`, unit(x), unit(y), spaced(strings.TrimSpace(attr)), esc(str))
}

func (s *picture) open(attr string) { s.b.WriteString("<g" + spaced(attr) + ">") }
func (s *picture) close()           { s.b.WriteString("</g>") }

func spaced(attr string) string {
	if attr == "" {
		return ""
	}
	return " " + attr
}

// halo draws letters with an outline of the background colour, so that lines
// behind them do not touch.
func (s *picture) halo() string {
	return `stroke="` + s.p.Back + `" stroke-width="6" stroke-linejoin="round" paint-order="stroke"`
}

// dataURI is an image that needs no file.
func dataURI(mime string, data []byte) string {
	return "data:" + mime + ";base64," + base64.StdEncoding.EncodeToString(data)
}

// img is the picture as an HTML image that shrinks with the page.
func img(svg, alt string, w, h float64) string {
	return fmt.Sprintf(`<img alt="%s" width="%d" height="%d" style="display:block;width:100%%;height:auto" src="%s">`,
		esc(cut(alt, 240)), int(w), int(h), dataURI("image/svg+xml", []byte(svg)))
}
