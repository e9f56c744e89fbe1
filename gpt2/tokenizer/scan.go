package tokenizer

import (
	"unicode"
	"unicode/utf8"
)

// class is what the pattern distinguishes.
type class uint8

const (
	symbol class = iota // [^\s\p{L}\p{N}]
	letter              // \p{L}
	number              // \p{N}
	space               // \s: Unicode's White_Space
)

// ascii is the class of each byte below 0x80.
var ascii = func() (table [utf8.RuneSelf]class) {
	for b := range table {
		table[b] = classOf(rune(b))
	}
	return table
}()

// classOf returns the class of a code point.
func classOf(r rune) class {
	switch {
	case unicode.IsLetter(r):
		return letter
	case unicode.IsNumber(r):
		return number
	case unicode.IsSpace(r):
		return space
	}
	return symbol
}

// classAt returns the class and width of the character at text[i:], which is not empty. A byte that is not part of
// valid UTF-8 is a symbol of width 1.
func classAt(text string, i int) (class, int) {
	if b := text[i]; b < utf8.RuneSelf {
		return ascii[b], 1
	}
	r, n := utf8.DecodeRuneInString(text[i:])
	if r == utf8.RuneError && n == 1 {
		return symbol, 1
	}
	return classOf(r), n
}

// nextPiece returns the end of the piece of text that begins at i < len(text).
func nextPiece(text string, i int) int {
	if text[i] == '\'' {
		if n := contraction(text[i+1:]); n > 0 {
			return i + 1 + n
		}
	}
	c, n := classAt(text, i)
	if text[i] == ' ' && i+1 < len(text) {
		if after, m := classAt(text, i+1); after != space {
			c, n = after, 1+m
		}
	}
	if c == space {
		return spaceEnd(text, i, n)
	}
	for j := i + n; j < len(text); {
		// Inlined classAt: this loop is where the time goes.
		if b := text[j]; b < utf8.RuneSelf {
			if ascii[b] != c {
				return j
			}
			j++
			continue
		}
		after, m := classAt(text, j)
		if after != c {
			return j
		}
		j += m
	}
	return len(text)
}

// spaceEnd returns the end of the white-space piece that begins at i with a character of width n: the whole run at
// the end of the text (\s+(?!\S)), otherwise the run without its last character, which goes to the next piece,
// unless it is the only one (\s+).
func spaceEnd(text string, i, n int) int {
	last := i // start of the run's last character
	for j := i + n; j < len(text); {
		c, m := classAt(text, j)
		if c != space {
			if last > i {
				return last
			}
			return j
		}
		last = j
		j += m
	}
	return len(text)
}

// contraction returns the length of the s, t, re, ve, m, ll or d that text begins with, or 0.
func contraction(text string) int {
	if text == "" {
		return 0
	}
	switch text[0] {
	case 's', 't', 'm', 'd':
		return 1
	}
	if len(text) > 1 {
		switch text[:2] {
		case "re", "ve", "ll":
			return 2
		}
	}
	return 0
}
