package tokenizer

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/pkoukk/tiktoken-go"
	loader "github.com/pkoukk/tiktoken-go-loader"
)

// oracle is an independent implementation of the same encoding.
var oracle = sync.OnceValue(func() *tiktoken.Tiktoken {
	tiktoken.SetBpeLoader(loader.NewOfflineLoader())
	o, err := tiktoken.GetEncoding("r50k_base")
	if err != nil {
		panic(err)
	}
	return o
})

// checkOracle compares one valid text.
func checkOracle(t *testing.T, text string) {
	t.Helper()
	for special, allowed := range map[bool][]string{false: nil, true: {"all"}} {
		got := GPT2().encode(text, special)
		var want []int32
		for _, id := range oracle().Encode(text, allowed, []string{}) {
			want = append(want, int32(id))
		}
		if at, ok := firstDifference(got, want); !ok {
			t.Fatalf("special %v: token %d of %q differs: %v, want %v", special, at, text, got, want)
		}
	}
}

// alphabet mixes what the pattern distinguishes, so that its boundaries fall everywhere.
var alphabet = []string{" ", " ", "  ", "\n", "\t", "\r\n", "\u00A0", "\u0085", "\u1680", "\u2003", "\u2028", "\u202F", "\u205F",
	"\u3000", "\u180E", "\u200B", "\uFEFF", "\x1c", "\x1f", "\x00", "\v", "'", "'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "’s", "a", "th", "The",
	"ing", "é", "e\u0301", "ß", "я", "ع", "中", "あ", "한", "ʼ", "ª", "1", "2024", "²", "½", "٣", "Ⅷ", "〇", ".", "...", "!?", "-", "_", "$", "(", "\"",
	"€", "😀", "👩\u200D💻", "🇨🇭", "\U000E0041", "\uFFFD", "<|endoftext|>", "<|endof", "aaaa", "=====", "word", "Zürich"}

func TestAgainstOracle(t *testing.T) {
	n := 20_000
	if testing.Short() {
		n = 2_000
	}
	r := rand.New(rand.NewPCG(3, 4))
	for range n {
		var b strings.Builder
		for range 1 + r.IntN(12) {
			b.WriteString(alphabet[r.IntN(len(alphabet))])
		}
		checkOracle(t, b.String())
	}
	for range n / 10 { // any code points, assigned or not
		runes := make([]rune, 1+r.IntN(12))
		for i := range runes {
			runes[i] = rune(r.IntN(1 << (4 + r.IntN(17))))
		}
		checkOracle(t, string(runes))
	}
}

// Every code point alone, doubled, and between others: its class decides.
func TestEveryCodePointAgainstOracle(t *testing.T) {
	step := rune(1)
	if testing.Short() {
		step = 97
	}
	for r := rune(0); r <= utf8.MaxRune; r += step {
		if 0xD800 <= r && r < 0xE000 {
			continue
		}
		if s := string(r); r < 0x3100 || r%64 == 0 || r > 0xFB00 && r < 0x10000 {
			checkOracle(t, "a"+s+"  "+s+"1 "+s+s+"!"+s)
		}
	}
}

func TestCacheOverflow(t *testing.T) {
	tok, r := GPT2(), rand.New(rand.NewPCG(5, 6))
	words := make([]string, maxCachedWords+5000)
	for i := range words {
		b := []byte(" ........")
		for j := 1; j < len(b); j++ {
			b[j] = 'a' + byte(r.IntN(26))
		}
		words[i] = string(b)
	}
	text := strings.Join(words, "")
	first := tok.Encode(text)
	if again := tok.Encode(text); !slices.Equal(first, again) || string(tok.Decode(first)) != text {
		t.Fatal("the second encoding differs")
	}
	e := <-tok.idle
	if len(e.words) > maxCachedWords {
		t.Fatalf("%d words cached, limit %d", len(e.words), maxCachedWords)
	}
	var fresh []int32
	for _, w := range words[:200] {
		fresh = new(merger).apply(tok, fresh, w)
	}
	if !slices.Equal(fresh, first[:len(fresh)]) {
		t.Fatal("cached and fresh tokens differ")
	}
}

func TestTimeAndMemory(t *testing.T) {
	tok := GPT2()
	// Quadratic time would be minutes here; n log n is a tenth of a second.
	start := time.Now()
	for _, unit := range []string{"a", "internationalization", "\xff", "é", "="} {
		text := strings.Repeat(unit, 400_000/len(unit))
		if got := string(tok.Decode(tok.Encode(text))); got != text {
			t.Fatalf("%d times %q does not come back", len(text)/len(unit), unit)
		}
	}
	special := strings.Repeat(EndOfText+"a", 20_000)
	if n := len(tok.EncodeSpecial(special)); n != 40_000 {
		t.Fatalf("%d tokens", n)
	}
	if d := time.Since(start); d > 20*time.Second {
		t.Errorf("long pieces took %v", d)
	}
	const sentence = "Data visualization empowers users to explore what a model does."
	if n := testing.AllocsPerRun(100, func() { tok.Encode(sentence) }); n > 1 {
		t.Errorf("%v allocations for a known sentence, want the result only", n)
	}
}

func FuzzEncode(f *testing.F) {
	for _, s := range alphabet {
		f.Add("x" + s + s + "y " + s)
	}
	f.Add("\xff\xfe a\xe2\x82 \xf0\x9f\x98")
	f.Fuzz(func(t *testing.T, text string) {
		tok := GPT2()
		ids, offsets := tok.EncodeOffsets(text, false)
		if got := string(tok.Decode(ids)); got != text {
			t.Fatalf("%q came back as %q", text, got)
		}
		for i, id := range ids {
			if id == tok.EOT() {
				t.Fatalf("plain text %q gave the special token", text)
			}
			if text[offsets[i][0]:offsets[i][1]] != tok.tokens[id] {
				t.Fatalf("%q: token %d is not at %v", text, id, offsets[i])
			}
		}
		if got := string(tok.Decode(tok.EncodeSpecial(text))); got != text {
			t.Fatalf("with special tokens, %q came back as %q", text, got)
		}
		if got, want := Valid(text), strings.ToValidUTF8(text, ""); !utf8.ValidString(got) || strings.ReplaceAll(got, "\uFFFD", "") != strings.ReplaceAll(want, "\uFFFD", "") {
			t.Fatalf("Valid(%q) is %q", text, got)
		}
		if utf8.ValidString(text) && len(text) < 1000 {
			checkOracle(t, text)
		}
	})
}
