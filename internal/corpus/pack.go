package corpus

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
)

// MaxTokens is how many tokens of a corpus are used at most: 1 GiB of memory. The rest is not read.
const MaxTokens = 256 << 20

// Tokens is a corpus as a model reads it.
type Tokens struct {
	IDs    []int32 // of all texts, the end of a text between two of them
	Texts  int
	Empty  int    // texts without a token, left out
	Whole  bool   // false if the limit was reached
	SHA256 string // of the texts that were read, and of where they end
}

// packBytes is how much text is tokenized at once, which is done on all cores.
const packBytes = 8 << 20

// Pack tokenizes the corpus and puts the texts one after the other, with eot (if not negative) between them, up to a
// limit of tokens (0 for MaxTokens). encode gets a list of texts and returns their tokens; report, which may be nil, gets
// the bytes read. A corpus of less than two tokens is refused: nothing follows the first.
func (c *Corpus) Pack(ctx context.Context, encode func(texts []string) [][]int32, eot int32, limit int, report func(bytes int64)) (*Tokens, error) {
	p := &packer{encode: encode, eot: eot, limit: limit, sum: sha256.New()}
	if limit <= 0 {
		p.limit = MaxTokens
	}
	var read int64
	for t, err := range c.Texts(ctx) {
		if err != nil {
			return nil, err
		}
		p.add(t)
		if p.bytes >= packBytes {
			read += int64(p.bytes)
			p.flush()
			if report != nil {
				report(read)
			}
			if p.full {
				break
			}
		}
	}
	p.flush()
	p.out.Whole, p.out.SHA256 = !p.full, hex.EncodeToString(p.sum.Sum(nil))
	switch n := len(p.out.IDs); {
	case p.out.Texts == 0:
		return nil, errors.New("corpus: the texts are empty; give files with text in them")
	case n < 2:
		return nil, fmt.Errorf("corpus: the texts have %d token in all, nothing follows it; give more text", n)
	}
	return &p.out, nil
}

type packer struct {
	encode func([]string) [][]int32
	eot    int32
	limit  int
	sum    hash.Hash

	parts  []Text
	bytes  int
	tokens int // of the text that goes on
	full   bool
	out    Tokens
}

func (p *packer) add(t Text) {
	fmt.Fprintf(p.sum, "%d %t\n%s", len(t.Text), t.More, t.Text)
	p.parts = append(p.parts, t)
	p.bytes += len(t.Text)
}

// flush tokenizes what has come.
func (p *packer) flush() {
	texts := make([]string, len(p.parts))
	for i, t := range p.parts {
		texts[i] = t.Text
	}
	for i, ids := range p.encode(texts) {
		if len(ids) > 0 && p.tokens == 0 && len(p.out.IDs) > 0 && p.eot >= 0 {
			p.out.IDs = append(p.out.IDs, p.eot)
		}
		p.out.IDs = append(p.out.IDs, ids...)
		p.tokens += len(ids)
		if p.parts[i].More {
			continue
		}
		if p.tokens > 0 {
			p.out.Texts++
		} else {
			p.out.Empty++
		}
		p.tokens = 0
	}
	if len(p.out.IDs) >= p.limit {
		if p.tokens > 0 {
			p.out.Texts++
		}
		p.out.IDs, p.full, p.tokens = p.out.IDs[:p.limit], true, 0
	}
	p.parts, p.bytes = p.parts[:0], 0
}
