package tokenizer

import (
	"strings"
	"testing"
	"time"
)

// 100 KB without a space are one piece. Done by going through all pairs for every
// merge they would take minutes; the bound leaves room for a busy machine.
func TestLongPiecesAreNotQuadratic(t *testing.T) {
	tok := GPT2()
	for _, unit := range []string{"a", "internationalization", "注意力", "\x00", "!"} {
		text := strings.Repeat(unit, 100_000/len(unit)+1)[:100_000]
		best := time.Hour
		for range 3 {
			begin := time.Now()
			ids := tok.Encode(text)
			best = min(best, time.Since(begin))
			if got := tok.Decode(ids); len(unit) == 1 && string(got) != text {
				t.Errorf("%q: decoding gives another text", unit)
			}
		}
		t.Logf("%q: %s", unit, best.Round(time.Millisecond))
		if best > time.Second {
			t.Errorf("%q repeated to 100 KB takes %s", unit, best)
		}
	}
}
