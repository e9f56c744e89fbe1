package viz

import (
	"fmt"
	"html"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Tokens, prompts and labels are other people's text. Everything that reaches
// a page goes through visible (no character that is illegal, invisible or able
// to reorder its neighbours; no more than fits a page) and then through the escape
// of its context.

const endOfText = "<|endoftext|>"

// named are the characters that must never be written raw.
var named = map[rune]string{
	'\n': "↵", '\t': "⇥", '\r': "␍", 0x7F: "␡",
	0xAD: "⟨SHY⟩", 0x61C: "⟨ALM⟩", 0x180E: "⟨MVS⟩", 0x200B: "⟨ZWSP⟩", 0x200C: "⟨ZWNJ⟩", 0x200D: "⟨ZWJ⟩",
	0x200E: "⟨LRM⟩", 0x200F: "⟨RLM⟩", 0x2028: "⟨LS⟩", 0x2029: "⟨PS⟩", 0x202A: "⟨LRE⟩", 0x202B: "⟨RLE⟩",
	0x202C: "⟨PDF⟩", 0x202D: "⟨LRO⟩", 0x202E: "⟨RLO⟩", 0x2060: "⟨WJ⟩", 0x2066: "⟨LRI⟩", 0x2067: "⟨RLI⟩",
	0x2068: "⟨FSI⟩", 0x2069: "⟨PDI⟩", 0xFEFF: "⟨BOM⟩",
}

// longText is how many bytes of one text are shown; longer ones lose their middle.
const longText = 8192

// visible replaces what cannot be shown by a glyph: control characters,
// invisible and reordering ones, bytes that are no UTF-8. Spaces stay.
func visible(s string) string {
	if len(s) > longText {
		s = cut(s, longText/8)
	}
	var b strings.Builder
	prev := rune(0)
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, "⟨%02X⟩", s[i])
		case r == 0x200D && joinsEmoji(prev, s[i+n:]):
			b.WriteRune(r)
		case named[r] != "":
			b.WriteString(named[r])
		case r < 0x20:
			b.WriteRune(0x2400 + r)
		case mustHide(r):
			fmt.Fprintf(&b, "⟨%02X⟩", r)
		default:
			b.WriteRune(r)
		}
		prev = r
		i += n
	}
	return b.String()
}

// Visible is a text in one line in which every control character, and every character
// that is invisible or moves its neighbours, is a glyph: what a page or a terminal may
// show of other people's text. It is not escaped, and loses its middle if it is long.
func Visible(text string) string { return visible(text) }

// mustHide: C1 controls, format characters without a name of their own,
// non-characters (illegal in XML or HTML), private use.
func mustHide(r rune) bool {
	return r >= 0x80 && r < 0xA0 || r&0xFFFE == 0xFFFE || r >= 0xFDD0 && r <= 0xFDEF ||
		unicode.In(r, unicode.Cf, unicode.Co, unicode.Cs)
}

// joinsEmoji keeps the zero-width joiner inside emoji sequences.
func joinsEmoji(prev rune, rest string) bool {
	next, _ := utf8.DecodeRuneInString(rest)
	return (isEmoji(prev) || prev == 0xFE0F) && isEmoji(next)
}

func isEmoji(r rune) bool {
	return r >= 0x1F000 && r <= 0x1FAFF || r >= 0x2190 && r <= 0x2BFF
}

// glyph is a token in running text: " Dallas" stays " Dallas", a newline is
// "↵", blanks are "␣", the special token is ⟨BOS⟩ at position 0, else ⟨EOT⟩.
func glyph(token string, pos int) string {
	if token == endOfText {
		if pos == 0 {
			return "⟨BOS⟩"
		}
		return "⟨EOT⟩"
	}
	if token == "" {
		return "∅"
	}
	if n := len(token); strings.Trim(token, " ") == "" {
		if n > 4 {
			return "␣×" + strconv.Itoa(n)
		}
		return strings.Repeat("␣", n)
	}
	return visible(token)
}

// short cuts a text to 24 graphemes: the first 14, an ellipsis, the last 8.
func short(s string) string { return cut(s, 24) }

// cut shortens to at most n graphemes, keeping more of the start than the end. A
// text of any length costs no more than its ends do.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	tail := (n - 1) * 8 / 23
	const most = 40 // bytes of a grapheme: an emoji family has 25, a heap of accents any number
	if len(s) <= 2*most*n {
		g := graphemes(s)
		if len(g) <= n {
			return strings.Join(capped(g, most), "")
		}
		return strings.Join(capped(g[:n-1-tail], most), "") + "…" + strings.Join(capped(g[len(g)-tail:], most), "")
	}
	from := len(s) - most*n
	for from < len(s) && !utf8.RuneStart(s[from]) && len(s)-from > most { // a lone byte may be no start
		from++
	}
	head, end := graphemes(s[:most*n]), graphemes(s[from:])
	head = head[:min(len(head), n-1-tail)]
	end = end[max(0, len(end)-tail):]
	return strings.Join(capped(head, most), "") + "…" + strings.Join(capped(end, most), "")
}

// capped cuts graphemes of more than most bytes.
func capped(g []string, most int) []string {
	for i, s := range g {
		if k := most; len(s) > k {
			for k > 0 && !utf8.RuneStart(s[k]) {
				k--
			}
			g[i] = s[:k]
		}
	}
	return g
}

// quoted is a token in tables, titles and logs: a Go string literal in which
// every invisible character is an escape, cut to 80 graphemes.
func quoted(token string) string {
	token = cut(token, 200)
	return visible(cut(strconv.Quote(token), 80))
}

// esc is text for an HTML or XML element or a double-quoted attribute.
func esc(s string) string { return html.EscapeString(visible(s)) }

// inSVG is a token in a picture: a leading space becomes a raised dot.
func inSVG(token string, pos int) string {
	g := glyph(token, pos)
	if strings.HasPrefix(g, " ") && len(g) > 1 {
		g = "·" + g[1:]
	}
	return g
}

// mdCode is a token inside a Markdown table: a code span whose fence is longer
// than any run of backticks within.
func mdCode(s string) string {
	s = strings.ReplaceAll(visible(s), "|", "\\|")
	run, longest := 0, 0
	for _, r := range s {
		if r == '`' {
			run++
			longest = max(longest, run)
		} else {
			run = 0
		}
	}
	fence := strings.Repeat("`", longest+1)
	pad := ""
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") || strings.TrimSpace(s) == "" {
		pad = " "
	}
	return fence + pad + s + pad + fence
}

// mdText is plain text in Markdown: anything that could start markup or HTML
// is escaped.
func mdText(s string) string {
	var b strings.Builder
	for _, r := range visible(s) {
		if strings.ContainsRune("\\`*_[]<>|#$~&{}!", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}
