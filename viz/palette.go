package viz

import (
	"fmt"
	"math"
)

// palette holds the colours of one theme. Contrast is computed in the tests:
// text at least 4.5:1 on the background, graphics at least 3:1.
type palette struct {
	Back, Band, Border       string // page, shaded rows, hairlines
	Text, Dim                string // first and second text colour
	Pos, Neg, NegText        string // signs; NegText where it is a letter
	Pin, Hover, Err          string // rings; error nodes
	Both                     string // fill of features that two graphs share
	OK, Warn, Fail, Selected string
}

var lightTheme = palette{
	Back: "#FFFFFF", Band: "#F5F6F8", Border: "#D0D0D0", Text: "#1A1A1A", Dim: "#595959",
	Pos: "#0072B2", Neg: "#D55E00", NegText: "#A34700", Pin: "#CC79A7", Hover: "#000000", Err: "#767676", Both: "#BBE1F6",
	OK: "#00704F", Warn: "#8A5A00", Fail: "#B00020", Selected: "#EAF3F9",
}

var darkTheme = palette{
	Back: "#111111", Band: "#191A1C", Border: "#3A3A3A", Text: "#E0E0E0", Dim: "#9A9A9A",
	Pos: "#56B4E9", Neg: "#FF8A3D", NegText: "#FF8A3D", Pin: "#CC79A7", Hover: "#FFFFFF", Err: "#9A9A9A", Both: "#1F4E66",
	OK: "#56B4E9", Warn: "#E69F00", Fail: "#FF8A3D", Selected: "#1D2A33",
}

// theme returns the named palette: "dark", or light for anything else.
func theme(name string) palette {
	if name == "dark" {
		return darkTheme
	}
	return lightTheme
}

// categories are the Okabe-Ito colours that are legible as lines on white.
var categories = []string{"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#1A1A1A"}

// dashes tell series apart without colour; the first is solid.
var dashes = []string{"", "7 3", "2 3", "9 3 2 3", "4 4", "1 2"}

var (
	warmRamp = []string{"#FFFFFF", "#FAECCC", "#F5D999", "#F0C566", "#EBB233", "#E69F00"}
	coldRamp = []string{"#FFFFFF", "#DDF0FB", "#BBE1F6", "#9AD2F2", "#78C3ED", "#56B4E9"}
)

// level maps |v|/max to one of six steps by a log law, so that weak
// activations stay visible: round(5*log10(1+9r)).
func level(v, max float64) int {
	r := math.Abs(v) / max
	if !(r > 0) { // also NaN and 0/0
		return 0
	}
	return int(math.Round(5 * math.Log10(1+9*math.Min(r, 1))))
}

// ramp is the background of a value: orange above zero, blue below.
func ramp(v, max float64) string {
	if v < 0 {
		return coldRamp[level(v, max)]
	}
	return warmRamp[level(v, max)]
}

type rgb struct{ r, g, b float64 } // 0-255

func hex(s string) (c rgb) {
	var r, g, b uint8
	fmt.Sscanf(s, "#%02x%02x%02x", &r, &g, &b)
	return rgb{float64(r), float64(g), float64(b)}
}

func (c rgb) String() string {
	return fmt.Sprintf("#%02X%02X%02X", clampByte(c.r), clampByte(c.g), clampByte(c.b))
}

func clampByte(v float64) uint8 { return uint8(math.Round(math.Min(255, math.Max(0, v)))) }

// blend mixes a into b; t = 0 is a, t = 1 is b.
func blend(a, b rgb, t float64) rgb {
	return rgb{a.r + (b.r-a.r)*t, a.g + (b.g-a.g)*t, a.b + (b.b-a.b)*t}
}

// stops of the sequential map (dark blue to yellow, even in lightness and safe
// for colour-blind readers) and of the diverging one (blue, white, orange).
var (
	sequential = []rgb{hex("#00224E"), hex("#2A3F6D"), hex("#575D6D"), hex("#7D7C78"), hex("#A59C74"), hex("#D2C060"), hex("#FEE838")}
	diverging  = []rgb{hex("#005A8C"), hex("#56B4E9"), hex("#DDF0FB"), hex("#FFFFFF"), hex("#FAECCC"), hex("#E69F00"), hex("#9C5200")}
)

// colourAt reads a colour map at t in [0, 1].
func colourAt(stops []rgb, t float64) rgb {
	if !(t > 0) {
		return stops[0]
	}
	x := math.Min(t, 1) * float64(len(stops)-1)
	i := min(int(x), len(stops)-2)
	return blend(stops[i], stops[i+1], x-float64(i))
}

// contrast is the WCAG 2 contrast ratio of two colours, 1 to 21.
func contrast(a, b string) float64 {
	la, lb := luminance(hex(a)), luminance(hex(b))
	return (math.Max(la, lb) + 0.05) / (math.Min(la, lb) + 0.05)
}

func luminance(c rgb) float64 {
	lin := func(v float64) float64 {
		v /= 255
		if v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	return 0.2126*lin(c.r) + 0.7152*lin(c.g) + 0.0722*lin(c.b)
}
