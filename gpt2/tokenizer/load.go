package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/etredal/cross-layer-transcoder/internal/strictjson"
)

// Load reads the tokenizer of a model's folder: tokenizer.json, or vocab.json with merges.txt, or encoder.json with
// vocab.bpe, in that order.
func Load(dir string) (*Tokenizer, error) {
	data, err := os.ReadFile(filepath.Join(dir, "tokenizer.json"))
	if err == nil {
		t, err := FromTokenizerJSON(data)
		if err != nil {
			return nil, fmt.Errorf("%w (%s)", err, filepath.Join(dir, "tokenizer.json"))
		}
		return t, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("tokenizer: load %s: %w", dir, err)
	}
	for _, names := range [][2]string{{"vocab.json", "merges.txt"}, {"encoder.json", "vocab.bpe"}} {
		vocab, err := os.ReadFile(filepath.Join(dir, names[0]))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("tokenizer: load %s: %w", dir, err)
		}
		merges, err := os.ReadFile(filepath.Join(dir, names[1]))
		if err != nil {
			return nil, fmt.Errorf("tokenizer: load %s: %w; %s and %s belong together", dir, err, names[0], names[1])
		}
		t, err := FromFiles(vocab, merges)
		if err != nil {
			return nil, fmt.Errorf("%w (%s)", err, dir)
		}
		return t, nil
	}
	return nil, fmt.Errorf("tokenizer: load %s: no tokenizer.json and no vocab.json with merges.txt; copy them from the model's source", dir)
}

// FromFiles makes a tokenizer from the contents of vocab.json and merges.txt. A token that is neither a byte nor the
// result of a merge is special.
func FromFiles(vocabJSON, mergesTxt []byte) (*Tokenizer, error) {
	vocab, err := readVocab(vocabJSON)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: vocab.json: %w; fetch it again", err)
	}
	var pairs [][2]string
	for line := range strings.Lines(strings.TrimPrefix(string(mergesTxt), "\ufeff")) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" || strings.HasPrefix(line, "#version") { // the reference passes over it on any line
			continue
		}
		left, right, ok := strings.Cut(line, " ")
		if !ok || left == "" || right == "" || strings.Contains(right, " ") {
			return nil, fmt.Errorf("tokenizer: merges.txt: %q is not two tokens with a space between; fetch the file again", short(line))
		}
		pairs = append(pairs, [2]string{left, right})
	}
	return assemble(vocab, pairs, nil)
}

// readVocab reads {"token": id, ...} and nothing after it, refusing a token that occurs twice.
func readVocab(data []byte) (map[string]int32, error) {
	if !json.Valid(data) {
		return nil, errors.New("not JSON, or cut off")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, errors.New("not a JSON object of tokens and ids")
	}
	vocab := map[string]int32{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		name := key.(string)
		if _, ok := vocab[name]; ok {
			return nil, fmt.Errorf("token %q occurs twice", short(name))
		}
		var id int32
		if err := d.Decode(&id); err != nil {
			return nil, fmt.Errorf("token %q: %w", short(name), strictjson.InWords(err))
		}
		vocab[name] = id
	}
	return vocab, nil
}

// assemble makes a tokenizer from a vocabulary and merges in GPT-2's printable spelling, and the special tokens that
// are known as such.
func assemble(vocab map[string]int32, pairs [][2]string, special map[string]int32) (*Tokenizer, error) {
	names, err := namesByID(vocab, special)
	if err != nil {
		return nil, err
	}
	made := make(map[int32]bool, len(pairs)+256)
	merges := make([]merge, len(pairs))
	for i, p := range pairs {
		left, okL := vocab[p[0]]
		right, okR := vocab[p[1]]
		id, ok := vocab[p[0]+p[1]]
		if !okL || !okR || !ok {
			return nil, fmt.Errorf("tokenizer: merge %d, %q with %q, needs tokens that the vocabulary lacks; do the files belong together?", i, short(p[0]), short(p[1]))
		}
		merges[i] = merge{left, right, id}
		made[id] = true
	}
	all := map[string]int32{}
	tokens := make([]string, len(names))
	for id, name := range names {
		spelt, ok := unspell(name)
		_, isSpecial := special[name]
		if !isSpecial && ok && (made[int32(id)] || len(spelt) == 1) {
			tokens[id] = spelt
			continue
		}
		if made[int32(id)] {
			return nil, fmt.Errorf("tokenizer: token %d, %q, is merged but not spelt in bytes; is the tokenizer a byte-level one?", id, name)
		}
		tokens[id] = name
		all[name] = int32(id)
	}
	return newTokenizer(tokens, merges, all)
}

// namesByID turns the vocabulary and the special tokens around, making sure that the ids are 0 to n-1.
func namesByID(vocab, special map[string]int32) ([]string, error) {
	n := len(vocab)
	for name, id := range special {
		if in, ok := vocab[name]; !ok {
			n++
		} else if in != id {
			return nil, fmt.Errorf("tokenizer: %q has the ids %d and %d; the file is damaged", name, in, id)
		}
	}
	names := make([]string, n)
	taken := make([]bool, n)
	for _, m := range []map[string]int32{vocab, special} {
		for _, name := range slices.Sorted(maps.Keys(m)) {
			id := m[name]
			if id < 0 || int(id) >= n {
				continue
			}
			if taken[id] && names[id] != name {
				return nil, fmt.Errorf("tokenizer: tokens %q and %q have the same id %d; the vocabulary is damaged", short(names[id]), short(name), id)
			}
			names[id], taken[id] = name, true
		}
	}
	hole := slices.Index(taken, false)
	if hole < 0 {
		return names, nil
	}
	// Without two of one id, a hole means that another id is out of range.
	for _, m := range []map[string]int32{vocab, special} {
		for _, name := range slices.Sorted(maps.Keys(m)) {
			if id := m[name]; id < 0 || int(id) >= n {
				return nil, fmt.Errorf("tokenizer: no token has id %d, while %q has id %d of %d tokens; ids must be 0 to %d without a gap; is the vocabulary another model's, or damaged?",
					hole, short(name), id, n, n-1)
			}
		}
	}
	return nil, fmt.Errorf("tokenizer: no token has id %d; ids must be 0 to %d without a gap", hole, n-1)
}

// short is a text from a file, cut to what fits into a message.
func short(s string) string {
	const most = 40
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// printable is the character that stands for each byte in vocab.json and merges.txt: itself where it can be seen,
// U+0100 and up for the others, in order (GPT-2's bytes_to_unicode).
var printable, unprintable = func() (to [256]rune, from map[rune]byte) {
	from = map[rune]byte{}
	next := rune(256)
	for b := range to {
		r := rune(b)
		if !('!' <= r && r <= '~' || 0xA1 <= r && r <= 0xAC || 0xAE <= r) {
			r = next
			next++
		}
		to[b] = r
		from[r] = byte(b)
	}
	return to, from
}()

// spell writes bytes in printable characters.
func spell(token string) string {
	var b strings.Builder
	for i := range len(token) {
		b.WriteRune(printable[token[i]])
	}
	return b.String()
}

// unspell is the inverse of spell; false when name has other characters.
func unspell(name string) (string, bool) {
	if !utf8.ValidString(name) {
		return "", false
	}
	out := make([]byte, 0, len(name))
	for _, r := range name {
		b, ok := unprintable[r]
		if !ok {
			return "", false
		}
		out = append(out, b)
	}
	return string(out), true
}
