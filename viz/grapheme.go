package viz

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// graphemes splits text into what a reader calls characters: a base with its
// marks, an emoji sequence, a flag. It follows the main rules of UAX 29, enough
// for counting and cutting; Hangul jamo and Indic conjuncts are not joined.
func graphemes(s string) []string {
	var out []string
	start, flags := 0, 0
	prev := rune(-1)
	for i, r := range s {
		if i > 0 && !extends(prev, r, flags) {
			out = append(out, s[start:i])
			start = i
		}
		if isFlag(r) {
			flags++
		} else {
			flags = 0
		}
		prev = r
	}
	if start < len(s) {
		out = append(out, s[start:])
	}
	return out
}

// extends reports whether r belongs to the cluster that ends in prev; flags
// counts the regional indicators up to and including prev.
func extends(prev, r rune, flags int) bool {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Mc), r == 0x200D, r >= 0x1F3FB && r <= 0x1F3FF:
		return true
	case prev == 0x200D && isEmoji(r):
		return true
	}
	return isFlag(prev) && isFlag(r) && flags%2 == 1
}

func isFlag(r rune) bool { return r >= 0x1F1E6 && r <= 0x1F1FF }

// textWidth estimates the width of a text in pixels at a font size: the
// reader's font is unknown, so slightly too wide is right.
func textWidth(s string, size float64) float64 {
	em := 0.0
	for _, g := range graphemes(s) {
		r, _ := utf8.DecodeRuneInString(g)
		switch {
		case r >= 0x1100 && (r <= 0x115F || r >= 0x2E80 && r <= 0xD7A3 || r >= 0xF900 && r <= 0xFAFF || r >= 0xFE30 && r <= 0xFE6F || r >= 0xFF00 && r <= 0xFF60), isEmoji(r), isFlag(r):
			em += 1.0
		case strings.ContainsRune("iljI.,:;'!|·()[] ", r):
			em += 0.34
		case strings.ContainsRune("mwMW%@", r):
			em += 0.9
		case unicode.IsUpper(r), r > 0x2000:
			em += 0.7
		default:
			em += 0.58
		}
	}
	return em * size * 1.04
}

// fit cuts a text until it is at most width pixels wide.
func fit(s string, size, width float64) string {
	if textWidth(s, size) <= width {
		return s
	}
	g := graphemes(cut(s, 100))
	for n := len(g) - 1; n > 0; n-- {
		if t := strings.Join(g[:n], "") + "…"; textWidth(t, size) <= width {
			return t
		}
	}
	return "…"
}
