package world

import (
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
)

// DocumentWords is the length that [World.Texts] aims at: with
// <|endoftext|> in front and one token per word, a document fills a context of
// 64 and may be cut there.
const DocumentWords = 63

// Share is how often a sort of sentence occurs.
type Share struct {
	Sort    string
	Percent int // of sentences
}

// Mix lists the sorts of sentences with their shares, which add up to 100.
func (w *World) Mix() []Share {
	var out []Share
	for _, s := range w.sorts {
		out = append(out, Share{s.name, s.weight})
	}
	return out
}

// Sentence draws one sentence. It begins with a space and ends with " .".
func (w *World) Sentence(r *rand.Rand) string {
	var b strings.Builder
	w.write(&b, r)
	return b.String()
}

// write appends a sentence and returns its sort.
func (w *World) write(b *strings.Builder, r *rand.Rand) *sort {
	s := w.pickSort(r)
	t := pick(r, s.templates)
	t.fill(b, w.draw(s, r, false))
	return s
}

func (w *World) pickSort(r *rand.Rand) *sort {
	n := r.IntN(w.total)
	for _, s := range w.sorts {
		if n -= s.weight; n < 0 {
			return s
		}
	}
	panic("world: weights do not add up")
}

func (w *World) draw(s *sort, r *rand.Rand, held bool) slots {
	if s.draw != nil {
		return s.draw(w, r, held)
	}
	if held {
		return pick(r, w.heldOut[s])
	}
	return tell(r, w.space[s])
}

// Document draws sentences until there are at least approxWords words, and at
// least one sentence. The last sentence is whole.
func (w *World) Document(r *rand.Rand, approxWords int) string {
	var b strings.Builder
	for words := 0; ; {
		start := b.Len()
		w.write(&b, r)
		if words += strings.Count(b.String()[start:], " "); words >= approxWords {
			return b.String()
		}
	}
}

// Texts yields n documents of about [DocumentWords] words. Document i depends
// on the world, the seed and i alone.
func (w *World) Texts(seed uint64, n int) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range n {
			if !yield(w.Document(rand.New(rand.NewPCG(seed, uint64(i))), DocumentWords)) {
				return
			}
		}
	}
}

// Corpus returns whole documents in a row, at least the given number of bytes,
// to train a tokenizer on.
func (w *World) Corpus(seed uint64, bytes int) string {
	var b strings.Builder
	for i := uint64(0); b.Len() < bytes; i++ {
		b.WriteString(w.Document(rand.New(rand.NewPCG(seed, i)), DocumentWords))
	}
	return b.String()
}

// Words lists every word with its leading space, sorted: what a tokenizer must
// keep whole. The numbers 0 to 99 and the letters A to Z are all there.
func (w *World) Words() []string {
	set := map[string]bool{}
	for _, s := range w.sorts {
		for _, t := range s.templates {
			for _, p := range t {
				if p.text != "" {
					set[p.text] = true
				}
			}
		}
	}
	add := func(words ...string) {
		for _, word := range words {
			set[" "+word] = true
		}
	}
	for _, c := range atlas {
		add(c.name, c.capital, c.language)
	}
	for _, list := range [][]string{people, foods, nouns, prepositions, looks, places, opposites, firstWords, secondWords, thirdWords, events, {"is", "are"}} {
		add(list...)
	}
	for n := range numbers {
		add(number(n))
	}
	for c := 'A'; c <= 'Z'; c++ {
		add(string(c))
	}
	out := make([]string, 0, len(set))
	for word := range set {
		out = append(out, word)
	}
	slices.Sort(out)
	return out
}
