package world

import (
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// scanner is the pre-token expression of GPT-2 without its look-ahead, which
// matters only for runs of spaces.
var scanner = regexp.MustCompile(`'s|'t|'re|'ve|'m|'ll|'d| ?\pL+| ?\pN+| ?[^\s\pL\pN]+|\s+`)

func TestWordsAreSinglePreTokens(t *testing.T) {
	words := New(1).Words()
	if len(words) > 700 {
		t.Errorf("%d words, want at most 700", len(words))
	}
	for i, word := range words {
		if word[0] != ' ' || scanner.FindString(word) != word {
			t.Errorf("%q is not one pre-token with a leading space", word)
		}
		if i > 0 && words[i-1] >= word {
			t.Errorf("%q and %q are not sorted or not distinct", words[i-1], word)
		}
	}
	for _, word := range []string{" 0", " 99", " A", " Z", " .", " ,", " (", " )", " is", " are"} {
		if !slices.Contains(words, word) {
			t.Errorf("%q is missing", word)
		}
	}
}

func TestListsAreWellFormed(t *testing.T) {
	if len(people) != perCountry*len(atlas) {
		t.Errorf("%d people, want %d per country in %d countries", len(people), perCountry, len(atlas))
	}
	var capitals, countries []string
	for _, c := range atlas {
		capitals, countries = append(capitals, c.capital), append(countries, c.name)
	}
	for name, list := range map[string][]string{"people": people, "capitals": capitals, "countries": countries, "foods": foods,
		"nouns": nouns, "places": places, "opposites": opposites, "events": events,
		"organisations": slices.Concat(firstWords, secondWords, thirdWords)} {
		sorted := slices.Sorted(slices.Values(list))
		if d := slices.Compact(slices.Clone(sorted)); len(d) != len(list) {
			t.Errorf("%s: a word occurs twice in %v", name, sorted)
		}
	}
	for i := 0; i < len(nouns); i += 2 {
		if nouns[i][:2] != nouns[i+1][:2] || nouns[i+1][len(nouns[i+1])-1] != 's' {
			t.Errorf("%q is not the plural of %q", nouns[i+1], nouns[i])
		}
	}
}

// TestNamesMeanOneThing: a person, country, city or language is nothing else,
// so that a token tells its kind.
func TestNamesMeanOneThing(t *testing.T) {
	kinds := map[string]string{}
	claim := func(kind string, words ...string) {
		for _, word := range words {
			if other := kinds[word]; other != "" && other != kind {
				t.Errorf("%q is both %s and %s", word, other, kind)
			}
			kinds[word] = kind
		}
	}
	claim("person", people...)
	for _, c := range atlas {
		claim("country", c.name)
		claim("city", c.capital)
		claim("language", c.language)
	}
	claim("food", foods...)
	claim("noun", nouns...)
	claim("place", places...)
	claim("organisation", slices.Concat(firstWords, secondWords, thirdWords)...)
	claim("event", events...)
	claim("adjective", opposites...)
}

func TestDeterminism(t *testing.T) {
	text := func(world, seed uint64) string {
		return strings.Join(slices.Collect(New(world).Texts(seed, 50)), "\n")
	}
	first := text(3, 5)
	if again := text(3, 5); first != again {
		t.Error("equal seeds, different texts")
	}
	if first == text(3, 6) || first == text(4, 5) {
		t.Error("different seeds, equal texts")
	}
	a, b := New(3).Behaviours(), New(3).Behaviours()
	for i := range a {
		if !slices.EqualFunc(slices.Concat(a[i].Seen, a[i].HeldOut), slices.Concat(b[i].Seen, b[i].HeldOut), func(x, y Case) bool {
			return x.Prompt == y.Prompt && slices.Equal(x.Answers, y.Answers) && slices.Equal(x.Among, y.Among)
		}) {
			t.Errorf("%s: cases differ between two equal worlds", a[i].Name)
		}
	}
	if !slices.Equal(New(3).Prompts(), New(3).Prompts()) || !slices.Equal(New(3).Words(), New(3).Words()) {
		t.Error("prompts or words differ between two equal worlds")
	}
	// What a seed meant yesterday, it means today: models are trained on it.
	if got, want := New(1).CountryOf("Anna")+" "+New(1).FoodOf("Anna"), "Kenya apples"; got != want {
		t.Errorf("world 1 has moved: Anna has %s, had %s", got, want)
	}
}

func TestTextIsMadeOfWords(t *testing.T) {
	w := New(2)
	known := map[string]bool{}
	for _, word := range w.Words() {
		known[word] = true
	}
	used := map[string]bool{}
	n := 0
	for text := range w.Texts(9, 4000) {
		n++
		got := scanner.FindAllString(text, -1)
		if len(got) < DocumentWords || len(got) > DocumentWords+25 {
			t.Fatalf("document of %d words: %q", len(got), text)
		}
		for _, word := range got {
			if !known[word] {
				t.Fatalf("%q is not in Words, in %q", word, text)
			}
			used[word] = true
		}
	}
	if n != 4000 {
		t.Errorf("%d documents, want 4000", n)
	}
	for word := range known {
		if !used[word] && (len(word) != 2 || word[1] < 'A' || word[1] > 'Z') {
			t.Errorf("%q is in Words, never in the text", word)
		}
	}
}

func TestSentenceLength(t *testing.T) {
	w := New(1)
	r := rand.New(rand.NewPCG(1, 1))
	sum := 0
	for range 20000 {
		s := w.Sentence(r)
		words := strings.Count(s, " ")
		if sum += words; words < 4 || words > 18 || !strings.HasSuffix(s, " .") || s[0] != ' ' || strings.Contains(s, "  ") {
			t.Fatalf("sentence of %d words: %q", words, s)
		}
	}
	t.Logf("%.2f words a sentence", float64(sum)/20000)
}

func TestFrequencies(t *testing.T) {
	w := New(1)
	total := 0
	for _, share := range w.Mix() {
		total += share.Percent
	}
	if total != 100 {
		t.Errorf("shares add up to %d percent", total)
	}
	const n = 100000
	r := rand.New(rand.NewPCG(1, 2))
	count := map[string]int{}
	var b strings.Builder
	for range n {
		b.Reset()
		count[w.write(&b, r).name]++
	}
	for _, share := range w.Mix() {
		got := 100 * float64(count[share.Sort]) / n
		if got < float64(share.Percent)-0.5 || got > float64(share.Percent)+0.5 {
			t.Errorf("%s: %.2f percent of sentences, documented %d", share.Sort, got, share.Percent)
		}
	}
	if len(slices.Collect(maps.Keys(count))) != len(w.Mix()) {
		t.Errorf("sorts drawn: %v", count)
	}
}

func TestDocumentedShares(t *testing.T) {
	doc := readDoc(t)
	for _, share := range New(1).Mix() {
		row := regexp.MustCompile(`(?m)^//\t` + share.Sort + `\s+(\d+)\s`).FindStringSubmatch(doc)
		if row == nil || row[1] != number(share.Percent) {
			t.Errorf("doc.go does not say %s %d: %q", share.Sort, share.Percent, row)
		}
	}
}
