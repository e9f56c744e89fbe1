package viz

import (
	"math"
	"strconv"
	"strings"
	"testing"
)

func TestGlyphs(t *testing.T) {
	for _, c := range []struct {
		token string
		pos   int
		want  string
	}{
		{" Dallas", 3, " Dallas"}, {" ", 1, "␣"}, {"    ", 1, "␣␣␣␣"}, {strings.Repeat(" ", 12), 1, "␣×12"}, {"\n", 1, "↵"}, {"\n\n", 1, "↵↵"},
		{"\t", 1, "⇥"}, {"\r", 1, "␍"}, {"\x00", 1, "␀"}, {"\x1b", 1, "␛"}, {"\x7f", 1, "␡"}, {"\u200b", 1, "⟨ZWSP⟩"}, {"\ufeff", 1, "⟨BOM⟩"},
		{"\u00ad", 1, "⟨SHY⟩"}, {"\u202e", 1, "⟨RLO⟩"}, {"\u2066", 1, "⟨LRI⟩"}, {"\xf0\x9f", 1, "⟨F0⟩⟨9F⟩"}, {endOfText, 0, "⟨BOS⟩"}, {endOfText, 4, "⟨EOT⟩"},
		{"👩\u200d🚀", 1, "👩\u200d🚀"}, {"a\u200db", 1, "a⟨ZWJ⟩b"}, {"", 1, "∅"}, {"\ue000", 1, "⟨E000⟩"}, {"�", 1, "�"},
	} {
		if got := glyph(c.token, c.pos); got != c.want {
			t.Errorf("glyph(%q, %d) = %q, want %q", c.token, c.pos, got, c.want)
		}
	}
}

// TestQuotedReadsBack: what a table shows is the token, exactly.
func TestQuotedReadsBack(t *testing.T) {
	for _, h := range hostile {
		if len(graphemes(h)) > 70 {
			continue
		}
		q := quoted(h)
		back, err := strconv.Unquote(q)
		if err != nil || back != h {
			if strings.Contains(h, "\u200d") { // the joiner is written as an escape or kept in an emoji
				continue
			}
			t.Errorf("%q is shown as %s, which reads back as %q", h, q, back)
		}
	}
}

func TestGraphemes(t *testing.T) {
	for s, want := range map[string]int{"": 0, "abc": 3, "e\u0301a": 2, "👩\u200d🚀x": 2, "🇫🇷🇩🇪": 2, "👍🏽": 1, "שלום": 4, "❤\ufe0f": 1} {
		if got := len(graphemes(s)); got != want {
			t.Errorf("%q has %d graphemes, want %d", s, got, want)
		}
	}
	long := strings.Repeat("e\u0301", 40)
	if got := short(long); len(graphemes(got)) != 24 || !strings.Contains(got, "…") {
		t.Errorf("short cuts to %q", got)
	}
	for n := 2; n < 30; n++ {
		if got := len(graphemes(cut(long, n))); got > n {
			t.Errorf("cut to %d gives %d", n, got)
		}
	}
	if got := fit("wide label that does not fit", 12, 60); textWidth(got, 12) > 60 || !strings.HasSuffix(got, "…") {
		t.Errorf("fit gives %q of %.0f px", got, textWidth(got, 12))
	}
}

func TestNumbers(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 1: "1.00", -2.345: "−2.35", 12.34: "12.3", 123.4: "123", 999.6: "1000", 12345: "12\u2009345", 0.00123: "0.00123", 1e-6: "1e−6", 1.234e-5: "1.23e−5",
		0.9999: "1.00", 3e8: "3e8", math.Inf(-1): "−Inf", math.Inf(1): "Inf",
	} {
		if got := num(v); got != want {
			t.Errorf("num(%v) = %q, want %q", v, got, want)
		}
	}
	for v, want := range map[float64]string{0: "0 %", 0.41: "41 %", 0.032: "3.2 %", 0.0004: "0.04 %", 1e-9: "<0.01 %", 1: "100 %", -0.05: "−5.0 %", 0.0999: "10 %"} {
		if got := pct(v); got != want {
			t.Errorf("pct(%v) = %q, want %q", v, got, want)
		}
	}
	if num(math.NaN()) != "n/a" || brief(0.1) != "0.1" || brief(100) != "100" || signed(1) != "+1.00" || css(-0.001) != "0" || count(-1234567) != "−1\u2009234\u2009567" {
		t.Error("a number is written wrongly")
	}
}

func TestMarkdownCode(t *testing.T) {
	for s, want := range map[string]string{"a": "`a`", "a`b": "``a`b``", "`": "`` ` ``", "a|b": "`a\\|b`", "``x": "``` ``x ```"} {
		if got := mdCode(s); got != want {
			t.Errorf("mdCode(%q) = %s, want %s", s, got, want)
		}
	}
}
