package gpt2

import (
	"context"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
)

// GenerateConfig says how text is continued.
type GenerateConfig struct {
	Sampler
	N      int    // new tokens
	Seed   uint64 // same seed, same tokens
	Sample int    // which of the continuations that one seed has, 0 the first
	Stop   []int32

	// RepetitionPenalty makes tokens of the text so far less likely: their logits are
	// divided by it when positive and multiplied when negative (Keskar et al. 2019,
	// section 4.1). 0 and 1 change nothing.
	RepetitionPenalty float64

	// Slide lets the text be longer than the context: when it is, the model goes on
	// with its last half context of tokens, which then stand at positions 0, 1, ….
	// Without it a text that is too long is an error.
	Slide bool
}

// DefaultGenerateConfig is greedy and short.
func DefaultGenerateConfig() GenerateConfig {
	return GenerateConfig{N: 20, Seed: 1, RepetitionPenalty: 1}
}

func (m *Model) checkGenerate(prompt []int32, cfg GenerateConfig) error {
	switch {
	case cfg.N < 0:
		return fmt.Errorf("gpt2: generate %d tokens; give 0 or more", cfg.N)
	case !(cfg.RepetitionPenalty >= 0) || math.IsInf(cfg.RepetitionPenalty, 1):
		return fmt.Errorf("gpt2: a repetition penalty of %g; give a positive number, 1 for none", cfg.RepetitionPenalty)
	case cfg.Slide && m.Config.Context < 2:
		return fmt.Errorf("gpt2: a context of %d is too short to slide", m.Config.Context)
	case cfg.Sample < 0:
		return fmt.Errorf("gpt2: sample %d; give 0 or more", cfg.Sample)
	case cfg.Slide:
		return m.CheckTokens(m.window(prompt))
	}
	if err := m.CheckTokens(prompt); err != nil {
		return err
	}
	if len(prompt)+cfg.N > m.Config.Context {
		return fmt.Errorf("gpt2: %d prompt and %d new tokens are more than the context of %s, %d; ask for at most %d, or let the context slide",
			len(prompt), cfg.N, m.Name, m.Config.Context, m.Config.Context-len(prompt))
	}
	return nil
}

// window is what is read of a text: the whole, or as much of its end as half the
// context takes, if it is longer than the context.
func (m *Model) window(text []int32) []int32 {
	if len(text) <= m.Config.Context {
		return text
	}
	return text[len(text)-m.Config.Context/2:]
}

// Generated is one new token.
type Generated struct {
	ID      int32
	Logprob float64 // nats, unrestricted distribution at temperature 1
}

// Stream continues a prompt with a KV cache, a token at a time. The program's hook
// sees each token once. The last pair may hold an error instead of a token, that of
// ctx for one. Leaving the loop ends the work.
func (m *Model) Stream(ctx context.Context, p Program, prompt []int32, cfg GenerateConfig) iter.Seq2[Generated, error] {
	return func(yield func(Generated, error) bool) {
		if err := m.stream(ctx, p, prompt, cfg, func(g Generated) bool { return yield(g, nil) }); err != nil {
			yield(Generated{}, err)
		}
	}
}

func (m *Model) stream(ctx context.Context, p Program, prompt []int32, cfg GenerateConfig, use func(Generated) bool) error {
	if err := m.checkGenerate(prompt, cfg); err != nil {
		return err
	}
	text := append([]int32{}, m.window(prompt)...)
	s, err := m.newStepper(p, min(len(text)+cfg.N, m.Config.Context))
	if err != nil {
		return err
	}
	defer s.close()
	r := rand.New(rand.NewPCG(cfg.Seed, 0x67656e+uint64(cfg.Sample)))
	read := 0 // tokens of text that the cache holds
	for range cfg.N {
		if err := ctx.Err(); err != nil {
			return err
		}
		if w := m.window(text); len(w) < len(text) {
			text, read = append([]int32{}, w...), 0
		}
		logits, err := s.step(text[read:], read)
		if err != nil {
			return err
		}
		read = len(text)
		id, lp := cfg.Pick(penalized(logits, text, cfg.RepetitionPenalty), r)
		if cfg.RepetitionPenalty > 0 && cfg.RepetitionPenalty != 1 {
			lp = logits[id] - logSumExp(logits)
		}
		if math.IsNaN(lp) {
			return fmt.Errorf("gpt2: generate: the logits at position %d are not finite; the numbers overflow, use smaller edits or float64", len(text)-1)
		}
		if !use(Generated{id, lp}) || slices.Contains(cfg.Stop, id) {
			return nil
		}
		text = append(text, id)
	}
	return nil
}

// penalized is a row of logits with those of the tokens in text made smaller.
func penalized(logits []float64, text []int32, penalty float64) []float64 {
	if penalty == 0 || penalty == 1 {
		return logits
	}
	out := slices.Clone(logits)
	for _, id := range text {
		if v := logits[id]; v > 0 {
			out[id] = v / penalty
		} else {
			out[id] = v * penalty
		}
	}
	return out
}

// Generation is a continued prompt.
type Generation struct {
	Prompt   []int32
	Tokens   []int32   // the new ones
	Logprobs []float64 // of the new ones, nats, unrestricted distribution
}

// Generate is Stream with the tokens collected. report may be nil; a false return
// of it stops early. With an error comes what there was until then.
func (m *Model) Generate(ctx context.Context, p Program, prompt []int32, cfg GenerateConfig, report func(token int32) bool) (*Generation, error) {
	g := &Generation{Prompt: append([]int32{}, prompt...)}
	err := m.stream(ctx, p, prompt, cfg, func(t Generated) bool {
		g.Tokens, g.Logprobs = append(g.Tokens, t.ID), append(g.Logprobs, t.Logprob)
		return report == nil || report(t.ID)
	})
	return g, err
}
