package viz

import (
	"math"
	"testing"
)

func TestContrast(t *testing.T) {
	for name, p := range map[string]palette{"light": lightTheme, "dark": darkTheme} {
		for role, c := range map[string]string{"text": p.Text, "dim": p.Dim, "negative text": p.NegText, "ok": p.OK, "warn": p.Warn, "fail": p.Fail} {
			for _, back := range []string{p.Back, p.Band} {
				if r := contrast(c, back); r < 4.5 {
					t.Errorf("%s: %s on %s has contrast %.2f, want 4.5", name, role, back, r)
				}
			}
		}
		for role, c := range map[string]string{"positive": p.Pos, "negative": p.Neg, "pin": p.Pin, "error": p.Err} {
			if r := contrast(c, p.Back); r < 3 {
				t.Errorf("%s: %s has contrast %.2f, want 3", name, role, r)
			}
		}
	}
	for _, c := range append(append([]string{}, warmRamp...), coldRamp...) {
		if r := contrast(lightTheme.Text, c); r < 7 {
			t.Errorf("text on %s has contrast %.2f, want 7", c, r)
		}
	}
	for _, c := range categories {
		if r := contrast(darker(c), "#FFFFFF"); r < 4.5 {
			t.Errorf("series name in %s has contrast %.2f", darker(c), r)
		}
	}
}

// Simulation of missing cones (Machado, Oliveira, Fernandes 2009, severity 1),
// in linear light.
var missing = map[string][9]float64{
	"protanopia":   {0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998},
	"deuteranopia": {0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.011820, 0.042940, 0.968881},
	"tritanopia":   {1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.303900},
}

func lab(c rgb, m [9]float64) [3]float64 {
	lin := func(v float64) float64 {
		v /= 255
		if v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	r, g, b := lin(c.r), lin(c.g), lin(c.b)
	r, g, b = m[0]*r+m[1]*g+m[2]*b, m[3]*r+m[4]*g+m[5]*b, m[6]*r+m[7]*g+m[8]*b
	f := func(t float64) float64 {
		if t > 216.0/24389 {
			return math.Cbrt(t)
		}
		return (24389.0/27*t + 16) / 116
	}
	x, y, z := f((0.4124*r+0.3576*g+0.1805*b)/0.9505), f(0.2126*r+0.7152*g+0.0722*b), f((0.0193*r+0.1192*g+0.9505*b)/1.089)
	return [3]float64{116*y - 16, 500 * (x - y), 200 * (y - z)}
}

func TestSignsForColourBlindReaders(t *testing.T) {
	for kind, m := range missing {
		for name, p := range map[string]palette{"light": lightTheme, "dark": darkTheme} {
			a, b := lab(hex(p.Pos), m), lab(hex(p.Neg), m)
			if d := math.Hypot(math.Hypot(a[0]-b[0], a[1]-b[1]), a[2]-b[2]); d < 20 {
				t.Errorf("%s, %s: signs differ by %.1f, want 20", kind, name, d)
			}
		}
	}
}

func TestLevels(t *testing.T) {
	for _, c := range []struct {
		v    float64
		want int
	}{{0, 0}, {10, 5}, {-10, 5}, {20, 5}, {1, 1}, {2, 2}, {0.1, 0}, {math.NaN(), 0}} {
		if got := level(c.v, 10); got != c.want {
			t.Errorf("level(%v of 10) = %d, want %d", c.v, got, c.want)
		}
	}
	if level(1, 0) != 5 || level(0, 0) != 0 {
		t.Error("a zero scale")
	}
	if ramp(-5, 10) == ramp(5, 10) {
		t.Error("signs have one colour")
	}
}

// TestMapsAreEven: both heat maps run without a jump, the sequential one from
// dark to light.
func TestMapsAreEven(t *testing.T) {
	prev := -1.0
	for i := range 101 {
		l := lab(colourAt(sequential, float64(i)/100), [9]float64{1, 0, 0, 0, 1, 0, 0, 0, 1})[0]
		if l < prev || prev >= 0 && l-prev > 2.5 {
			t.Errorf("lightness at %d %% goes from %.1f to %.1f", i, prev, l)
		}
		prev = l
	}
	if c := colourAt(diverging, 0.5).String(); c != "#FFFFFF" {
		t.Errorf("zero is %s, want white", c)
	}
}
