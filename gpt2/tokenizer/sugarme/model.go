package sugarme

import (
	"fmt"
	"maps"
	"path/filepath"
	"strings"

	library "github.com/sugarme/tokenizer"

	"github.com/etredal/cross-layer-transcoder/gpt2/tokenizer"
	"github.com/etredal/cross-layer-transcoder/internal/atomicfile"
)

// Model applies GPT-2's merges. It implements the library's interface of that name, and may be used from several
// goroutines at once. It takes text as it is, not in the printable spelling of vocab.json, and cuts it itself when no
// PreTokenizer has.
type Model struct {
	t     *tokenizer.Tokenizer
	vocab map[string]int // by the spelling of vocab.json
}

// NewModel returns the merges of t.
func NewModel(t *tokenizer.Tokenizer) *Model {
	m := &Model{t, make(map[string]int, t.Size())}
	for id := range t.Size() {
		m.vocab[t.Name(int32(id))] = id
	}
	return m
}

// Tokenize returns the tokens of a text with their byte offsets in it. It never fails.
func (m *Model) Tokenize(text string) ([]library.Token, error) {
	ids, offsets := m.t.EncodeOffsets(text, false)
	out := make([]library.Token, len(ids))
	for i, id := range ids {
		out[i] = library.NewToken(int(id), m.t.Name(id), []int{offsets[i][0], offsets[i][1]})
	}
	return out, nil
}

// TokenToId returns the id of a token by the spelling of vocab.json (Ġthe).
func (m *Model) TokenToId(token string) (id int, ok bool) {
	id, ok = m.vocab[token]
	return id, ok
}

// IdToToken is the inverse of TokenToId.
func (m *Model) IdToToken(id int) (token string, ok bool) {
	if id < 0 || id >= m.t.Size() {
		return "", false
	}
	return m.t.Name(int32(id)), true
}

// GetVocab returns the ids of all tokens, as a map of the caller's own: the library adds to it.
func (m *Model) GetVocab() map[string]int { return maps.Clone(m.vocab) }

// GetVocabSize returns the number of tokens, special ones included.
func (m *Model) GetVocabSize() int { return m.t.Size() }

// Save writes vocab.json and merges.txt into a folder; with a prefix, prefix-vocab.json and prefix-merges.txt.
func (m *Model) Save(dir string, prefix ...string) error {
	vocab, merges := m.t.Files()
	for name, data := range map[string][]byte{"vocab.json": vocab, "merges.txt": merges} {
		if len(prefix) > 0 {
			name = prefix[0] + "-" + name
		}
		if filepath.Base(name) != name {
			return fmt.Errorf("sugarme: save: the prefix %q has a folder in it; put the folder into the path", prefix[0])
		}
		if err := atomicfile.Write(filepath.Join(dir, name), data); err != nil {
			return fmt.Errorf("sugarme: save: %w", err)
		}
	}
	return nil
}

// Decoder turns tokens, spelt as in vocab.json, into text. It implements the library's interface of that name.
type Decoder struct{ m *Model }

// NewDecoder returns the decoder of a model.
func NewDecoder(m *Model) *Decoder { return &Decoder{m} }

// Decode returns the text of the tokens together. What is not UTF-8 in it shows as U+FFFD.
func (d *Decoder) Decode(tokens []string) string {
	return tokenizer.Valid(strings.Join(d.DecodeChain(tokens), ""))
}

// DecodeChain returns the bytes of each token, which may be a part of a character. A token that the model does not
// have was added by the caller and is its own text.
func (d *Decoder) DecodeChain(tokens []string) []string {
	out := make([]string, len(tokens))
	for i, token := range tokens {
		if id, ok := d.m.vocab[token]; ok {
			out[i] = string(d.m.t.Decode([]int32{int32(id)}))
		} else {
			out[i] = token
		}
	}
	return out
}
