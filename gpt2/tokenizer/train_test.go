package tokenizer

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// corpus makes n sentences of a small language.
func corpus(n int) []string {
	r := rand.New(rand.NewPCG(1, 2))
	names := []string{"Mira", "Tobias", "Zuzana", "Okonkwo"}
	verbs := []string{"sees", "follows", "remembers", "understands"}
	var out []string
	for range n {
		out = append(out, fmt.Sprintf("%s %s %s's %d cats.<|endoftext|>", names[r.IntN(4)], verbs[r.IntN(4)], names[r.IntN(4)], r.IntN(30)))
	}
	return out
}

// slowTrain is the definition: count all pairs anew for each merge.
func slowTrain(texts []string, size, least int) []string {
	counts := countPieces(slices.Values(texts), []string{EndOfText})
	tokens := bytesInOrder()
	words := map[string][]string{}
	for piece := range counts {
		words[piece] = strings.Split(piece, "")
	}
	id := func(s string) int32 { return int32(slices.Index(tokens, s)) }
	for len(tokens) < size-1 {
		pairs := map[[2]string]int64{}
		for piece, parts := range words {
			for i := 1; i < len(parts); i++ {
				pairs[[2]string{parts[i-1], parts[i]}] += counts[piece]
			}
		}
		var best [2]string
		for p, n := range pairs {
			b := pairs[best]
			if n > b || n == b && pairKey(id(p[0]), id(p[1])) < pairKey(id(best[0]), id(best[1])) {
				best = p
			}
		}
		if pairs[best] < int64(least) {
			break
		}
		for piece, parts := range words {
			var out []string
			for i := 0; i < len(parts); i++ {
				if i+1 < len(parts) && parts[i] == best[0] && parts[i+1] == best[1] {
					out = append(out, best[0]+best[1])
					i++
				} else {
					out = append(out, parts[i])
				}
			}
			words[piece] = out
		}
		if joined := best[0] + best[1]; !slices.Contains(tokens, joined) {
			tokens = append(tokens, joined)
		}
	}
	return append(tokens, EndOfText)
}

func TestTrainAgainstDefinition(t *testing.T) {
	texts := append(corpus(50), "aaaaaaa aaaa aabaab", strings.Repeat("abab", 9))
	for _, size := range []int{257, 280, 400} {
		got, err := Train(slices.Values(texts), TrainConfig{VocabSize: size})
		if err != nil {
			t.Fatal(err)
		}
		if want := slowTrain(texts, size, 2); !slices.Equal(got.tokens, want) {
			t.Errorf("size %d: tokens %q, want %q", size, got.tokens[256:], want[256:])
		}
		if got.EOT() != int32(got.Size()-1) {
			t.Errorf("EOT %d of %d", got.EOT(), got.Size())
		}
	}
}

func TestTrainIsDeterministicAndRoundTrips(t *testing.T) {
	texts := corpus(400)
	cfg := TrainConfig{VocabSize: 340, Require: []string{" Constantinople", "Mira", " <=>", " Zuzana", " remembers"}}
	var first []byte
	for i := range 4 {
		input := texts
		if i == 3 {
			input = []string{strings.Join(texts, "")} // cut elsewhere, same pieces
		}
		tok, err := Train(slices.Values(input), cfg)
		if err != nil {
			t.Fatal(err)
		}
		vocab, merges := tok.Files()
		all := append(vocab, merges...)
		if first == nil {
			first = all
		} else if !bytes.Equal(first, all) {
			t.Fatal("two trainings differ")
		}
		if tok.Size() > cfg.VocabSize {
			t.Fatalf("%d tokens, want at most %d", tok.Size(), cfg.VocabSize)
		}
		again, err := FromFiles(tok.Files())
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range append(texts, cfg.Require...) {
			ids := tok.EncodeSpecial(text)
			if !slices.Equal(ids, again.EncodeSpecial(text)) || tok.DecodeString(ids) != text {
				t.Fatalf("%q: %v, read back %v", text, ids, again.EncodeSpecial(text))
			}
		}
		for _, w := range cfg.Require {
			if ids := tok.Encode(w); len(ids) != 1 || tok.Text(ids[0]) != w {
				t.Errorf("%q is %d tokens", w, len(ids))
			}
		}
	}
}

func TestRequireManyWords(t *testing.T) {
	// Words that share beginnings and ends, in a vocabulary with little room.
	var require []string
	for _, a := range []string{"ab", "abc", "bc", "cab", "c"} {
		for _, b := range []string{"abc", "ca", "bb", "aaaa"} {
			require = append(require, " "+a+b, a+b)
		}
	}
	for size := 300; size <= 420; size += 3 {
		tok, err := Train(slices.Values(corpus(100)), TrainConfig{VocabSize: size, Require: require})
		if err != nil {
			if !strings.Contains(err.Error(), "raise it to at least") || size > 400 {
				t.Fatalf("size %d: %v", size, err)
			}
			continue
		}
		for _, w := range require {
			if ids := tok.Encode(w); len(ids) != 1 {
				t.Fatalf("size %d: %q is %d tokens", size, w, len(ids))
			}
		}
		if tok.Size() > size || tok.Size() < size-40 && size < 360 {
			t.Fatalf("size %d: %d tokens", size, tok.Size())
		}
	}
}

func TestTrainRefusals(t *testing.T) {
	for want, cfg := range map[string]TrainConfig{
		"VocabSize is 256":     {VocabSize: 256},
		"MinFrequency is -1":   {VocabSize: 300, MinFrequency: -1},
		`special token "a"`:    {VocabSize: 300, Special: []string{"a"}},
		`given twice`:          {VocabSize: 300, Special: []string{"<a>", "<a>"}},
		`not one piece`:        {VocabSize: 300, Require: []string{"two words"}},
		`required word ""`:     {VocabSize: 300, Require: []string{""}},
		"also an ordinary":     {VocabSize: 300, Special: []string{"Mira"}, Require: []string{"Mira"}},
		"raise it to at least": {VocabSize: 260, Require: []string{"Constantinople"}},
	} {
		if _, err := Train(slices.Values(corpus(3)), cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	tok, err := Train(slices.Values([]string(nil)), TrainConfig{VocabSize: 1000, Special: []string{}})
	if err != nil || tok.Size() != 256 || tok.EOT() != -1 {
		t.Errorf("empty corpus: %v, %v", tok, err)
	}
}
