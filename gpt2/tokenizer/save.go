package tokenizer

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/etredal/cross-layer-transcoder/internal/atomicfile"
)

// Files returns the contents of vocab.json and merges.txt, byte for byte as GPT-2's were published: ids in order,
// characters beyond ASCII escaped.
func (t *Tokenizer) Files() (vocabJSON, mergesTxt []byte) {
	vocabJSON = append(vocabJSON, '{')
	for id := range t.tokens {
		if id > 0 {
			vocabJSON = append(vocabJSON, ", "...)
		}
		vocabJSON = appendQuoted(vocabJSON, t.name(int32(id)))
		vocabJSON = append(vocabJSON, ": "...)
		vocabJSON = strconv.AppendInt(vocabJSON, int64(id), 10)
	}
	vocabJSON = append(vocabJSON, '}')
	mergesTxt = append(mergesTxt, "#version: 0.2\n"...)
	for _, m := range t.merges {
		mergesTxt = fmt.Appendf(mergesTxt, "%s %s\n", t.name(m.left), t.name(m.right))
	}
	return vocabJSON, mergesTxt
}

// SHA256 tells one vocabulary from another: the SHA-256 of vocab.json and merges.txt as Files gives them, one after the
// other, in hexadecimal.
func (t *Tokenizer) SHA256() string {
	vocab, merges := t.Files()
	sum := sha256.Sum256(append(vocab, merges...))
	return hex.EncodeToString(sum[:])
}

// name is how the vocabulary spells a token: special ones as they are.
func (t *Tokenizer) name(id int32) string {
	token := t.tokens[id]
	if s, ok := t.special[token]; ok && s == id {
		return token
	}
	return spell(token)
}

// Save writes vocab.json and merges.txt into a folder, making it when needed.
func (t *Tokenizer) Save(dir string) error {
	vocab, merges := t.Files()
	for name, data := range map[string][]byte{"vocab.json": vocab, "merges.txt": merges} {
		if err := atomicfile.Write(filepath.Join(dir, name), data); err != nil {
			return fmt.Errorf("tokenizer: save: %w", err)
		}
	}
	return nil
}

// appendQuoted appends a JSON string in ASCII.
func appendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case ' ' <= r && r <= '~':
			dst = append(dst, byte(r))
		default:
			for _, u := range utf16.Encode([]rune{r}) {
				dst = fmt.Appendf(dst, `\u%04x`, u)
			}
		}
	}
	return append(dst, '"')
}

// String names the tokenizer for messages.
func (t *Tokenizer) String() string {
	return fmt.Sprintf("tokenizer of %d tokens, %d merges, special: %s", t.Size(), len(t.merges), strings.Join(t.specials, " "))
}
