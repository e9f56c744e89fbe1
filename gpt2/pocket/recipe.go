package pocket

import (
	"fmt"
	"math/rand/v2"

	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/gpt2/pocket/world"
	"github.com/etredal/cross-layer-transcoder/gpt2/tokenizer"
)

// WorldSeed decides the facts of the world that the shipped model learnt.
const WorldSeed = 1

// corpusBytes is how much text the tokenizer is trained on.
const corpusBytes = 1 << 20

// Tokenizer trains the pocket model's byte-level BPE: every word of the world
// with its leading space is one token.
func Tokenizer(w *world.World) (*tokenizer.Tokenizer, error) {
	return tokenizer.Train(func(yield func(string) bool) { yield(w.Corpus(WorldSeed, corpusBytes)) },
		tokenizer.TrainConfig{VocabSize: 4096, MinFrequency: 1 << 30, Require: w.Words()})
}

// Config is the pocket model's architecture for a vocabulary of that size.
func Config(vocab int, bos int32) gpt2.Config {
	return gpt2.Config{Layers: 4, DModel: 128, Heads: 4, DMLP: 512, DVocab: vocab, Context: 64,
		LayerNormEps: 1e-5, TieEmbeddings: true, BOS: bos}
}

// Windows is a source of training windows: <|endoftext|> and one document of the
// world each, cut to the window. It depends on the seed and the step alone.
func Windows(w *world.World, t *tokenizer.Tokenizer, batch, window int, seed uint64) gpt2.TokenSource {
	return func(step int) ([][]int32, error) {
		list := make([][]int32, batch)
		for i := range list {
			r := rand.New(rand.NewPCG(seed, uint64(step)*uint64(batch)+uint64(i)))
			ids := append([]int32{t.EOT()}, t.Encode(w.Document(r, window))...)
			if len(ids) < window {
				return nil, fmt.Errorf("pocket: a document of the world has %d tokens, the window is %d", len(ids), window)
			}
			list[i] = ids[:window]
		}
		return list, nil
	}
}

// Accuracy is how often a model answers right.
type Accuracy struct {
	Behaviour string  `json:"behaviour"`
	Chance    float64 `json:"chance"`
	Seen      float64 `json:"seen"`
	SeenN     int     `json:"seen_n"`
	HeldOut   float64 `json:"held_out"` // -1 if nothing is held out
	HeldOutN  int     `json:"held_out_n"`
}

// Evaluate asks the model every question of the world; the answer is the token
// with the highest logit, all tokens competing.
func Evaluate(m *gpt2.Model, w *world.World) ([]Accuracy, error) {
	var list []Accuracy
	for _, b := range w.Behaviours() {
		a := Accuracy{Behaviour: b.Name, Chance: b.Chance, SeenN: len(b.Seen), HeldOutN: len(b.HeldOut), HeldOut: -1}
		var err error
		if a.Seen, err = accuracy(m, b.Seen); err != nil {
			return nil, err
		}
		if len(b.HeldOut) > 0 {
			if a.HeldOut, err = accuracy(m, b.HeldOut); err != nil {
				return nil, err
			}
		}
		list = append(list, a)
	}
	return list, nil
}

// accuracy answers cases in batches of one length, padded on the right.
func accuracy(m *gpt2.Model, cases []world.Case) (float64, error) {
	const batch = 50
	right := 0
	for lo := 0; lo < len(cases); lo += batch {
		part := cases[lo:min(lo+batch, len(cases))]
		ids, last := make([][]int32, batch), make([]int, batch)
		for i := range ids {
			c := part[min(i, len(part)-1)]
			tokens, err := m.Encode(c.Prompt, true)
			if err != nil {
				return 0, err
			}
			last[i] = len(tokens) - 1
			ids[i] = append(tokens, make([]int32, m.Config.Context-len(tokens))...)
		}
		logits, _, err := m.RunBatch(gpt2.Program{}, ids)
		if err != nil {
			return 0, err
		}
		v := m.Config.DVocab
		for i, c := range part {
			row := logits.F32[(i*m.Config.Context+last[i])*v:][:v]
			best := 0
			for j, x := range row {
				if x > row[best] {
					best = j
				}
			}
			if c.Right(m.TokenText(int32(best))) {
				right++
			}
		}
	}
	return float64(right) / float64(len(cases)), nil
}
