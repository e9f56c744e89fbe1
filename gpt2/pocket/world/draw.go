package world

import "math/rand/v2"

// The functions ofX list a whole space, the functions drawX sample from one:
// the told part, or the held-out part.

// ofCountries: country, capital, language.
func ofCountries(w *World, held bool) []slots {
	if held {
		return nil
	}
	var out []slots
	for _, c := range atlas {
		out = append(out, slots{c.name, c.capital, c.language})
	}
	return out
}

// ofEverybody: person, country, capital, language, food.
func ofEverybody(w *World, held bool) []slots {
	if held {
		return nil
	}
	return w.portraits(people)
}

// ofPeople is ofEverybody with people held out.
func ofPeople(w *World, held bool) []slots { return w.portraits(w.people(held)) }

func (w *World) portraits(names []string) []slots {
	var out []slots
	for _, p := range names {
		c := w.home[p]
		out = append(out, slots{p, c.name, c.capital, c.language, w.food[p]})
	}
	return out
}

func (w *World) people(held bool) []string {
	if held {
		return w.heldPeople
	}
	return w.told
}

// ofNumbers: number, next number.
func ofNumbers(w *World, held bool) []slots {
	var out []slots
	for n := range numbers - 1 {
		if w.heldNumber[n] == held {
			out = append(out, slots{number(n), number(n + 1)})
		}
	}
	return out
}

// drawCount: four numbers in a row.
func drawCount(w *World, r *rand.Rand, held bool) slots {
	n := r.IntN(numbers - 3)
	return slots{number(n), number(n + 1), number(n + 2), number(n + 3)}
}

// ofSums: digit, digit, sum.
func ofSums(w *World, held bool) []slots {
	var out []slots
	for a := range 10 {
		for b := range 10 {
			if w.heldSums[[2]int{min(a, b), max(a, b)}] == held {
				out = append(out, slots{number(a), number(b), number(a + b)})
			}
		}
	}
	return out
}

// ofLargeSums: number and digit in either order, sum.
func ofLargeSums(w *World, held bool) []slots {
	var out []slots
	for _, p := range largeSums() {
		if w.heldLarge[p] == held {
			a, b, sum := number(p[0]), number(p[1]), number(p[0]+p[1])
			out = append(out, slots{a, b, sum}, slots{b, a, sum})
		}
	}
	return out
}

// largeSums lists the (number, digit) pairs with a sum of at most 99.
func largeSums() [][2]int { return pairs(10, numbers-9, 0, 10) }

// drawYears: event, century, first year, last year.
func drawYears(w *World, r *rand.Rand, held bool) slots {
	for {
		century, year := firstCentury+r.IntN(lastCentury-firstCentury+1), firstYear+r.IntN(lastYear-firstYear+1)
		if w.heldYears[[2]int{century, year}] == held {
			end := year + 1 + r.IntN(numbers-1-year)
			return slots{tell(r, events), number(century), number(year), number(end)}
		}
	}
}

// later accepts every two-digit year after the first.
func later(s slots) []string {
	var out []string
	for n := numbers - 1; number(n) != s[2]; n-- {
		out = append(out, " "+number(n))
	}
	return out
}

// chanceLater is the share of right answers among all numbers, averaged.
func chanceLater() float64 {
	sum := 0
	for y := firstYear; y <= lastYear; y++ {
		sum += numbers - 1 - y
	}
	return float64(sum) / float64((lastYear-firstYear+1)*numbers)
}

// drawAgreement: subject, preposition, distractor, verb, look.
func drawAgreement(w *World, r *rand.Rand, held bool) slots {
	for {
		subject, distractor := favoured(r, len(nouns), 0), favoured(r, len(nouns), 2)
		if subject/2 == distractor/2 || w.heldNouns[[2]int{subject / 2, distractor / 2}] != held {
			continue
		}
		verb := "is"
		if subject%2 == 1 {
			verb = "are"
		}
		return slots{nouns[subject], tell(r, prepositions), nouns[distractor], verb, tell(r, looks)}
	}
}

// ofOpposites: adjective, opposite.
func ofOpposites(w *World, held bool) []slots {
	var out []slots
	for _, word := range opposites {
		if w.heldWord[word] == held {
			out = append(out, slots{word, w.opposite[word]})
		}
	}
	return out
}

func ofAllOpposites(w *World, held bool) []slots {
	if held {
		return nil
	}
	return append(ofOpposites(w, false), ofOpposites(w, true)...)
}

// drawAcronym: three words, their three letters.
func drawAcronym(w *World, r *rand.Rand, held bool) slots {
	for {
		i, j := favoured(r, len(firstWords), 0), favoured(r, len(secondWords), 0)
		if w.heldOrgs[[2]int{i, j}] == held {
			a, b, c := firstWords[i], secondWords[j], tell(r, thirdWords)
			return slots{a, b, c, a[:1], b[:1], c[:1]}
		}
	}
}

// object picks a singular noun.
func object(r *rand.Rand) string { return nouns[2*favoured(r, len(nouns)/2, 0)] }

// drawInduction: person, object.
func drawInduction(w *World, r *rand.Rand, held bool) slots {
	return slots{tell(r, w.people(held)), object(r)}
}

// drawMeeting picks two people of whom both may meet others.
func (w *World) drawMeeting(r *rand.Rand, held bool) (a, b string) {
	for {
		if a, b = two(r, w.told); w.heldMeets[[2]string{min(a, b), max(a, b)}] == held {
			return a, b
		}
	}
}

// drawIndirect: person, person, place, giver, object, receiver.
func drawIndirect(w *World, r *rand.Rand, held bool) slots {
	a, b := w.drawMeeting(r, held)
	giver, receiver := a, b
	if r.IntN(2) == 0 {
		giver, receiver = b, a
	}
	return slots{a, b, tell(r, places), giver, object(r), receiver}
}
