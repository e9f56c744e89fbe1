package tokenizer

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"unicode/utf8"
)

// EndOfText is the text of GPT-2's special token.
const EndOfText = "<|endoftext|>"

// Tokenizer encodes and decodes. It may be used from several goroutines at once.
type Tokenizer struct {
	tokens   []string         // bytes of each token, by id
	ids      map[string]int32 // id of each token that is not special, by its bytes
	byteID   [256]int32
	merges   []merge // by rank
	pairs    *pairTable
	special  map[string]int32
	specials []string      // longest first
	idle     chan *encoder // encoders not in use, with their caches
}

// newTokenizer puts a tokenizer together and checks it. tokens are the bytes of every id, special those ids that no
// merge makes; merges are in rank order.
func newTokenizer(tokens []string, merges []merge, special map[string]int32) (*Tokenizer, error) {
	t := &Tokenizer{tokens: tokens, merges: merges, special: special, ids: make(map[string]int32, len(tokens)),
		pairs: newPairTable(len(merges)), idle: make(chan *encoder, runtime.GOMAXPROCS(0))}
	if _, ok := special[""]; ok {
		return nil, fmt.Errorf("tokenizer: an empty special token; remove it")
	}
	t.specials = longestFirst(slices.Collect(maps.Keys(special)))
	for id, token := range tokens {
		if s, ok := special[token]; ok && int(s) == id {
			continue
		}
		if other, ok := t.ids[token]; ok {
			return nil, fmt.Errorf("tokenizer: ids %d and %d are both %q; the vocabulary is damaged", other, id, token)
		}
		t.ids[token] = int32(id)
	}
	for b := range t.byteID {
		id, ok := t.ids[string([]byte{byte(b)})]
		if !ok {
			return nil, fmt.Errorf("tokenizer: byte 0x%02x has no token; is it the vocabulary of a byte-level tokenizer?", b)
		}
		t.byteID[b] = id
	}
	for rank, m := range merges {
		if !t.pairs.add(m, int32(rank)) {
			return nil, fmt.Errorf("tokenizer: merge %d, %q with %q, is listed twice; the merge list is damaged",
				rank, tokens[m.left], tokens[m.right])
		}
	}
	return t, nil
}

// Size returns the number of tokens; ids are 0 to Size-1.
func (t *Tokenizer) Size() int { return len(t.tokens) }

// EOT returns the id of <|endoftext|>, or -1 when the vocabulary has none.
func (t *Tokenizer) EOT() int32 {
	if id, ok := t.special[EndOfText]; ok {
		return id
	}
	return -1
}

// ID returns the id of the token with exactly these bytes, special or not, and whether there is one.
func (t *Tokenizer) ID(token string) (int32, bool) {
	if id, ok := t.special[token]; ok {
		return id, true
	}
	id, ok := t.ids[token]
	return id, ok
}

// Encode returns the token ids of a text. <|endoftext|> in it is plain text.
func (t *Tokenizer) Encode(text string) []int32 { return t.encode(text, false) }

// EncodeSpecial is Encode with the texts of special tokens, such as <|endoftext|>, turned into their ids.
func (t *Tokenizer) EncodeSpecial(text string) []int32 { return t.encode(text, true) }

// EncodeOffsets is Encode, or EncodeSpecial when special, with the byte range [begin, end) in text of each token.
// Tokens that share one character have ranges within it; the ranges follow each other without a gap.
func (t *Tokenizer) EncodeOffsets(text string, special bool) (ids []int32, offsets [][2]int) {
	ids = t.encode(text, special)
	offsets = make([][2]int, len(ids))
	at := 0
	for i, id := range ids {
		offsets[i] = [2]int{at, at + len(t.tokens[id])}
		at = offsets[i][1]
	}
	return ids, offsets
}

func (t *Tokenizer) encode(text string, special bool) []int32 {
	if text == "" {
		return []int32{}
	}
	e := t.encoder()
	ids := make([]int32, 0, len(text)/3+8) // English has 3 to 5 bytes a token
	from := 0
	if special {
		for c := newCutter(text, t.specials); ; {
			at, name := c.find(from)
			if name == "" {
				break
			}
			ids = append(e.encode(t, ids, text[from:at]), t.special[name])
			from = at + len(name)
		}
	}
	ids = e.encode(t, ids, text[from:])
	t.putBack(e)
	return ids
}

// encoder takes an idle encoder, with its cache, or a new one.
func (t *Tokenizer) encoder() *encoder {
	select {
	case e := <-t.idle:
		return e
	default:
		return newEncoder()
	}
}

// putBack makes an encoder available again.
func (t *Tokenizer) putBack(e *encoder) {
	select {
	case t.idle <- e:
	default:
	}
}

// Decode returns the exact bytes of the tokens. An id outside the vocabulary becomes U+FFFD.
func (t *Tokenizer) Decode(ids []int32) []byte {
	n := 0
	for _, id := range ids {
		n += len(t.bytes(id))
	}
	out := make([]byte, 0, n)
	for _, id := range ids {
		out = append(out, t.bytes(id)...)
	}
	return out
}

func (t *Tokenizer) bytes(id int32) string {
	if id < 0 || int(id) >= len(t.tokens) {
		return "\uFFFD"
	}
	return t.tokens[id]
}

// Text returns one token for showing: its bytes through Valid, so that part of a character shows as U+FFFD.
func (t *Tokenizer) Text(id int32) string { return Valid(t.bytes(id)) }

// DecodeString returns the text of the tokens for showing: Decode through Valid.
func (t *Tokenizer) DecodeString(ids []int32) string { return Valid(string(t.Decode(ids))) }

// Valid returns text with each maximal part of a broken UTF-8 sequence replaced by one U+FFFD, as Python's
// errors="replace" and the Unicode standard (section 3.9, "Best Practices for Using U+FFFD") do. Valid text is
// returned as it is.
func Valid(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		if r == utf8.RuneError && n == 1 {
			n = brokenLength(text[i:])
		}
		b.WriteRune(r)
		i += n
	}
	return b.String()
}

// brokenLength returns how many bytes at the start of text, which is not valid UTF-8 there, are the beginning of some
// valid sequence (at least 1).
func brokenLength(text string) int {
	lo, hi, need := byte(0x80), byte(0xBF), 0
	switch b := text[0]; {
	case 0xC2 <= b && b <= 0xDF:
		need = 1
	case 0xE0 <= b && b <= 0xEF:
		need = 2
		if b == 0xE0 {
			lo = 0xA0 // shorter forms exist
		} else if b == 0xED {
			hi = 0x9F // surrogates
		}
	case 0xF0 <= b && b <= 0xF4:
		need = 3
		if b == 0xF0 {
			lo = 0x90
		} else if b == 0xF4 {
			hi = 0x8F // above U+10FFFF
		}
	}
	n := 1
	for n <= need && n < len(text) && lo <= text[n] && text[n] <= hi {
		lo, hi = 0x80, 0xBF
		n++
	}
	return n
}
