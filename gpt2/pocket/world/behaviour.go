package world

import (
	"math/rand/v2"
	"slices"
)

// maxCases is the most cases of one behaviour and split. A smaller space is
// listed in full.
const maxCases = 200

// Behaviour is something that the model should be able to do, with questions
// to ask it.
type Behaviour struct {
	Name        string  // a sort of sentence, see the package comment
	Description string  // what the answer is, in words
	Chance      float64 // accuracy of guessing among words of the right sort
	Seen        []Case  // words and combinations that occur in the text
	HeldOut     []Case  // combinations that never occur; nil for plain facts
}

// Case is one question.
type Case struct {
	Prompt  string   // begins with a space, ends without one
	Answers []string // right next words, each with its leading space
	Among   []string // the two words of a two-way choice, otherwise nil
}

// Right tells whether a model whose most probable next token is this word,
// with its leading space, answers right. All words of the vocabulary compete.
func (c Case) Right(word string) bool { return slices.Contains(c.Answers, word) }

// Behaviours lists the behaviours with their cases, in the order of the package
// comment's table or thereabouts; the same each time. Cases mix the templates
// and answer positions of a sort. There are 200 per split, or all if fewer.
func (w *World) Behaviours() []Behaviour {
	var out []Behaviour
	for i, s := range w.sorts {
		if s.description == "" {
			continue
		}
		r := rand.New(rand.NewPCG(w.seed, 100+uint64(i)))
		out = append(out, Behaviour{Name: s.name, Description: s.description, Chance: s.chance,
			Seen: w.cases(s, r, false), HeldOut: w.cases(s, r, true)})
	}
	return out
}

// cases lists or samples questions, without repeats.
func (w *World) cases(s *sort, r *rand.Rand, held bool) []Case {
	if s.all != nil {
		var out []Case
		for _, values := range s.all(w, held) {
			for _, t := range s.templates {
				for n := range t.answers() {
					out = append(out, s.ask(t, values, n))
				}
			}
		}
		return shuffled(r, out)[:min(len(out), maxCases)]
	}
	var out []Case
	seen := map[string]bool{}
	for len(out) < maxCases {
		t := pick(r, s.templates)
		c := s.ask(t, s.draw(w, r, held), r.IntN(t.answers()))
		if !seen[c.Prompt] {
			seen[c.Prompt] = true
			out = append(out, c)
		}
	}
	return out
}

// ask makes the question for the n-th answer of a template.
func (s *sort) ask(t template, values slots, n int) Case {
	prompt, answer := t.ask(values, n)
	c := Case{Prompt: prompt, Answers: []string{answer}}
	if s.accept != nil {
		c.Answers = s.accept(values)
	}
	if s.choices != nil {
		c.Among = s.choices(values)
	}
	return c
}
