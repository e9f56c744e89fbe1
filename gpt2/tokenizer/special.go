package tokenizer

import (
	"slices"
	"strings"
)

// cutter finds the special tokens of a text from left to right, in one pass for each of them.
type cutter struct {
	text     string
	specials []string // longest first
	next     []int    // where each occurs next; len(text) for nowhere
}

func newCutter(text string, specials []string) *cutter {
	c := &cutter{text: text, specials: specials, next: make([]int, len(specials))}
	for i := range c.next {
		c.next[i] = -1
	}
	return c
}

// find returns the first special token at or after from, the longest of those that begin there; at the end of the text
// the name is empty.
func (c *cutter) find(from int) (at int, name string) {
	at = len(c.text)
	for i, s := range c.specials {
		if c.next[i] < from {
			c.next[i] = len(c.text)
			if n := strings.Index(c.text[from:], s); n >= 0 {
				c.next[i] = from + n
			}
		}
		if c.next[i] < at {
			at, name = c.next[i], s
		}
	}
	return at, name
}

// longestFirst returns the names in the order in which the cutter wants them.
func longestFirst(names []string) []string {
	out := slices.Clone(names)
	slices.SortFunc(out, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	return out
}
