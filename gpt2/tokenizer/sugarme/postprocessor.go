package sugarme

import (
	"slices"

	library "github.com/sugarme/tokenizer"
)

// PostProcessor joins the two texts of a pair and marks which token is whose. GPT-2 has no tokens around a text, so it
// adds none. It implements the library's interface of that name.
type PostProcessor struct{}

// AddedTokens returns 0.
func (PostProcessor) AddedTokens(pair bool) int { return 0 }

// Process marks the tokens of the two texts and joins them; pair may be nil. What truncation cut off is kept apart from
// what it left, so that padding the one does not write over the other.
func (PostProcessor) Process(text, pair *library.Encoding, addSpecialTokens bool) *library.Encoding {
	mark(text, 0)
	if pair == nil {
		return text
	}
	mark(pair, 1)
	if text.IsEmpty() {
		return pair
	}
	return text.MergeWith(pair, false)
}

// mark says that all tokens of an encoding belong to one text, and gives its lists memory of their own.
func mark(e *library.Encoding, sequence int) {
	e.SequenceRanges = map[int]library.Range{}
	e.SetSequenceIds(sequence)
	e.TypeIds = make([]int, e.Len())
	for i := range e.TypeIds {
		e.TypeIds[i] = sequence
	}
	e.Ids, e.Tokens, e.Words = slices.Clone(e.Ids), slices.Clone(e.Tokens), slices.Clone(e.Words)
	e.Offsets = slices.Clone(e.Offsets)
	e.SpecialTokenMask, e.AttentionMask = slices.Clone(e.SpecialTokenMask), slices.Clone(e.AttentionMask)
	for i := range e.Overflowing {
		mark(&e.Overflowing[i], sequence)
	}
}
