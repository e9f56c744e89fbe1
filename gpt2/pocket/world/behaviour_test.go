package world

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestCases(t *testing.T) {
	w := New(1)
	words := map[string]bool{}
	for _, word := range w.Words() {
		words[word] = true
	}
	plain := []string{"capital", "language", "home", "food"}
	least := map[string]int{"capital": 72, "language": 72, "opposite": 80} // the whole space
	for _, b := range w.Behaviours() {
		if n := len(b.Seen); n < 100 && n != least[b.Name] {
			t.Errorf("%s: %d seen cases", b.Name, n)
		}
		if (len(b.HeldOut) == 0) != slices.Contains(plain, b.Name) {
			t.Errorf("%s: %d held-out cases", b.Name, len(b.HeldOut))
		}
		if b.Chance <= 0 || b.Chance > 0.5 || b.Description == "" {
			t.Errorf("%s: chance %g, description %q", b.Name, b.Chance, b.Description)
		}
		prompts := map[string]bool{}
		for _, c := range slices.Concat(b.Seen, b.HeldOut) {
			if prompts[c.Prompt] {
				t.Errorf("%s: %q is asked twice", b.Name, c.Prompt)
			}
			prompts[c.Prompt] = true
			if n := strings.Count(c.Prompt, " "); n > 40 || c.Prompt[0] != ' ' || strings.HasSuffix(c.Prompt, " ") {
				t.Errorf("%s: prompt %q", b.Name, c.Prompt)
			}
			for word := range strings.FieldsSeq(c.Prompt + strings.Join(c.Answers, "") + strings.Join(c.Among, "")) {
				if !words[" "+word] {
					t.Errorf("%s: %q is not a word, in %q", b.Name, word, c.Prompt)
				}
			}
			if len(c.Answers) == 0 || !c.Right(c.Answers[0]) || c.Right(" ?") {
				t.Errorf("%s: answers %q", b.Name, c.Answers)
			}
			if c.Among != nil && (len(c.Among) != 2 || c.Among[0] == c.Among[1] || !slices.Contains(c.Among, c.Answers[0])) {
				t.Errorf("%s: %q among %q", b.Name, c.Answers, c.Among)
			}
		}
	}
}

// TestAnswers works the answers out again from the prompt's words and the
// fact methods.
func TestAnswers(t *testing.T) {
	for _, seed := range []uint64{1, 8} {
		w := New(seed)
		for _, b := range w.Behaviours() {
			for _, c := range slices.Concat(b.Seen, b.HeldOut) {
				if want := solve(w, b.Name, strings.Fields(c.Prompt)); want != strings.Join(c.Answers, "")[1:] {
					t.Errorf("%s: %q: answers %q, want %q", b.Name, c.Prompt, c.Answers, want)
				}
			}
		}
	}
}

// solve answers a prompt; several answers are joined by spaces.
func solve(w *World, behaviour string, p []string) string {
	last := p[len(p)-1]
	person, country := "", ""
	var digits []int
	var objects []string
	names := map[string]int{}
	for _, word := range p {
		if w.CountryOf(word) != "" {
			person = word
			names[word]++
		}
		if w.CapitalOf(word) != "" {
			country = word
		}
		if n, err := strconv.Atoi(word); err == nil {
			digits = append(digits, n)
		}
		if slices.Contains(nouns, word) {
			objects = append(objects, word)
		}
	}
	switch behaviour {
	case "capital":
		return w.CapitalOf(country)
	case "language", "hop":
		return w.LanguageOf(country)
	case "home":
		return w.CountryOf(person)
	case "food":
		return w.FoodOf(person)
	case "two-hop":
		return w.CapitalOf(w.CountryOf(person))
	case "two-hop-language":
		return w.LanguageOf(w.CountryOf(person))
	case "agreement":
		return map[int]string{0: "is", 1: "are"}[slices.Index(nouns, p[1])%2]
	case "successor":
		return strconv.Itoa(digits[0] + 1)
	case "addition", "two-digit-addition":
		return strconv.Itoa(digits[0] + digits[1])
	case "opposite":
		for _, word := range p {
			if o := w.OppositeOf(word); o != "" {
				return o
			}
		}
	case "induction":
		return objects[0]
	case "indirect-object":
		for name, n := range names {
			if n == 1 {
				return name
			}
		}
	case "acronym":
		open := slices.Index(p, "(")
		done := len(p) - open - 1
		return p[open-3+done][:1]
	case "greater-than":
		var later []string
		for n := 99; n > digits[1]; n-- {
			later = append(later, strconv.Itoa(n))
		}
		return strings.Join(later, " ")
	}
	return "no rule for " + behaviour + " " + last
}

// TestSeenIsSaid: the seen cases of small spaces do occur in the text.
func TestSeenIsSaid(t *testing.T) {
	w := New(1)
	wanted := map[string]string{}
	for _, b := range w.Behaviours() {
		if w.sortNamed(b.Name).all == nil {
			continue
		}
		for _, c := range b.Seen {
			wanted[c.Prompt+c.Answers[0]] = b.Name
		}
	}
	r := rand.New(rand.NewPCG(5, 5))
	for range 600_000 {
		s := strings.TrimSuffix(w.Sentence(r), " .")
		delete(wanted, s)
	}
	for s, name := range wanted {
		t.Errorf("%s: %q was never said", name, s)
	}
}

func TestPrompts(t *testing.T) {
	for seed := range uint64(30) {
		w := New(seed)
		have := map[string]bool{}
		rules := newRules(w)
		for _, p := range w.Prompts() {
			have[p.Behaviour] = true
			if words := strings.Fields(p.Text); len(words) > 40 || p.Text[0] != ' ' || p.Title == "" || p.Answer[0] != ' ' {
				t.Errorf("seed %d: %+v", seed, p)
			}
			if want := strings.Fields(solve(w, p.Behaviour, strings.Fields(p.Text))); !slices.Contains(want, p.Answer[1:]) {
				t.Errorf("seed %d: %q: answer %q, want %q", seed, p.Text, p.Answer, want)
			}
			if why := rules.breach(p.Text); why != "" {
				t.Errorf("seed %d: prompt %q: %s", seed, p.Text, why)
			}
		}
		for _, b := range w.Behaviours() {
			if !have[b.Name] {
				t.Errorf("seed %d: %s has no prompt", seed, b.Name)
			}
		}
	}
}

func TestGroups(t *testing.T) {
	w := New(1)
	if got := w.Group("language", "French"); !slices.Equal(got, []string{"France", "Senegal", "Gabon"}) {
		t.Errorf("French is spoken in %q", got)
	}
	for _, c := range w.Countries() {
		group := w.Group("country", c)
		if len(group) != perCountry {
			t.Errorf("%d people live in %s", len(group), c)
		}
		for _, p := range group {
			if w.CountryOf(p) != c || !slices.Contains(w.Group("speaker", w.LanguageOf(c)), p) {
				t.Errorf("%s is not of %s", p, c)
			}
		}
	}
	if got := w.Group("number", "plural"); len(got) != len(nouns)/2 || got[0] != "keys" {
		t.Errorf("plural nouns: %q", got)
	}
	if w.Group("letter", "Q") != nil || w.CountryOf("Nobody") != "" {
		t.Error("a stranger belongs somewhere")
	}
}

func TestParse(t *testing.T) {
	tp := parse("The $1 is | $0 , | not $1 .")
	s := slots{"cold", "hot"}
	var b strings.Builder
	tp.fill(&b, s)
	if b.String() != " The hot is cold , not hot ." || tp.answers() != 2 {
		t.Errorf("%q with %d answers", b.String(), tp.answers())
	}
	if p, a := tp.ask(s, 1); p != " The hot is cold ," || a != " not" {
		t.Errorf("second question %q, answer %q", p, a)
	}
	if m := regexp.MustCompile(`\$`).FindString(b.String()); m != "" {
		t.Error("a slot is left over")
	}
}
