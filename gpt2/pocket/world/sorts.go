package world

import "math/rand/v2"

// sort is one row of the table in the package comment. Exactly one of all and
// draw is set: all lists a small space, draw samples a large one.
type sort struct {
	name, description string
	weight            int // percent of sentences
	templates         []template
	all               func(w *World, held bool) []slots
	draw              func(w *World, r *rand.Rand, held bool) slots
	choices           func(s slots) []string // the two-way choice, if it is one
	accept            func(s slots) []string // all right answers; nil: the one word
	chance            float64                // of a guess among words of the right sort
}

// sorts makes the table.
func sorts() []*sort {
	var out []*sort
	for _, rows := range [][]sort{factSorts(), composedSorts(), numberSorts(), wordSorts(), contextSorts()} {
		for i := range rows {
			out = append(out, &rows[i])
		}
	}
	return out
}

// factSorts are told in full; nothing is held out.
func factSorts() []sort {
	cities, languages := 1/float64(len(atlas)), 1/float64(languageCount())
	return []sort{
		{name: "capital", description: "the capital of a country", weight: 4, chance: cities,
			templates: parseAll([]string{"The capital of $0 is | $1 .", "The capital city of $0 is | $1 .", "$1 is the capital of $0 ."}),
			all:       ofCountries},
		{name: "language", description: "the language of a country", weight: 3, chance: languages,
			templates: parseAll([]string{"The language of $0 is | $2 .", "People in $0 speak | $2 ."}),
			all:       ofCountries},
		{name: "home", description: "the country where a person lives", weight: 7, chance: cities,
			templates: parseAll([]string{"$0 lives in | $1 .", "$0 comes from | $1 .", "The home of $0 is | $1 ."}),
			all:       ofEverybody},
		{name: "food", description: "the food that a person likes", weight: 5, chance: 1 / float64(len(foods)),
			templates: parseAll([]string{"$0 likes | $4 .", "The food that $0 likes is | $4 ."}),
			all:       ofEverybody},
	}
}

// composedSorts join two facts; people are held out of them.
func composedSorts() []sort {
	cities, languages := 1/float64(len(atlas)), 1/float64(languageCount())
	return []sort{
		{name: "hop", description: "the language of a country named in the sentence", weight: 4, chance: languages,
			templates: parseAll([]string{"$0 lives in $1 and speaks | $3 .", "$0 comes from $1 and speaks | $3 ."}),
			all:       ofPeople},
		{name: "two-hop", description: "the capital of the country where a person lives, the country unsaid", weight: 8, chance: cities,
			templates: parseAll([]string{"The capital of the country where $0 lives is | $2 .", "The capital of the home of $0 is | $2 .",
				"The home of $0 has the capital | $2 ."}),
			all: ofPeople},
		{name: "two-hop-language", description: "the language of the country where a person lives, the country unsaid", weight: 4, chance: languages,
			templates: parseAll([]string{"The language of the country where $0 lives is | $3 .", "The language of the home of $0 is | $3 .",
				"At home $0 speaks | $3 ."}),
			all: ofPeople},
	}
}

func numberSorts() []sort {
	return []sort{
		{name: "successor", description: "the number after a number", weight: 5, chance: 1. / numbers,
			templates: parseAll([]string{"After $0 comes | $1 .", "The number after $0 is | $1 ."}),
			all:       ofNumbers},
		{name: "counting", weight: 1,
			templates: parseAll([]string{"Count $0 , $1 , $2 , $3 ."}),
			draw:      drawCount},
		{name: "addition", description: "the sum of two digits", weight: 7, chance: 1. / 19,
			templates: parseAll([]string{"$0 plus $1 is | $2 .", "The sum of $0 and $1 is | $2 .", "Adding $0 and $1 makes | $2 ."}),
			all:       ofSums},
		{name: "two-digit-addition", description: "the sum of a number and a digit, at most 99", weight: 9, chance: 1. / numbers,
			templates: parseAll([]string{"$0 plus $1 is | $2 .", "The sum of $0 and $1 is | $2 .", "Adding $0 and $1 makes | $2 ."}),
			all:       ofLargeSums},
		{name: "greater-than", description: "a year after the year of the beginning, in the same century", weight: 3, chance: chanceLater(),
			templates: parseAll([]string{"The $0 lasted from $1 $2 to $1 | $3 .", "The $0 began in $1 $2 and ended in $1 | $3 ."}),
			draw:      drawYears, accept: later},
	}
}

func wordSorts() []sort {
	return []sort{
		{name: "agreement", description: "is or are, by the subject and not by the noun before the verb", weight: 4, chance: 0.5,
			templates: parseAll([]string{"The $0 $1 the $2 | $3 $4 ."}),
			draw:      drawAgreement, choices: func(slots) []string { return []string{" is", " are"} }},
		{name: "opposite", description: "the opposite of an adjective", weight: 4, chance: 1 / float64(len(opposites)),
			templates: parseAll([]string{"The opposite of $0 is | $1 .", "The word $0 is the opposite of | $1 ."}),
			all:       ofOpposites},
		{name: "contrast", weight: 1,
			templates: parseAll([]string{"It is $0 , not $1 ."}),
			all:       ofAllOpposites},
		{name: "acronym", description: "the next letter of an organisation's short name", weight: 5, chance: 1. / 26,
			templates: parseAll([]string{"The $0 $1 $2 ( | $3 | $4 | $5 ) is open .", "They work at the $0 $1 $2 ( | $3 | $4 | $5 ) ."}),
			draw:      drawAcronym},
	}
}

// contextSorts can be answered from the sentence alone; people are held out.
func contextSorts() []sort {
	return []sort{
		// Copying at a short distance is learnt first; without it induction waits for
		// thousands of steps.
		{name: "keeping", weight: 6,
			templates: parseAll([]string{"$0 wants the $1 , finds the $1 and keeps the $1 .", "$0 lost the $1 , looked for the $1 and found the $1 again ."}),
			draw:      drawInduction},
		{name: "induction", description: "the object said before", weight: 8, chance: 2 / float64(len(nouns)),
			templates: parseAll([]string{"$0 sees the $1 , then $0 takes the | $1 .", "$0 finds the $1 , then $0 goes home with the | $1 ."}),
			draw:      drawInduction},
		{name: "indirect-object", description: "the one of two people who is not the giver", weight: 12, chance: 0.5,
			templates: parseAll([]string{"When $0 and $1 went to the $2 , $3 gave the $4 to | $5 .",
				"After $0 and $1 met at the $2 , $3 gave the $4 to | $5 .",
				"While $0 and $1 were at the $2 , $3 sold the $4 to | $5 ."}),
			draw: drawIndirect, choices: func(s slots) []string { return []string{" " + s[0], " " + s[1]} }},
	}
}

func languageCount() int {
	seen := map[string]bool{}
	for _, c := range atlas {
		seen[c.language] = true
	}
	return len(seen)
}
