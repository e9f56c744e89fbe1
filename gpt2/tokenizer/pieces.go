package tokenizer

import (
	"iter"
	"slices"
)

// Pieces cuts a text as Encode does, before any merge: it yields each piece with -1 and, when special, each special
// token with its id. The pieces follow each other without a gap.
func (t *Tokenizer) Pieces(text string, special bool) iter.Seq2[string, int32] {
	return func(yield func(string, int32) bool) {
		plain := func(from, to int) bool {
			for part := text[:to]; from < to; {
				end := nextPiece(part, from)
				if !yield(text[from:end], -1) {
					return false
				}
				from = end
			}
			return true
		}
		from := 0
		if special {
			for c := newCutter(text, t.specials); ; {
				at, name := c.find(from)
				if name == "" {
					break
				}
				if !plain(from, at) || !yield(name, t.special[name]) {
					return
				}
				from = at + len(name)
			}
		}
		plain(from, len(text))
	}
}

// Specials returns the special tokens, the longest first.
func (t *Tokenizer) Specials() []string { return slices.Clone(t.specials) }

// Name returns how vocab.json spells a token: bytes that cannot be seen as other characters (Ġ for a space), special
// tokens as they are. An id outside the vocabulary has no name.
func (t *Tokenizer) Name(id int32) string {
	if id < 0 || int(id) >= len(t.tokens) {
		return ""
	}
	return t.name(id)
}
