package tokenizer

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// AppendEncode appends the tokens of a text, read as Encode reads it, to dst. With room in dst, and when the text's
// pieces have been met before, it allocates nothing.
func (t *Tokenizer) AppendEncode(dst []int32, text string) []int32 {
	e := t.encoder()
	dst = e.encode(t, dst, text)
	t.putBack(e)
	return dst
}

// EncodeBatch encodes many texts at once, on all cores: Encode, or EncodeSpecial when special, of each.
func (t *Tokenizer) EncodeBatch(texts []string, special bool) [][]int32 {
	out := make([][]int32, len(texts))
	workers := min(runtime.GOMAXPROCS(0), len(texts))
	if workers <= 1 {
		for i, text := range texts {
			out[i] = t.encode(text, special)
		}
		return out
	}
	// Texts are taken in runs, since a line is encoded in less time than it takes to hand it over.
	run := int64(max(1, min(64, len(texts)/(4*workers))))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for {
				end := next.Add(run)
				begin := int(end - run)
				if begin >= len(texts) {
					return
				}
				for i := begin; i < min(int(end), len(texts)); i++ {
					out[i] = t.encode(texts[i], special)
				}
			}
		})
	}
	wg.Wait()
	return out
}
