package tokenizer

import "strings"

const (
	maxCachedPiece = 64      // bytes; longer pieces are rare and would fill the memory
	maxCachedWords = 1 << 16 // pieces; the cache is emptied when it has so many
)

// encoder holds what one goroutine needs while it encodes: buffers, and the tokens of the pieces it has met.
type encoder struct {
	merger merger
	words  map[string]span
	ids    []int32 // the tokens of all cached pieces
}

// span is a range of encoder.ids.
type span struct{ begin, end uint32 }

func newEncoder() *encoder { return &encoder{words: map[string]span{}} }

// encode appends the tokens of text, read as plain text, to dst.
func (e *encoder) encode(t *Tokenizer, dst []int32, text string) []int32 {
	for i := 0; i < len(text); {
		end := nextPiece(text, i)
		piece := text[i:end]
		i = end
		if s, ok := e.words[piece]; ok {
			dst = append(dst, e.ids[s.begin:s.end]...)
			continue
		}
		n := len(dst)
		dst = e.merger.apply(t, dst, piece)
		if len(piece) <= maxCachedPiece {
			e.remember(piece, dst[n:])
		}
	}
	return dst
}

func (e *encoder) remember(piece string, ids []int32) {
	if len(e.words) >= maxCachedWords {
		clear(e.words)
		e.ids = e.ids[:0]
	}
	begin := uint32(len(e.ids))
	e.ids = append(e.ids, ids...)
	e.words[strings.Clone(piece)] = span{begin, uint32(len(e.ids))}
}
