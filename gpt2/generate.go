package gpt2

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/gomlx/gomlx/core/tensors"
)

// GenerateConfig says how text is continued.
type GenerateConfig struct {
	Sampler
	N    int    // new tokens
	Seed uint64 // same seed, same tokens
	Stop []int32
}

// DefaultGenerateConfig is greedy and short.
func DefaultGenerateConfig() GenerateConfig { return GenerateConfig{N: 20, Seed: 1} }

// Generation is a continued prompt.
type Generation struct {
	Prompt   []int32
	Tokens   []int32   // the new ones
	Logprobs []float64 // of the new ones, nats, unrestricted distribution
}

// Generate continues a prompt with a KV cache. The program's hook sees each
// token once. report may be nil; a false return of it stops early.
func (m *Model) Generate(ctx context.Context, p Program, prompt []int32, cfg GenerateConfig, report func(token int32) bool) (*Generation, error) {
	if err := m.CheckTokens(prompt); err != nil {
		return nil, err
	}
	if cfg.N < 0 {
		return nil, fmt.Errorf("gpt2: generate %d tokens; give 0 or more", cfg.N)
	}
	if len(prompt)+cfg.N > m.Config.Context {
		return nil, fmt.Errorf("gpt2: %d prompt and %d new tokens are more than the context of %s, %d; ask for at most %d",
			len(prompt), cfg.N, m.Name, m.Config.Context, m.Config.Context-len(prompt))
	}
	s, err := m.newStepper(p, len(prompt)+cfg.N)
	if err != nil {
		return nil, err
	}
	g := &Generation{Prompt: append([]int32{}, prompt...)}
	r := rand.New(rand.NewPCG(cfg.Seed, 0x67656e))
	logits, err := s.step(prompt, 0)
	for i := 0; err == nil && i < cfg.N; i++ {
		if err = ctx.Err(); err != nil {
			break
		}
		id, lp := cfg.Pick(logits, r)
		g.Tokens, g.Logprobs = append(g.Tokens, id), append(g.Logprobs, lp)
		if (report != nil && !report(id)) || contains(cfg.Stop, id) || i == cfg.N-1 {
			break
		}
		logits, err = s.step([]int32{id}, len(prompt)+i)
	}
	return g, err
}

func contains(list []int32, id int32) bool {
	for _, v := range list {
		if v == id {
			return true
		}
	}
	return false
}

// stepper runs a program token by token on a KV cache that it owns.
type stepper struct {
	m     *Model
	p     Program
	cache *tensors.Tensor // [2·layer, key, head, d_head]
}

func (m *Model) newStepper(p Program, length int) (*stepper, error) {
	c := m.Config
	length = m.Bucket(length)
	cache := NewArray([]int{2 * c.Layers, length, c.Heads, c.DHead()}, m.Double)
	return &stepper{m: m, p: p, cache: cache.Tensor(m.Double)}, nil
}

// step feeds tokens that stand at start, start+1, … and returns the logits after
// the last of them.
func (s *stepper) step(tokens []int32, start int) ([]float64, error) {
	n := len(tokens)
	if n > 1 {
		n = min(s.m.Bucket(n), s.cache.Shape().Dimensions[1]-start)
	}
	padded := make([]int32, n)
	copy(padded, tokens)
	positions := make([]int32, n)
	for i := range positions {
		positions[i] = int32(start + i)
	}
	exec, err := Compiled(s.m, "step|"+s.p.Key, stepGraph(s.m.Config, s.p))
	if err != nil {
		return nil, err
	}
	args := []any{
		tensors.FromFlatDataAndDimensions(padded, 1, n),
		tensors.FromFlatDataAndDimensions(positions, n),
		tensors.FromFlatDataAndDimensions([]int32{int32(len(tokens) - 1)}, 1),
		s.cache,
	}
	for _, t := range s.p.Inputs {
		args = append(args, t)
	}
	out, err := exec.Call(args...)
	if err != nil {
		return nil, fmt.Errorf("gpt2: generate: %w", err)
	}
	if err := s.cache.FinalizeAll(); err != nil {
		return nil, fmt.Errorf("gpt2: generate: %w", err)
	}
	s.cache = out[1]
	logits, err := FromTensor(out[0])
	if err != nil {
		return nil, err
	}
	return logits.Float64s(), out[0].FinalizeAll()
}
