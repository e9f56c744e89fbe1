package world

import (
	"math/rand/v2"
	"strconv"
)

// World holds the facts and what is held out. It is read-only after [New] and
// safe for concurrent use.
type World struct {
	seed uint64

	countries map[string]country
	home      map[string]country // of a person
	food      map[string]string
	opposite  map[string]string

	told       []string // people who occur in every sort of sentence
	heldPeople []string // people who occur in home and food alone

	heldMeets  map[[2]string]bool // (earlier, later) in the list of people
	heldSums   map[[2]int]bool    // (small, large) digits
	heldLarge  map[[2]int]bool    // (number, digit)
	heldNumber map[int]bool       // numbers without a successor sentence
	heldWord   map[string]bool    // words without an opposite sentence
	heldNouns  map[[2]int]bool    // (subject, distractor), indices of nouns/2
	heldOrgs   map[[2]int]bool    // (first, second) word
	heldYears  map[[2]int]bool    // (century, year)

	sorts   []*sort
	total   int // sum of weights
	space   map[*sort][]slots
	heldOut map[*sort][]slots
}

// New makes the world of a seed. Equal seeds give equal worlds on every
// machine.
func New(seed uint64) *World {
	w := &World{seed: seed, countries: map[string]country{}, home: map[string]country{}, food: map[string]string{},
		opposite: map[string]string{}, space: map[*sort][]slots{}, heldOut: map[*sort][]slots{}}
	w.settle(rand.New(rand.NewPCG(seed, 1)))
	w.holdOut(rand.New(rand.NewPCG(seed, 2)))
	w.sorts = sorts()
	for _, s := range w.sorts {
		w.total += s.weight
		if s.all != nil {
			w.space[s], w.heldOut[s] = s.all(w, false), s.all(w, true)
		}
	}
	return w
}

// settle gives every person a country and a food, evenly, and holds out a
// fifth of the people, at most one per country.
func (w *World) settle(r *rand.Rand) {
	for i := 0; i < len(opposites); i += 2 {
		w.opposite[opposites[i]], w.opposite[opposites[i+1]] = opposites[i+1], opposites[i]
	}
	for _, c := range atlas {
		w.countries[c.name] = c
	}
	names := shuffled(r, people)
	held := map[string]bool{}
	for i, c := range r.Perm(len(atlas)) {
		for j := range perCountry {
			w.home[names[i*perCountry+j]] = atlas[c]
		}
		if i < len(people)/5 {
			held[names[i*perCountry]] = true
		}
	}
	for i, name := range shuffled(r, people) {
		w.food[name] = foods[i%len(foods)]
	}
	for _, name := range people {
		if held[name] {
			w.heldPeople = append(w.heldPeople, name)
		} else {
			w.told = append(w.told, name)
		}
	}
}

// holdOut picks a fifth of each combination listed in the package comment.
func (w *World) holdOut(r *rand.Rand) {
	var digits [][2]int
	for a := range 10 {
		for b := a; b < 10; b++ {
			digits = append(digits, [2]int{a, b})
		}
	}
	w.heldSums = fifth(r, digits)

	w.heldMeets = map[[2]string]bool{}
	for p := range fifth(r, pairs(0, len(w.told), 0, len(w.told))) {
		if p[0] < p[1] {
			w.heldMeets[[2]string{w.told[p[0]], w.told[p[1]]}] = true
		}
	}
	w.heldLarge = fifth(r, largeSums())
	w.heldNumber = map[int]bool{}
	for _, n := range r.Perm(numbers - 1)[:(numbers-1)/5] {
		w.heldNumber[n] = true
	}
	w.heldWord = map[string]bool{}
	for _, i := range r.Perm(len(opposites) / 2)[:len(opposites)/2/5] {
		w.heldWord[opposites[2*i]], w.heldWord[opposites[2*i+1]] = true, true
	}
	w.heldNouns = fifth(r, pairs(0, len(nouns)/2, 0, len(nouns)/2))
	w.heldOrgs = fifth(r, pairs(0, len(firstWords), 0, len(secondWords)))
	w.heldYears = fifth(r, pairs(firstCentury, lastCentury+1, firstYear, lastYear+1))
}

// pairs lists [a0,a1) x [b0,b1).
func pairs(a0, a1, b0, b1 int) [][2]int {
	var out [][2]int
	for a := a0; a < a1; a++ {
		for b := b0; b < b1; b++ {
			out = append(out, [2]int{a, b})
		}
	}
	return out
}

// fifth picks a fifth of the pairs, without replacement.
func fifth(r *rand.Rand, from [][2]int) map[[2]int]bool {
	out := map[[2]int]bool{}
	for _, p := range shuffled(r, from)[:len(from)/5] {
		out[p] = true
	}
	return out
}

func shuffled[T any](r *rand.Rand, from []T) []T {
	out := append([]T(nil), from...)
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// favourites is how often the first of a list is told rather than any of it: one
// time in so many. As in real text some words are more frequent than others, so
// that the likeliest next word is a fact of the world, and not of the noise in
// what a model learnt of equally likely ones.
const favourites = 4

// favoured picks an index below n, the favourite more often than the others.
func favoured(r *rand.Rand, n, favourite int) int {
	if r.IntN(favourites) == 0 && favourite < n {
		return favourite
	}
	return r.IntN(n)
}

// tell picks an element for a sentence, the first more often than the others.
func tell[T any](r *rand.Rand, from []T) T { return from[favoured(r, len(from), 0)] }

// two picks two different elements; the first two of the list are favoured.
func two[T any](r *rand.Rand, from []T) (a, b T) {
	i, j := favoured(r, len(from), 0), favoured(r, len(from), 1)
	for j == i {
		j = r.IntN(len(from))
	}
	return from[i], from[j]
}

func number(n int) string { return strconv.Itoa(n) }
