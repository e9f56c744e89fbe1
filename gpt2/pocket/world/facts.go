package world

import "slices"

// CountryOf returns where a person lives, "" for a stranger. Words of the fact
// methods have no leading space.
func (w *World) CountryOf(person string) string { return w.home[person].name }

// CapitalOf returns a country's capital, "" for an unknown country.
func (w *World) CapitalOf(country string) string { return w.countries[country].capital }

// LanguageOf returns what is spoken in a country, "" for an unknown country.
func (w *World) LanguageOf(country string) string { return w.countries[country].language }

// FoodOf returns what a person likes, "" for a stranger.
func (w *World) FoodOf(person string) string { return w.food[person] }

// OppositeOf returns the opposite of an adjective, "" if it has none.
func (w *World) OppositeOf(word string) string { return w.opposite[word] }

// People lists everybody.
func (w *World) People() []string { return slices.Clone(people) }

// HeldOutPeople lists those who occur in home and food sentences alone.
func (w *World) HeldOutPeople() []string { return slices.Clone(w.heldPeople) }

// Countries lists the countries.
func (w *World) Countries() []string {
	var out []string
	for _, c := range atlas {
		out = append(out, c.name)
	}
	return out
}

// Group is a set of words that share something: the tokens on which a feature
// such as "lives in France" or "speaks French" should fire.
type Group struct {
	Relation string   // see [World.Groups]
	Value    string   // "France", "French", "plural", "G"
	Members  []string // without leading space
}

// Groups lists what belongs together, as ground truth for supernodes:
// "country" (people who live there), "language" (countries where it is
// spoken), "speaker" (people whose country speaks it), "food" (people who like
// it), "number" (nouns that are singular or plural), "letter" (words of
// organisations that begin with it).
func (w *World) Groups() []Group {
	var out []Group
	group := func(relation string, members []string, of func(string) string) {
		start := len(out)
		for _, m := range members {
			v := of(m)
			i := slices.IndexFunc(out[start:], func(g Group) bool { return g.Value == v })
			if i < 0 {
				i = len(out) - start
				out = append(out, Group{Relation: relation, Value: v})
			}
			out[start+i].Members = append(out[start+i].Members, m)
		}
	}
	group("country", people, w.CountryOf)
	group("language", w.Countries(), w.LanguageOf)
	group("speaker", people, func(p string) string { return w.LanguageOf(w.CountryOf(p)) })
	group("food", people, w.FoodOf)
	group("number", nouns, func(n string) string {
		if slices.Index(nouns, n)%2 == 0 {
			return "singular"
		}
		return "plural"
	})
	group("letter", slices.Concat(firstWords, secondWords, thirdWords), func(s string) string { return s[:1] })
	return out
}

// Group returns one group's members, nil if there is no such group.
func (w *World) Group(relation, value string) []string {
	for _, g := range w.Groups() {
		if g.Relation == relation && g.Value == value {
			return g.Members
		}
	}
	return nil
}
