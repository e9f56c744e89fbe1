package sugarme

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	library "github.com/sugarme/tokenizer"
	"github.com/sugarme/tokenizer/normalizer"

	"github.com/etredal/cross-layer-transcoder/gpt2/tokenizer"
)

// All texts of the reference, through the library.
func TestGolden(t *testing.T) {
	f, err := os.Open(filepath.Join("..", "testdata", "encode.jsonl.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	tk, n := GPT2(), 0
	s := bufio.NewScanner(z)
	s.Buffer(nil, 1<<24)
	for s.Scan() {
		var c struct {
			Cat, Text string
			IDs       []int
		}
		if err := json.Unmarshal(s.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		if n++; len(c.Text) > 20_000 && testing.Short() {
			continue
		}
		e := encode(t, tk, c.Text)
		if !slices.Equal(e.Ids, c.IDs) {
			t.Fatalf("%s: %.80q gives %v, want %v", c.Cat, c.Text, e.Ids, c.IDs)
		}
		checkOffsets(t, c.Text, e)
		if got := tk.Decode(e.Ids, false); got != c.Text {
			t.Fatalf("%s: %.80q comes back as %.80q", c.Cat, c.Text, got)
		}
	}
	if n < 1000 {
		t.Fatalf("%d texts", n)
	}
}

// checkOffsets checks that each token's bytes stand where its offsets say, one after the other.
func checkOffsets(t *testing.T, text string, e *library.Encoding) {
	t.Helper()
	at := 0
	for i, o := range e.Offsets {
		if o[0] != at || o[1] > len(text) || text[o[0]:o[1]] != string(tokenizer.GPT2().Decode([]int32{int32(e.Ids[i])})) {
			t.Fatalf("%.80q: token %d, %q, is said to be at %v", text, i, e.Tokens[i], o)
		}
		at = o[1]
	}
	if at != len(text) {
		t.Fatalf("%.80q: the tokens end at %d of %d", text, at, len(text))
	}
}

func TestPairs(t *testing.T) {
	tk := GPT2()
	for _, c := range [][2]string{{"a\n\nb", " c\u00A0d"}, {"", "x"}, {"x", ""}, {"x<|endoftext|>", "<|endoftext|>y"}, {"😀", "😀"}} {
		e := encodePair(t, tk, c[0], c[1])
		first, second := want(c[0]), want(c[1])
		if !slices.Equal(e.Ids, slices.Concat(first, second)) {
			t.Errorf("%q: %v", c, e.Ids)
		}
		for i := range e.Ids {
			sequence, offset := 0, i
			if i >= len(first) {
				sequence, offset = 1, i-len(first)
			}
			if e.TypeIds[i] != sequence {
				t.Errorf("%q: token %d has type %d", c, i, e.TypeIds[i])
			}
			if got, ok := e.Token2Sequence(i); !ok || got != sequence {
				t.Errorf("%q: token %d is of text %d", c, i, got)
			}
			if offset == 0 && e.Offsets[i][0] != 0 {
				t.Errorf("%q: text %d begins at %v", c, sequence, e.Offsets[i])
			}
		}
	}
}

func TestTruncation(t *testing.T) {
	const text = "one two three four five six seven eight nine ten"
	full := want(text)
	for _, stride := range []int{0, 1, 3} {
		tk := GPT2()
		tk.WithTruncation(&library.TruncationParams{MaxLength: 4, Strategy: library.LongestFirst, Stride: stride})
		tk.WithPadding(&library.PaddingParams{Strategy: *library.NewPaddingStrategy(library.WithFixed(6)), Direction: library.Right, PadId: 50256, PadToken: tokenizer.EndOfText})
		e := encode(t, tk, text)
		if !slices.Equal(e.Ids, append(full[:4:4], 50256, 50256)) || !slices.Equal(e.AttentionMask, []int{1, 1, 1, 1, 0, 0}) {
			t.Errorf("stride %d: %v, mask %v", stride, e.Ids, e.AttentionMask)
		}
		at := 4 - stride
		for i, o := range e.Overflowing {
			part := full[at:min(at+4, len(full))]
			if at += 4 - stride; !slices.Equal(o.Ids[:len(part)], part) {
				t.Errorf("stride %d: part %d is %v, want %v", stride, i+1, o.Ids, part)
			}
		}
		if at < len(full)-stride {
			t.Errorf("stride %d: the parts end at token %d of %d", stride, at, len(full))
		}
	}
	tk := GPT2()
	tk.WithTruncation(&library.TruncationParams{MaxLength: 5, Strategy: library.OnlySecond})
	if e := encodePair(t, tk, "one two", text); !slices.Equal(e.Ids, slices.Concat(want("one two"), full[:3])) {
		t.Errorf("OnlySecond: %v", e.Ids)
	}
}

func TestBatch(t *testing.T) {
	tk, r := GPT2(), rand.New(rand.NewPCG(1, 2))
	words := []string{"a", "\n", "\n\n", " ", "  ", "\u2003", "=====", "é", "👩\u200D💻", "'s", "2024", tokenizer.EndOfText, "word"}
	var texts []string
	var inputs []library.EncodeInput
	longest := 0
	for range 300 {
		var b strings.Builder
		for range r.IntN(20) {
			b.WriteString(words[r.IntN(len(words))])
		}
		texts = append(texts, b.String())
		inputs = append(inputs, library.NewSingleEncodeInput(library.NewInputSequence(b.String())))
		longest = max(longest, len(want(b.String())))
	}
	tk.WithPadding(&library.PaddingParams{Strategy: *library.NewPaddingStrategy(), Direction: library.Right, PadId: 50256, PadToken: tokenizer.EndOfText})
	all, err := tk.EncodeBatch(inputs, false)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range all {
		ids := want(texts[i])
		if len(e.Ids) != longest || !slices.Equal(e.Ids[:len(ids)], ids) {
			t.Fatalf("%q: %v, want %v", texts[i], e.Ids, ids)
		}
		for j, id := range e.Ids[len(ids):] {
			if id != 50256 || e.AttentionMask[len(ids)+j] != 0 {
				t.Fatalf("%q: padded with %d, mask %v", texts[i], id, e.AttentionMask)
			}
		}
	}
}

// noAccents is a normalizer.
type noAccents struct{}

func (noAccents) Normalize(n *normalizer.NormalizedString) (*normalizer.NormalizedString, error) {
	return n.NFD().RemoveAccents(), nil
}

// With a normalizer, pieces and ids are of the changed text and offsets of the given one.
func TestNormalizer(t *testing.T) {
	tk := GPT2()
	tk.WithNormalizer(noAccents{})
	const text = "naïve café"
	e := encode(t, tk, text)
	if !slices.Equal(e.Ids, want("naive cafe")) {
		t.Fatalf("%q", e.Tokens)
	}
	if last := e.Offsets[len(e.Offsets)-1]; last[1] != len(text) {
		t.Errorf("the last token ends at %d of %d: %v", last[1], len(text), e.Offsets)
	}
}

// The parts alone: without a PreTokenizer, without special tokens, from many goroutines.
func TestParts(t *testing.T) {
	gpt := tokenizer.GPT2()
	bare := library.NewTokenizer(NewModel(gpt))
	if e := encode(t, bare, "a\n\nb  c\u2003d"); !slices.Equal(e.Ids, want("a\n\nb  c\u2003d")) {
		t.Errorf("without a PreTokenizer: %v", e.Ids)
	}
	plain := library.NewTokenizer(NewModel(gpt))
	plain.WithPreTokenizer(NewPreTokenizer(gpt, false))
	if e := encode(t, plain, "a<|endoftext|>"); len(e.Ids) != 8 {
		t.Errorf("plain text: %v", e.Ids)
	}
	m := NewModel(gpt)
	if vocab := m.GetVocab(); len(vocab) != 50257 || m.GetVocabSize() != 50257 || vocab["Ġthe"] != 262 || vocab[tokenizer.EndOfText] != 50256 {
		t.Errorf("%d tokens", len(vocab))
	} else if vocab["new"] = 1; len(m.GetVocab()) != 50257 {
		t.Error("GetVocab gives out the model's own map")
	}
	for _, id := range []int{-1, 50257, 1 << 40} {
		if token, ok := m.IdToToken(id); ok {
			t.Errorf("id %d is %q", id, token)
		}
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if tokens, err := m.Tokenize("one two three"); err != nil || len(tokens) != 3 {
					t.Errorf("%v, %v", tokens, err)
				}
			}
		})
	}
	wg.Wait()
	if err := m.Save(t.TempDir(), "../x"); err == nil {
		t.Error("a prefix with a folder in it is taken")
	}
}

// Several special tokens, some of which contain others.
func TestSpecials(t *testing.T) {
	tok, err := tokenizer.Train(slices.Values([]string{"aaa bbb abab"}), tokenizer.TrainConfig{VocabSize: 270, Special: []string{tokenizer.EndOfText, "<a>", "<a>b", "<c d>"}})
	if err != nil {
		t.Fatal(err)
	}
	tk, r := New(tok), rand.New(rand.NewPCG(3, 4))
	words := []string{tokenizer.EndOfText, "<a>", "<a>b", "<c d>", "a", "b", " ", "<"}
	for range 500 {
		var b strings.Builder
		for range r.IntN(40) {
			b.WriteString(words[r.IntN(len(words))])
		}
		text := b.String()
		var ids []int
		for _, id := range tok.EncodeSpecial(text) {
			ids = append(ids, int(id))
		}
		e := encode(t, tk, text)
		if !slices.Equal(e.Ids, ids) {
			t.Fatalf("%q: %q, want %v", text, e.Tokens, ids)
		}
		if got := tk.Decode(e.Ids, false); got != text {
			t.Fatalf("%q comes back as %q", text, got)
		}
	}
	if got := tk.Decode([]int{int(tok.EOT()), int(tok.Encode("a")[0])}, true); got != "a" {
		t.Errorf("without special tokens: %q", got)
	}
}
