package tokenizer

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// TrainConfig says what Train makes.
type TrainConfig struct {
	VocabSize    int      // most tokens: 256 bytes, merges and special tokens together
	MinFrequency int      // a pair is merged when it occurs at least so often in the corpus; 0 means 2
	Special      []string // special tokens, which get the last ids; nil means <|endoftext|> alone
	Require      []string // pieces, with the space in front of them, that must be one token each
}

// Train learns a byte-level encoding from a corpus: the 256 bytes, in the order of GPT-2's ids, then one token for
// each most frequent pair of neighbouring tokens within the pieces of the corpus (Sennrich et al. 2016, section 3.2),
// then the special tokens, whose texts in the corpus are boundaries. Of equally frequent pairs the one with the
// smallest ids is merged. At the end, merges that make each word of Require one token are added in the order given,
// left to right; training stops early enough to leave room for them. The result depends on nothing but the arguments,
// and not on how the corpus is cut into texts as long as the pieces stay the same. It has fewer than VocabSize
// tokens only when no pair is frequent enough.
func Train(corpus iter.Seq[string], cfg TrainConfig) (*Tokenizer, error) {
	if cfg.Special == nil {
		cfg.Special = []string{EndOfText}
	}
	if cfg.MinFrequency == 0 {
		cfg.MinFrequency = 2
	}
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	room := cfg.VocabSize - 256 - len(cfg.Special)
	tr := newTrainer(countPieces(corpus, cfg.Special))
	var counts []int // tokens there were before each merge
	for len(tr.tokens)-256 < room {
		n := len(tr.tokens)
		if !tr.step(int64(cfg.MinFrequency)) {
			break
		}
		counts = append(counts, n)
	}
	// Keep the most merges that leave room for the required words.
	for keep := len(tr.merges); ; {
		tokens, merges := tr.tokens, tr.merges[:keep]
		if keep < len(tr.merges) {
			tokens = tokens[:counts[keep]]
		}
		tokens, merges = requireWords(slices.Clone(tokens), slices.Clone(merges), cfg.Require)
		over := len(tokens) - 256 - room
		if over <= 0 {
			return finish(tokens, merges, cfg.Special)
		}
		if keep == 0 {
			return nil, fmt.Errorf("tokenizer: train: the required words take %d tokens, VocabSize is %d; raise it to at least that",
				len(tokens)+len(cfg.Special), cfg.VocabSize)
		}
		keep = max(keep-over, 0)
	}
}

func (c TrainConfig) validate() error {
	if least := 256 + len(c.Special); c.VocabSize < least {
		return fmt.Errorf("tokenizer: train: VocabSize is %d; 256 bytes and %d special tokens need %d", c.VocabSize, len(c.Special), least)
	}
	if c.MinFrequency < 1 {
		return fmt.Errorf("tokenizer: train: MinFrequency is %d; use 1 or more", c.MinFrequency)
	}
	seen := map[string]bool{}
	for _, s := range c.Special {
		if utf8.RuneCountInString(s) < 2 || !utf8.ValidString(s) || seen[s] {
			return fmt.Errorf("tokenizer: train: special token %q is shorter than 2 characters, not UTF-8 or given twice; use a name like %s", s, EndOfText)
		}
		seen[s] = true
	}
	for _, w := range c.Require {
		if w == "" || nextPiece(w, 0) != len(w) {
			return fmt.Errorf("tokenizer: train: required word %q is not one piece of the pattern, so it can never be one token; require its pieces", w)
		}
	}
	return nil
}

// finish adds the special tokens.
func finish(tokens []string, merges []merge, special []string) (*Tokenizer, error) {
	ids := map[string]int32{}
	for _, s := range special {
		for _, token := range tokens {
			if spell(token) == s {
				return nil, fmt.Errorf("tokenizer: train: special token %q is also an ordinary token; use a name like %s", s, EndOfText)
			}
		}
		ids[s] = int32(len(tokens))
		tokens = append(tokens, s)
	}
	return newTokenizer(tokens, merges, ids)
}

// bytesInOrder is the first 256 tokens: bytes that can be seen first, then the others, as in GPT-2.
func bytesInOrder() []string {
	tokens := make([]string, 0, 512)
	for _, shown := range []bool{true, false} {
		for b, r := range printable {
			if (r < 256) == shown {
				tokens = append(tokens, string([]byte{byte(b)}))
			}
		}
	}
	return tokens
}

// countPieces counts the pieces of the corpus between the special tokens.
func countPieces(corpus iter.Seq[string], special []string) map[string]int64 {
	special = longestFirst(special)
	counts := map[string]*int64{}
	for text := range corpus {
		c := newCutter(text, special)
		for i := 0; i < len(text); {
			at, name := c.find(i)
			for i < at {
				end := nextPiece(text[:at], i)
				if n, ok := counts[text[i:end]]; ok {
					*n++
				} else {
					one := int64(1)
					counts[strings.Clone(text[i:end])] = &one
				}
				i = end
			}
			i = at + len(name)
		}
	}
	out := make(map[string]int64, len(counts))
	for piece, n := range counts {
		out[piece] = *n
	}
	return out
}

// requireWords appends the merges, and tokens where needed, that make each word one token. They come after all
// others, so that they change no word that was one token already.
func requireWords(tokens []string, merges []merge, words []string) ([]string, []merge) {
	t := &Tokenizer{pairs: newPairTable(len(merges))}
	ids := make(map[string]int32, len(tokens))
	for id, token := range tokens {
		ids[token] = int32(id)
		if len(token) == 1 {
			t.byteID[token[0]] = int32(id)
		}
	}
	for rank, m := range merges {
		t.pairs.add(m, int32(rank))
	}
	var m merger
	for _, word := range words {
		for {
			parts := m.apply(t, nil, word)
			if len(parts) == 1 {
				break
			}
			joined := tokens[parts[0]] + tokens[parts[1]]
			id, ok := ids[joined]
			if !ok {
				id = int32(len(tokens))
				ids[joined] = id
				tokens = append(tokens, joined)
			}
			next := merge{parts[0], parts[1], id}
			t.pairs.add(next, int32(len(merges)))
			merges = append(merges, next)
		}
	}
	return tokens, merges
}

// trainer is the state of training: every distinct piece as a list of tokens, and the pairs in them.
type trainer struct {
	tokens []string
	ids    map[string]int32
	merges []merge
	words  []word
	pairs  map[uint64]*pairCount
	queue  []candidate // heap
}

type word struct {
	ids   []int32
	count int64
}

// pairCount is how often a pair occurs, and the words where it did at some time.
type pairCount struct {
	count int64
	words map[int32]struct{}
}

// candidate is a pair with the count it had when it was queued.
type candidate struct {
	count int64
	pair  uint64
}

// before orders candidates: the most frequent first, then the smallest ids.
func (a candidate) before(b candidate) bool {
	return a.count > b.count || a.count == b.count && a.pair < b.pair
}

func newTrainer(pieces map[string]int64) *trainer {
	tr := &trainer{tokens: bytesInOrder(), ids: map[string]int32{}, pairs: map[uint64]*pairCount{}}
	var byteID [256]int32
	for id, token := range tr.tokens {
		byteID[token[0]] = int32(id)
		tr.ids[token] = int32(id)
	}
	for _, piece := range slices.Sorted(maps.Keys(pieces)) {
		w := word{count: pieces[piece]}
		for i := range len(piece) {
			w.ids = append(w.ids, byteID[piece[i]])
		}
		tr.words = append(tr.words, w)
		tr.count(int32(len(tr.words)-1), 1)
	}
	for pair, p := range tr.pairs {
		tr.queue = append(tr.queue, candidate{p.count, pair})
	}
	slices.SortFunc(tr.queue, func(a, b candidate) int { // a sorted list is a heap
		return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.pair, b.pair))
	})
	return tr
}

// count adds a word's pairs to the counts, or takes them away when sign is -1.
func (tr *trainer) count(index int32, sign int64) {
	w := tr.words[index]
	for i := 1; i < len(w.ids); i++ {
		key := pairKey(w.ids[i-1], w.ids[i])
		p := tr.pairs[key]
		if p == nil {
			p = &pairCount{words: map[int32]struct{}{}}
			tr.pairs[key] = p
		}
		p.count += sign * w.count
		if sign > 0 {
			p.words[index] = struct{}{}
		}
	}
}

// step merges the most frequent pair; false when none occurs at least least times.
func (tr *trainer) step(least int64) bool {
	for len(tr.queue) > 0 {
		top := tr.pop()
		now := tr.pairs[top.pair]
		if now == nil || now.count < least {
			continue
		}
		if now.count != top.count { // stale: queue it again where it belongs
			if now.count < top.count {
				tr.push(candidate{now.count, top.pair})
			}
			continue
		}
		tr.merge(top.pair, now)
		return true
	}
	return false
}

// merge joins a pair in all words.
func (tr *trainer) merge(pair uint64, p *pairCount) {
	left, right := int32(pair>>32), int32(uint32(pair))
	joined := tr.tokens[left] + tr.tokens[right]
	id, ok := tr.ids[joined]
	if !ok {
		id = int32(len(tr.tokens))
		tr.ids[joined] = id
		tr.tokens = append(tr.tokens, joined)
	}
	tr.merges = append(tr.merges, merge{left, right, id})
	touched := map[uint64]struct{}{}
	for index := range p.words {
		tr.count(index, -1)
		w := &tr.words[index]
		out := w.ids[:0]
		for i := 0; i < len(w.ids); i++ {
			if i+1 < len(w.ids) && w.ids[i] == left && w.ids[i+1] == right {
				out = append(out, id)
				i++
			} else {
				out = append(out, w.ids[i])
			}
		}
		w.ids = out
		tr.count(index, 1)
		for i, x := range out {
			if x == id {
				if i > 0 {
					touched[pairKey(out[i-1], x)] = struct{}{}
				}
				if i+1 < len(out) {
					touched[pairKey(x, out[i+1])] = struct{}{}
				}
			}
		}
	}
	delete(tr.pairs, pair)
	for key := range touched {
		tr.push(candidate{tr.pairs[key].count, key})
	}
}

func (tr *trainer) push(c candidate) {
	q := append(tr.queue, c)
	for i := len(q) - 1; i > 0; {
		up := (i - 1) / 2
		if !q[i].before(q[up]) {
			break
		}
		q[i], q[up] = q[up], q[i]
		i = up
	}
	tr.queue = q
}

func (tr *trainer) pop() candidate {
	q := tr.queue
	top := q[0]
	q[0] = q[len(q)-1]
	q = q[:len(q)-1]
	for i := 0; ; {
		best := i
		for down := 2*i + 1; down <= 2*i+2 && down < len(q); down++ {
			if q[down].before(q[best]) {
				best = down
			}
		}
		if best == i {
			break
		}
		q[i], q[best] = q[best], q[i]
		i = best
	}
	tr.queue = q
	return top
}
