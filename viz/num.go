package viz

import (
	"math"
	"strconv"
	"strings"
)

const minus = "−" // U+2212

// num writes a value with three significant digits and a real minus sign.
func num(v float64) string {
	switch {
	case math.IsNaN(v):
		return "n/a"
	case math.IsInf(v, 0):
		return strings.Replace(strings.TrimPrefix(strconv.FormatFloat(v, 'g', -1, 64), "+"), "-", minus, 1)
	case v == 0:
		return "0"
	}
	a := math.Abs(v)
	var s string
	switch {
	case a >= 1e6 || a < 1e-3:
		s = strconv.FormatFloat(v, 'e', 2, 64)
		mant, exp, _ := strings.Cut(s, "e")
		if strings.Contains(mant, ".") {
			mant = strings.TrimRight(strings.TrimRight(mant, "0"), ".")
		}
		n, _ := strconv.Atoi(exp)
		s = mant + "e" + strconv.Itoa(n)
	case a >= 999.5:
		return count(int(math.Round(v)))
	default:
		e := strconv.FormatFloat(v, 'e', 2, 64) // rounds before the digits are counted
		exp, _ := strconv.Atoi(e[strings.IndexByte(e, 'e')+1:])
		s = strconv.FormatFloat(v, 'f', max(2-exp, 0), 64)
	}
	return strings.ReplaceAll(s, "-", minus)
}

// brief is num without trailing zeros: for ticks and crowded cells.
func brief(v float64) string {
	s := num(v)
	if strings.Contains(s, ".") && !strings.Contains(s, "e") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// signed is num with an explicit plus.
func signed(v float64) string {
	if v > 0 {
		return "+" + num(v)
	}
	return num(v)
}

// count groups thousands by thin spaces.
func count(n int) string {
	s := strconv.Itoa(n)
	sign := ""
	if n < 0 {
		sign, s = minus, s[1:]
	}
	if len(s) < 5 {
		return sign + s
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "\u2009" + s[i:]
	}
	return sign + s
}

// pct writes a fraction as a percentage: "41 %", "3.2 %", "0.04 %".
func pct(x float64) string {
	v := 100 * x
	a := math.Abs(v)
	switch {
	case math.IsNaN(v):
		return "n/a"
	case v == 0:
		return "0 %"
	case a < 0.005:
		return "<0.01 %"
	case a < 0.995:
		return strings.ReplaceAll(strconv.FormatFloat(v, 'f', 2, 64), "-", minus) + " %"
	case a < 9.95:
		return strings.ReplaceAll(strconv.FormatFloat(v, 'f', 1, 64), "-", minus) + " %"
	}
	return strings.ReplaceAll(strconv.FormatFloat(v, 'f', 0, 64), "-", minus) + " %"
}

// css writes a length or percentage with at most two decimals.
func css(v float64) string {
	s := strconv.FormatFloat(v, 'f', 2, 64)
	s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	if s == "-0" || s == "" {
		return "0"
	}
	return s
}
