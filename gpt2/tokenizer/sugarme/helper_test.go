package sugarme

import (
	"slices"
	"strings"
	"sync"
	"testing"

	library "github.com/sugarme/tokenizer"
	"github.com/sugarme/tokenizer/pretokenizer"
	"github.com/sugarme/tokenizer/processor"

	"github.com/etredal/cross-layer-transcoder/gpt2/tokenizer"
)

// plainMerges stands for the library's own model: it takes the printable spelling, which the library's PreTokenizer
// gives, and applies the merges, though rightly (bpe_test.go tests the library's).
type plainMerges struct {
	*Model
	rank map[string]int // of "left right"
}

func newPlainMerges() plainMerges {
	_, merges := tokenizer.GPT2().Files()
	m := plainMerges{NewModel(tokenizer.GPT2()), map[string]int{}}
	for i, line := range strings.Split(string(merges), "\n") {
		m.rank[line] = i
	}
	return m
}

func (m plainMerges) Tokenize(text string) ([]library.Token, error) {
	parts := strings.Split(text, "")
	for {
		at, best := -1, len(m.rank)
		for i := range len(parts) - 1 {
			if r, ok := m.rank[parts[i]+" "+parts[i+1]]; ok && r < best {
				at, best = i, r
			}
		}
		if at < 0 {
			break
		}
		parts = slices.Concat(parts[:at], []string{parts[at] + parts[at+1]}, parts[at+2:])
	}
	var out []library.Token
	n := 0
	for _, p := range parts {
		id, _ := m.TokenToId(p)
		out = append(out, library.NewToken(id, p, []int{n, n + len(p)}))
		n += len(p)
	}
	return out, nil
}

var theirModel = sync.OnceValue(newPlainMerges)

// own is GPT-2 in the library's own parts, set up as well as can be.
func own() *library.Tokenizer {
	b := pretokenizer.NewByteLevel()
	b.SetAddPrefixSpace(false)
	b.SetTrimOffsets(false)
	tk := library.NewTokenizer(theirModel())
	tk.WithPreTokenizer(b)
	tk.WithPostProcessor(processor.NewByteLevelProcessing(b))
	tk.WithDecoder(b)
	tk.AddSpecialTokens([]library.AddedToken{library.NewAddedToken(tokenizer.EndOfText, true)})
	return tk
}

func encode(t *testing.T, tk *library.Tokenizer, text string) *library.Encoding {
	t.Helper()
	e, err := tk.EncodeSingle(text)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return e
}

func encodePair(t *testing.T, tk *library.Tokenizer, text, pair string) *library.Encoding {
	t.Helper()
	e, err := tk.EncodePair(text, pair)
	if err != nil {
		t.Fatalf("%q, %q: %v", text, pair, err)
	}
	return e
}

// want are the right ids, as the library has them.
func want(text string) []int {
	var out []int
	for _, id := range tokenizer.GPT2().EncodeSpecial(text) {
		out = append(out, int(id))
	}
	return out
}
