package world

import "strings"

// slots are the words that fill one sentence's template.
type slots []string

// template is a sentence with holes. Its source is words between spaces; "$2"
// is slot 2, and "|" stands before a word that is an answer worth asking for.
type template []piece

type piece struct {
	text   string // with its leading space; "" for a slot
	slot   int
	answer bool // asked for in evaluation
}

func parse(source string) template {
	var t template
	answer := false
	for _, word := range strings.Fields(source) {
		switch {
		case word == "|":
			answer = true
			continue
		case word[0] == '$':
			t = append(t, piece{slot: int(word[1] - '0'), answer: answer})
		default:
			t = append(t, piece{text: " " + word, answer: answer})
		}
		answer = false
	}
	return t
}

func parseAll(sources []string) []template {
	var out []template
	for _, s := range sources {
		out = append(out, parse(s))
	}
	return out
}

// answers counts the marked words.
func (t template) answers() int {
	n := 0
	for _, p := range t {
		if p.answer {
			n++
		}
	}
	return n
}

func (p piece) write(b *strings.Builder, s slots) {
	if p.text != "" {
		b.WriteString(p.text)
		return
	}
	b.WriteByte(' ')
	b.WriteString(s[p.slot])
}

// fill writes the whole sentence, each word with its leading space.
func (t template) fill(b *strings.Builder, s slots) {
	for _, p := range t {
		p.write(b, s)
	}
}

// ask returns the text before the n-th marked word, and that word.
func (t template) ask(s slots, n int) (prompt, answer string) {
	var b strings.Builder
	for _, p := range t {
		if p.answer {
			if n == 0 {
				prompt = b.String()
				b.Reset()
				p.write(&b, s)
				return prompt, b.String()
			}
			n--
		}
		p.write(&b, s)
	}
	panic("world: template has fewer answers than asked for")
}
