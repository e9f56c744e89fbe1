package bench

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/etredal/cross-layer-transcoder/gpt2/tokenizer"
)

const (
	textBytes  = 5 << 20  // of English
	docBytes   = 32 << 10 // of a document, about
	shortBytes = 100      // of a short piece, about
)

// tokenizerSuite times GPT-2's tokenizer on the same text four ways: as one text, in documents, by lines, and in short
// pieces; on one core, and where there are several texts on all.
func tokenizerSuite(ctx context.Context, r *runner) error {
	text, err := englishText(r.cfg.Text)
	if err != nil {
		return err
	}
	tok := tokenizer.GPT2()
	for _, texts := range [][]string{{text}, cutAt(text, "\n", docBytes), strings.SplitAfter(text, "\n"), cutAt(text, " ", shortBytes)} {
		for _, threads := range []int{1, runtime.GOMAXPROCS(0)} {
			if threads > 1 && len(texts) == 1 {
				continue
			}
			err := r.measure(ctx, func(row *Row) (err error) {
				row.Sizes = []Size{{"bytes", len(text)}, {"texts", len(texts)}, {"threads", threads}}
				row.Bytes = len(text)
				row.Times, err = timed(ctx, r.cfg.Reps, func() error {
					row.Tokens = encodeAll(tok, texts, threads)
					return nil
				})
				return err
			})
			if err != nil {
				return err
			}
			if threads == runtime.GOMAXPROCS(0) {
				break
			}
		}
	}
	return nil
}

// encodeAll returns the number of tokens.
func encodeAll(tok *tokenizer.Tokenizer, texts []string, threads int) int {
	n := 0
	if threads > 1 {
		for _, ids := range tok.EncodeBatch(texts, false) {
			n += len(ids)
		}
		return n
	}
	for _, text := range texts {
		n += len(tok.Encode(text))
	}
	return n
}

// englishText is a file, repeated to the size that is timed, or made-up English.
func englishText(file string) (string, error) {
	unit := madeUpEnglish()
	if file != "" {
		data, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("bench: text: %w", err)
		}
		if len(data) == 0 {
			return "", fmt.Errorf("bench: text %s is empty; give another file", file)
		}
		unit = string(data)
	}
	return strings.Repeat(unit, textBytes/len(unit)+1)[:textBytes], nil
}

// madeUpEnglish has some 3,000 different words.
func madeUpEnglish() string {
	var b strings.Builder
	syllables := []string{"con", "sti", "tu", "ment", "al", "ar", "go", "ly"}
	for i := range 3000 {
		b.WriteString("The quick brown fox jumps over the lazy dog. It's been a long day, hasn't it?\n\"We'll see,\" she said; in 1847")
		n := uint32(i) * 2654435761
		for j := range 4 {
			if j%2 == 0 {
				b.WriteByte(' ')
			}
			b.WriteString(syllables[n>>29])
			n <<= 3
		}
		b.WriteString(".\n\n")
	}
	return b.String()
}

// cutAt cuts a text before the first separator that stands so many bytes on, again and again.
func cutAt(text, separator string, bytes int) []string {
	var out []string
	for len(text) > bytes {
		n := strings.Index(text[bytes:], separator)
		if n < 0 {
			break
		}
		out = append(out, text[:bytes+n])
		text = text[bytes+n:]
	}
	return append(out, text)
}
