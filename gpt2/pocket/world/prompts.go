package world

import "slices"

// Prompt is a question worth showing, one whose circuit is worth a look.
type Prompt struct {
	Title     string // a few words
	Text      string // begins with a space, ends without one
	Answer    string // with its leading space; one of the right ones
	Behaviour string // name of the [Behaviour]
}

// Prompts lists demonstrations, at least one per behaviour. The combinations
// are told ones, so a model that learnt the world answers them.
func (w *World) Prompts() []Prompt {
	var out []Prompt
	add := func(title, behaviour string, template, answer int, values ...string) {
		s := w.sortNamed(behaviour)
		text, word := s.templates[template].ask(values, answer)
		out = append(out, Prompt{title, text, word, behaviour})
	}
	portrait := func(p string) []string { return w.portraits([]string{p})[0] }
	france, japan := w.acquaintances("France", "Japan")

	add("Capital of France", "capital", 0, 0, "France", "Paris", "French")
	add("Language of Brazil", "language", 1, 0, "Brazil", "Brasilia", "Portuguese")
	add("Home of "+japan, "home", 0, 0, portrait(japan)...)
	add("Food of "+france, "food", 0, 0, portrait(france)...)
	add("Language of a country in the sentence", "hop", 0, 0, portrait(france)...)
	add("Two hops: "+france+", France, Paris", "two-hop", 0, 0, portrait(france)...)
	add("Two hops: "+japan+", Japan, Tokyo", "two-hop", 1, 0, portrait(japan)...)
	add("Two hops: "+japan+", Japan, Japanese", "two-hop-language", 0, 0, portrait(japan)...)

	n := w.numberTold(41)
	add("After "+number(n), "successor", 0, 0, number(n), number(n+1))
	for _, p := range [][2]int{w.sumTold(3, 5), w.sumTold(8, 9)} {
		a, b := number(p[0]), number(p[1])
		add(a+" plus "+b, "addition", 0, 0, a, b, number(p[0]+p[1]))
	}
	for _, p := range [][2]int{w.largeTold(43, 8)} {
		a, b := number(p[0]), number(p[1])
		add(a+" plus "+b, "two-digit-addition", 0, 0, a, b, number(p[0]+p[1]))
	}
	c, y := w.yearsTold(17, 41)
	add("A year after "+number(c)+number(y), "greater-than", 0, 0, "war", number(c), number(y), number(y+17))
	one, many := w.nounsTold("key")
	add("Plural subject, singular distractor", "agreement", 0, 0, many[0], "near", one[1], "are", "old")
	add("Singular subject, plural distractor", "agreement", 0, 0, one[0], "near", many[1], "is", "old")
	word := w.wordTold("hot")
	add("Opposite of "+word, "opposite", 0, 0, word, w.opposite[word])
	a, b := w.orgTold("Global")
	add("Acronym, third letter", "acronym", 0, 2, a, b, "Group", a[:1], b[:1], "G")
	add("Induction", "induction", 0, 0, france, "lamp")
	add("Indirect object, second name gives", "indirect-object", 0, 0, france, japan, "shop", japan, "key", france)
	add("Indirect object, first name gives", "indirect-object", 0, 0, france, japan, "shop", france, "key", japan)
	return out
}

func (w *World) sortNamed(name string) *sort {
	i := slices.IndexFunc(w.sorts, func(s *sort) bool { return s.name == name })
	return w.sorts[i]
}

// acquaintances are the first inhabitants of two countries who may meet.
func (w *World) acquaintances(here, there string) (string, string) {
	for _, a := range w.told {
		for _, b := range w.told {
			if w.home[a].name == here && w.home[b].name == there && !w.heldMeets[[2]string{min(a, b), max(a, b)}] {
				return a, b
			}
		}
	}
	panic("world: nobody of " + here + " may meet anybody of " + there)
}

// The functions xTold return the first combination, from the wanted one on,
// that is not held out.

func (w *World) numberTold(n int) int {
	for w.heldNumber[n] {
		n++
	}
	return n
}

func (w *World) sumTold(a, b int) [2]int {
	for w.heldSums[[2]int{min(a, b), max(a, b)}] {
		b = (b + 1) % 10
		if b == 0 {
			a = (a + 1) % 10
		}
	}
	return [2]int{a, b}
}

func (w *World) largeTold(a, b int) [2]int {
	for w.heldLarge[[2]int{a, b}] {
		a++
	}
	return [2]int{a, b}
}

func (w *World) yearsTold(century, year int) (int, int) {
	for w.heldYears[[2]int{century, year}] {
		year++
	}
	return century, year
}

// nounsTold returns subject and distractor, singular and plural.
func (w *World) nounsTold(subject string) (one, many [2]string) {
	s := slices.Index(nouns, subject)
	for d := 0; ; d += 2 {
		if d != s && !w.heldNouns[[2]int{s / 2, d / 2}] {
			return [2]string{nouns[s], nouns[d]}, [2]string{nouns[s+1], nouns[d+1]}
		}
	}
}

func (w *World) wordTold(word string) string {
	for i := slices.Index(opposites, word); ; i += 2 {
		if !w.heldWord[opposites[i]] {
			return opposites[i]
		}
	}
}

func (w *World) orgTold(first string) (string, string) {
	i, j := slices.Index(firstWords, first), slices.Index(secondWords, "Data")
	for w.heldOrgs[[2]int{i, j}] {
		j = (j + 1) % len(secondWords)
	}
	return firstWords[i], secondWords[j]
}
