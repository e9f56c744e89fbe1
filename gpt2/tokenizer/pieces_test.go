package tokenizer

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// randomText strings elements of the alphabet together.
func randomText(r *rand.Rand, n int) string {
	var b strings.Builder
	for range n {
		b.WriteString(alphabet[r.IntN(len(alphabet))])
	}
	return b.String()
}

// Pieces must be what Encode works on: encoded one by one they give the same tokens, and a piece is not cut again.
func TestPieces(t *testing.T) {
	tok, r := GPT2(), rand.New(rand.NewPCG(7, 8))
	for range 3000 {
		text := randomText(r, 1+r.IntN(12))
		for _, special := range []bool{false, true} {
			var ids []int32
			var all strings.Builder
			for piece, id := range tok.Pieces(text, special) {
				all.WriteString(piece)
				if id >= 0 {
					if piece != EndOfText || id != tok.EOT() {
						t.Fatalf("%q: special piece %q has id %d", text, piece, id)
					}
					ids = append(ids, id)
					continue
				}
				ids = append(ids, tok.Encode(piece)...)
				for again := range tok.Pieces(piece, false) {
					if again != piece {
						t.Fatalf("piece %q of %q is cut again, into %q", piece, text, again)
					}
				}
			}
			if all.String() != text || !slices.Equal(ids, tok.encode(text, special)) {
				t.Fatalf("special %v: the pieces of %q give %v, the text %v", special, text, ids, tok.encode(text, special))
			}
		}
	}
	n := 0
	for range tok.Pieces("a b<|endoftext|>c d", true) {
		if n++; n == 3 {
			break
		}
	}
	if n != 3 {
		t.Errorf("%d pieces after a break at 3", n)
	}
}

func TestNames(t *testing.T) {
	tok := GPT2()
	for id, want := range map[int32]string{0: "!", 220: "Ġ", 262: "Ġthe", 198: "Ċ", 50256: EndOfText, -1: "", 50257: ""} {
		if got := tok.Name(id); got != want {
			t.Errorf("Name(%d) is %q, want %q", id, got, want)
		}
	}
	if got := tok.Specials(); !slices.Equal(got, []string{EndOfText}) {
		t.Errorf("Specials() is %q", got)
	}
}

func TestEncodeBatch(t *testing.T) {
	tok, r := GPT2(), rand.New(rand.NewPCG(9, 10))
	for _, n := range []int{0, 1, 2, 7, 700} {
		texts := make([]string, n)
		for i := range texts {
			texts[i] = randomText(r, r.IntN(30))
		}
		for _, special := range []bool{false, true} {
			got := tok.EncodeBatch(texts, special)
			if len(got) != n {
				t.Fatalf("%d results for %d texts", len(got), n)
			}
			for i, text := range texts {
				if !slices.Equal(got[i], tok.encode(text, special)) {
					t.Fatalf("text %d of %d, %q: %v", i, n, text, got[i])
				}
			}
		}
	}
}

func TestAppendEncode(t *testing.T) {
	tok := GPT2()
	const text = "Data visualization empowers users to explore what a model does. \u00A0 What's that, then?"
	want := append([]int32{7}, tok.Encode(text)...)
	dst := make([]int32, 0, 64)
	if got := tok.AppendEncode(append(dst, 7), text); !slices.Equal(got, want) {
		t.Fatalf("%v, want %v", got, want)
	}
	if n := testing.AllocsPerRun(200, func() { dst = tok.AppendEncode(dst[:0], text) }); n > 0 {
		t.Errorf("%v allocations with room in dst, want none", n)
	}
}
