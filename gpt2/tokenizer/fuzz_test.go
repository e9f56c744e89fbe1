package tokenizer

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

// fuzzFiles are a small vocabulary and its merges.
var fuzzFiles = sync.OnceValues(func() (vocab, merges []byte) {
	tok, err := Train(slices.Values(corpus(5)), TrainConfig{VocabSize: 270, Special: []string{EndOfText}})
	if err != nil {
		panic(err)
	}
	return tok.Files()
})

// checkLoaded checks what came of a file: an error for people, or a tokenizer that loses nothing and that can be
// written and read again.
func checkLoaded(t *testing.T, tok *Tokenizer, err error) {
	t.Helper()
	if err != nil {
		if tok != nil || !strings.HasPrefix(err.Error(), "tokenizer: ") || strings.Contains(err.Error(), "\n") {
			t.Fatalf("error %q", err)
		}
		return
	}
	const text = "It's a <|endoftext|>\n\n  test\u00A0of é\xff 1234"
	ids := tok.Encode(text)
	if got := string(tok.Decode(ids)); got != text {
		t.Fatalf("%q comes back as %q", text, got)
	}
	for _, id := range append(ids, tok.EncodeSpecial(text)...) {
		if id < 0 || int(id) >= tok.Size() {
			t.Fatalf("id %d of %d", id, tok.Size())
		}
	}
	vocab, merges := tok.Files()
	again, err := FromFiles(vocab, merges)
	if err != nil {
		t.Fatalf("its own files: %v", err)
	}
	if !slices.Equal(again.EncodeSpecial(text), tok.EncodeSpecial(text)) {
		t.Fatal("its own files give other tokens")
	}
}

func FuzzVocab(f *testing.F) {
	vocab, merges := fuzzFiles()
	f.Add(vocab)
	for _, change := range [][2]string{{": 3,", ": 4,"}, {": 3,", ": 3000,"}, {": 3,", ": -3,"}, {": 3,", ": 3.5,"}, {`"a"`, `"b"`}, {`"a"`, `""`},
		{`"a"`, `"\u0000"`}, {"}", ", \"\\ud800\": 271}"}, {"}", ", \"new special\": 271}"}, {"}", ""}, {"{", "[{"}} {
		f.Add(bytes.Replace(vocab, []byte(change[0]), []byte(change[1]), 1))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		tok, err := FromFiles(data, merges)
		checkLoaded(t, tok, err)
		// The same vocabulary in the other file.
		tok, err = FromTokenizerJSON(fmt.Appendf(nil, `{"pre_tokenizer":{"type":"ByteLevel"},"model":{"type":"BPE","vocab":%s,"merges":[]}}`, data))
		checkLoaded(t, tok, err)
	})
}

func FuzzMerges(f *testing.F) {
	vocab, merges := fuzzFiles()
	f.Add(merges)
	for _, s := range []string{"", "#version: 0.2\n", "a b", "Ġ Ġ\r\nĠĠ Ġ\n", "a  b\n", " a\n", "#version: 0.2\n#version: 0.2\n", "a b c\n", "\xff \xfe\n"} {
		f.Add([]byte(s))
	}
	f.Add(append(slices.Clone(merges), merges...))
	f.Fuzz(func(t *testing.T, data []byte) {
		tok, err := FromFiles(vocab, data)
		checkLoaded(t, tok, err)
	})
}
