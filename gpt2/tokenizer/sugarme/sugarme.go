package sugarme

import (
	"github.com/sugarme/tokenizer/normalizer"

	library "github.com/sugarme/tokenizer"

	"github.com/etredal/cross-layer-transcoder/gpt2/tokenizer"
)

// GPT2 returns GPT-2's own tokenizer, which is built in.
func GPT2() *library.Tokenizer { return New(tokenizer.GPT2()) }

// New returns a tokenizer of the library that gives t's tokens. As everywhere in the library, special tokens in a text
// count as such; for texts in which <|endoftext|> is plain text, put NewPreTokenizer(t, false) and NewModel(t)
// together instead.
func New(t *tokenizer.Tokenizer) *library.Tokenizer {
	m := NewModel(t)
	tk := library.NewTokenizer(m)
	tk.WithPreTokenizer(NewPreTokenizer(t, true))
	tk.WithPostProcessor(PostProcessor{})
	tk.WithDecoder(NewDecoder(m))
	var added []library.AddedToken
	for _, s := range t.Specials() {
		added = append(added, library.NewAddedToken(s, true))
	}
	if len(added) > 0 {
		tk.AddSpecialTokens(added)
	}
	return tk
}

// PreTokenizer cuts a text with GPT-2's scanner. It implements the library's interface of that name.
type PreTokenizer struct {
	t       *tokenizer.Tokenizer
	special bool
}

// NewPreTokenizer returns the scanner of t. With special, special tokens that the library has not found itself are
// pieces of their own; otherwise they are plain text.
func NewPreTokenizer(t *tokenizer.Tokenizer, special bool) *PreTokenizer {
	return &PreTokenizer{t, special}
}

// PreTokenize cuts what has no tokens yet. It never fails.
func (p *PreTokenizer) PreTokenize(text *library.PreTokenizedString) (*library.PreTokenizedString, error) {
	return text.Split(p.split), nil
}

func (p *PreTokenizer) split(_ int, n *normalizer.NormalizedString) []library.SplitIdx {
	text := n.GetNormalized()
	unchanged := text == n.GetOriginal()
	var out []library.SplitIdx
	at := 0
	for piece, id := range p.t.Pieces(text, p.special) {
		end := at + len(piece)
		var part *normalizer.NormalizedString
		if !unchanged { // by a normalizer, which knows what became of each character
			part = n.Slice(normalizer.NewRange(at, end, normalizer.NormalizedTarget))
		}
		if part == nil {
			part = bytewise(piece, n.Shift()+at)
		}
		s := library.SplitIdx{Normalized: part}
		if id >= 0 {
			s.Tokens = []library.Token{library.NewToken(int(id), piece, []int{0, len(piece)})}
		}
		out = append(out, s)
		at = end
	}
	return out
}

// bytewise is a piece whose offsets are kept by byte. The library keeps them by character, so that the tokens of one
// character could not be told apart.
func bytewise(piece string, shift int) *normalizer.NormalizedString {
	return normalizer.NewNormalizedString(piece, piece, identity(len(piece)), identity(len(piece)), shift)
}

// identity is [[0 1] [1 2] ...].
func identity(n int) [][]int {
	numbers := make([]int, 2*n)
	out := make([][]int, n)
	for i := range out {
		pair := numbers[2*i : 2*i+2 : 2*i+2]
		pair[0], pair[1] = i, i+1
		out[i] = pair
	}
	return out
}
