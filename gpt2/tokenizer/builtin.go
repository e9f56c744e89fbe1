package tokenizer

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/pkoukk/tiktoken-go-loader/assets"
)

// GPT2 returns GPT-2's own tokenizer, which is built in: 50,257 tokens, <|endoftext|> last. It is made once, on
// first use.
func GPT2() *Tokenizer { return builtin() }

var builtin = sync.OnceValue(makeBuiltin)

// makeBuiltin panics on an error, since only a damaged build can cause one.
func makeBuiltin() *Tokenizer {
	data, err := assets.Assets.ReadFile("r50k_base.tiktoken")
	if err != nil {
		panic(fmt.Errorf("tokenizer: built-in GPT-2: %w", err))
	}
	t, err := fromRanks(string(data))
	if err != nil {
		panic(fmt.Errorf("tokenizer: built-in GPT-2: %w", err))
	}
	return t
}

// fromRanks reads lines "base64 rank" in rank order. The rank is the token's id; a token of several bytes is the merge
// of the two tokens into which the merges before it cut its bytes. <|endoftext|> is added as the last token.
func fromRanks(text string) (*Tokenizer, error) {
	lines := strings.Count(text, "\n")
	t := &Tokenizer{pairs: newPairTable(lines)}
	tokens := make([]string, 0, lines+1)
	merges := make([]merge, 0, lines)
	var m merger
	var parts []int32
	for line := range strings.Lines(text) {
		encoded, rank, _ := strings.Cut(strings.TrimSpace(line), " ")
		token, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil || len(token) == 0 || rank != strconv.Itoa(len(tokens)) {
			return nil, fmt.Errorf("tokenizer: rank line %d is %q; the file is damaged", len(tokens), line)
		}
		id := int32(len(tokens))
		tokens = append(tokens, string(token))
		if len(token) == 1 {
			t.byteID[token[0]] = id
			continue
		}
		parts = m.apply(t, parts[:0], tokens[id])
		if len(parts) != 2 {
			return nil, fmt.Errorf("tokenizer: token %d, %q, has %d parts; the file is not in the order of merges", id, token, len(parts))
		}
		merges = append(merges, merge{parts[0], parts[1], id})
		t.pairs.add(merges[len(merges)-1], int32(len(merges)-1))
	}
	special := map[string]int32{EndOfText: int32(len(tokens))}
	return newTokenizer(append(tokens, EndOfText), merges, special)
}
