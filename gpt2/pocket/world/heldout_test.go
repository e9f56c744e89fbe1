package world

import (
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func readDoc(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestHeldOutNeverSaid reads a million sentences as text, without the
// generator's tables, and looks for what must not be there.
func TestHeldOutNeverSaid(t *testing.T) {
	n := 1_000_000
	if testing.Short() {
		n = 100_000
	}
	w := New(1)
	rules := newRules(w)
	r := rand.New(rand.NewPCG(77, 7))
	for range n {
		s := w.Sentence(r)
		if why := rules.breach(s); why != "" {
			t.Fatalf("%s: %q", why, s)
		}
	}
	for name, count := range rules.checked {
		if count < n/200 {
			t.Errorf("%s: looked at only %d of %d sentences; did a template change?", name, count, n)
		}
	}
}

// rules know the held-out combinations through the public interface: from the
// prompts of the held-out cases.
type rules struct {
	people  map[string]bool
	pairs   map[string]map[string]bool // behaviour -> held-out pairs
	checked map[string]int
}

var sumPatterns = []*regexp.Regexp{regexp.MustCompile(`^ (\d+) plus (\d+) `), regexp.MustCompile(`^ The sum of (\d+) and (\d+) `), regexp.MustCompile(`^ Adding (\d+) and (\d+) `)}

var pairPatterns = map[string][]*regexp.Regexp{
	"addition":           sumPatterns,
	"two-digit-addition": sumPatterns,
	"successor":          {regexp.MustCompile(`^ After (\d+)() comes`), regexp.MustCompile(`^ The number after (\d+)() is`)},
	"opposite":           {regexp.MustCompile(`^ The opposite of (\w+)() is`), regexp.MustCompile(`^ The word (\w+)() is`)},
	"agreement":          {regexp.MustCompile(`^ The (\w+) (?:near|behind|under|beside) the (\w+)`)},
	"acronym":            {regexp.MustCompile(`(?:^ The|at the) (\w+) (\w+) \w+ \(`)},
	"indirect-object":    {regexp.MustCompile(`^ (?:When|After|While) (\w+) and (\w+) (?:went|met|were)`)},
	"greater-than":       {regexp.MustCompile(`lasted from (\d+) (\d+) to`), regexp.MustCompile(`began in (\d+) (\d+) and`)},
}

var unordered = map[string]bool{"addition": true, "two-digit-addition": true, "indirect-object": true}

// pairOf returns the combination that a sentence or prompt tells of.
func pairOf(behaviour, s string) string {
	for _, p := range pairPatterns[behaviour] {
		if m := p.FindStringSubmatch(s); m != nil {
			if unordered[behaviour] && m[1] > m[2] {
				m[1], m[2] = m[2], m[1]
			}
			if behaviour == "agreement" {
				m[1], m[2] = lemma(m[1]), lemma(m[2])
			}
			return m[1] + " " + m[2]
		}
	}
	return ""
}

func lemma(noun string) string { return nouns[slices.Index(nouns, noun)/2*2] }

func newRules(w *World) *rules {
	r := &rules{people: map[string]bool{}, pairs: map[string]map[string]bool{}, checked: map[string]int{}}
	for _, p := range w.HeldOutPeople() {
		r.people[p] = true
	}
	for _, b := range w.Behaviours() {
		if pairPatterns[b.Name] == nil {
			continue
		}
		r.pairs[b.Name] = map[string]bool{}
		for _, c := range b.HeldOut {
			r.pairs[b.Name][pairOf(b.Name, c.Prompt)] = true
		}
	}
	// The samples above are not all: add the rest.
	for p := range w.heldMeets {
		r.pairs["indirect-object"][p[0]+" "+p[1]] = true
	}
	for p := range w.heldNouns {
		r.pairs["agreement"][nouns[2*p[0]]+" "+nouns[2*p[1]]] = true
	}
	for p := range w.heldOrgs {
		r.pairs["acronym"][firstWords[p[0]]+" "+secondWords[p[1]]] = true
	}
	for p := range w.heldYears {
		r.pairs["greater-than"][number(p[0])+" "+number(p[1])] = true
	}
	return r
}

var alone = regexp.MustCompile(`^ (The home of \w+ is|\w+ lives in|\w+ comes from|\w+ likes|The food that \w+ likes is) \w+ \.$`)

func (r *rules) breach(s string) string {
	for name := range r.pairs {
		if p := pairOf(name, s); p != "" {
			r.checked[name]++
			if r.pairs[name][p] {
				return fmt.Sprintf("%s: pair %q is held out", name, p)
			}
		}
	}
	for word := range strings.FieldsSeq(s) {
		if r.people[word] {
			r.checked["people"]++
			if !alone.MatchString(s) {
				return word + " is held out of this"
			}
		}
	}
	return ""
}

// TestHoldOutIsAFifth counts what is held out, and that every part is told.
func TestHoldOutIsAFifth(t *testing.T) {
	for seed := range uint64(20) {
		w := New(seed)
		held := map[string]int{}
		for _, p := range w.HeldOutPeople() {
			if held[w.CountryOf(p)]++; held[w.CountryOf(p)] > 1 {
				t.Errorf("seed %d: two people of %s are held out", seed, w.CountryOf(p))
			}
		}
		for name, x := range map[string][2]int{
			"people": {len(w.heldPeople), len(people)}, "sums": {len(w.heldSums), 55}, "large sums": {len(w.heldLarge), len(largeSums())}, "numbers": {len(w.heldNumber), 99},
			"opposites": {len(w.heldWord), len(opposites)}, "organisations": {len(w.heldOrgs), len(firstWords) * len(secondWords)},
			"years": {len(w.heldYears), (lastCentury - firstCentury + 1) * (lastYear - firstYear + 1)},
		} {
			if share := float64(x[0]) / float64(x[1]); share < 0.15 || share > 0.2001 {
				t.Errorf("seed %d: %d of %d %s are held out", seed, x[0], x[1], name)
			}
		}
		digits := map[string]bool{}
		for _, s := range ofSums(w, false) {
			digits[s[0]] = true
		}
		if len(digits) != 10 {
			t.Errorf("seed %d: only the digits %v are ever added", seed, digits)
		}
	}
}
