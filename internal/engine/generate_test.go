package engine

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/gpt2/tokenizer"
)

// Whatever tokens come, parts of characters among them, each text that is told is the
// beginning of the next and of the whole: it can be written as it comes.
func TestGrowingTextGrows(t *testing.T) {
	tok := tokenizer.GPT2()
	m := &gpt2.Model{Tokenizer: tok}
	r := rand.New(rand.NewPCG(1, 2))
	bytesOfEmoji := tok.Encode("🙂ß漢é\u200d👩")
	for range 300 {
		prompt := tok.Encode("The ")
		g, all, last := newGrowing(m, prompt), prompt, ""
		for range 1 + r.IntN(12) {
			id := int32(r.IntN(256)) // single bytes
			switch r.IntN(3) {
			case 0:
				id = bytesOfEmoji[r.IntN(len(bytesOfEmoji))]
			case 1:
				id = int32(r.IntN(tok.Size()))
			}
			all = append(all, id)
			g.told = time.Time{}
			text := g.add(id)
			if !strings.HasPrefix(text, last) || !strings.HasPrefix(tok.DecodeString(all), text) {
				t.Fatalf("%q after %q, of %q", text, last, tok.DecodeString(all))
			}
			if b := tok.Decode(all); utf8.Valid(b) && text != string(b) {
				t.Fatalf("%q of %q, which ends with a whole character", text, b)
			}
			last = text
		}
	}
	if g := newGrowing(m, nil); g.add(1) == "" || g.add(2) != "" {
		t.Error("the text is told at every token")
	}
	if g := newGrowing(&gpt2.Model{}, nil); g.add(1) != "" {
		t.Error("text without a tokenizer")
	}
}
