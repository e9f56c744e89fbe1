package gpt2

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/etredal/cross-layer-transcoder/internal/backend"
	"github.com/etredal/cross-layer-transcoder/internal/testbackend"
)

// withoutCache generates as Generate should, each token from a whole pass.
func withoutCache(t *testing.T, m *Model, prompt []int32, cfg GenerateConfig) *Generation {
	t.Helper()
	g := &Generation{Prompt: prompt}
	r := rand.New(rand.NewPCG(cfg.Seed, 0x67656e+uint64(cfg.Sample)))
	text := m.window(prompt)
	for range cfg.N {
		text = m.window(text)
		c, err := m.RunWithCache(text)
		if err != nil {
			t.Fatal(err)
		}
		row := c.Logits.Float64s()[(len(text)-1)*m.Config.DVocab:]
		seen := slices.Clone(row)
		for i := range seen {
			if cfg.RepetitionPenalty > 0 && slices.Contains(text, int32(i)) {
				if seen[i] > 0 {
					seen[i] /= cfg.RepetitionPenalty
				} else {
					seen[i] *= cfg.RepetitionPenalty
				}
			}
		}
		id, _ := cfg.Pick(seen, r)
		g.Tokens, g.Logprobs = append(g.Tokens, id), append(g.Logprobs, LogProbs(row)[id])
		text = append(slices.Clone(text), id)
		if slices.Contains(cfg.Stop, id) {
			break
		}
	}
	return g
}

// TestGenerateEqualsWholePasses holds every way of sampling against passes without
// a cache, on both backends.
func TestGenerateEqualsWholePasses(t *testing.T) {
	for _, b := range []string{"go", "xla"} {
		t.Run(b, func(t *testing.T) {
			m := loadOn(t, b, "testdata/tiny2", false)
			prompt := readMeta(t, "testdata/tiny2").Prompts[1].IDs
			base := GenerateConfig{N: 12, Seed: 7}
			for name, change := range map[string]func(*GenerateConfig){
				"greedy":      func(c *GenerateConfig) {},
				"temperature": func(c *GenerateConfig) { c.Temperature = 1.3 },
				"top k":       func(c *GenerateConfig) { c.Temperature, c.TopK = 1, 5 },
				"top p":       func(c *GenerateConfig) { c.Temperature, c.TopP = 1, 0.7 },
				"penalty":     func(c *GenerateConfig) { c.RepetitionPenalty = 1.8 },
				"sample":      func(c *GenerateConfig) { c.Temperature, c.Sample = 1, 3 },
				"slide":       func(c *GenerateConfig) { c.N, c.Slide = 70, true }, // the context is 32
			} {
				cfg := base
				change(&cfg)
				got, err := m.Generate(t.Context(), Program{}, prompt, cfg, nil)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				want := withoutCache(t, m, prompt, cfg)
				if fmt.Sprint(got.Tokens) != fmt.Sprint(want.Tokens) {
					t.Errorf("%s: tokens %v, without a cache %v", name, got.Tokens, want.Tokens)
					continue
				}
				for i, lp := range want.Logprobs {
					if math.Abs(got.Logprobs[i]-lp) > 1e-4 {
						t.Errorf("%s: log-probability %d is %g, without a cache %g", name, i, got.Logprobs[i], lp)
					}
				}
			}
		})
	}
}

// TestGenerateOnDevice holds generation with a cache that the host cannot reach, as
// on an accelerator, against passes without a cache.
func TestGenerateOnDevice(t *testing.T) {
	testbackend.Open(t, "xla") // or skip
	b, _, err := backend.Open(backend.FindPlugin("cpu") + ",shared_buffers=false")
	if err != nil {
		t.Fatal(err)
	}
	if b.HasSharedBuffers() {
		t.Fatal("the buffers are shared")
	}
	m, err := Load(b, "testdata/tiny2", LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	prompt := readMeta(t, "testdata/tiny2").Prompts[1].IDs
	cfg := GenerateConfig{N: 70, Seed: 7, Sampler: Sampler{Temperature: 1}, Slide: true} // the context is 32
	got, err := m.Generate(t.Context(), Program{}, prompt, cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := withoutCache(t, m, prompt, cfg); fmt.Sprint(got.Tokens) != fmt.Sprint(want.Tokens) {
		t.Errorf("tokens %v, without a cache %v", got.Tokens, want.Tokens)
	}
}

func TestGenerateVariants(t *testing.T) {
	m := loadOn(t, "go", "testdata/tiny2", false)
	ids := readMeta(t, "testdata/tiny2").Prompts[1].IDs
	generate := func(cfg GenerateConfig) []int32 {
		g, err := m.Generate(t.Context(), Program{}, ids, cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		return g.Tokens
	}
	hot := GenerateConfig{N: 10, Seed: 1, Sampler: Sampler{Temperature: 1.5}}
	first := generate(hot)
	if fmt.Sprint(first) != fmt.Sprint(generate(hot)) {
		t.Error("one seed gives two texts")
	}
	hot.Sample = 1
	if fmt.Sprint(first) == fmt.Sprint(generate(hot)) {
		t.Error("two samples are the same text")
	}
	greedy := generate(GenerateConfig{N: 10})
	stopped := generate(GenerateConfig{N: 10, Stop: greedy[3:4]})
	if n := slices.Index(greedy, greedy[3]) + 1; len(stopped) != n {
		t.Errorf("stopped after %v, want %v", stopped, greedy[:n])
	}
	strong := generate(GenerateConfig{N: 20, RepetitionPenalty: 1e6})
	for i, id := range strong {
		if slices.Contains(strong[:i], id) || slices.Contains(ids, id) {
			t.Errorf("token %d comes again in %v", id, strong)
			break
		}
	}
	if long := generate(GenerateConfig{N: 3, Slide: true}); len(long) != 3 {
		t.Errorf("%v", long)
	}
	g, err := m.Generate(t.Context(), Program{}, make([]int32, 100), GenerateConfig{N: 3, Slide: true}, nil)
	if err != nil || len(g.Tokens) != 3 {
		t.Errorf("a prompt longer than the context: %v, %v", g, err)
	}
}

func TestStream(t *testing.T) {
	m := loadOn(t, "go", "testdata/tiny2", false)
	ids := readMeta(t, "testdata/tiny2").Prompts[1].IDs
	want, err := m.Generate(t.Context(), Program{}, ids, GenerateConfig{N: 6}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []int32
	for token, err := range m.Stream(t.Context(), Program{}, ids, GenerateConfig{N: 6}) {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, token.ID); len(got) == 4 {
			break
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want.Tokens[:4]) {
		t.Errorf("streamed %v, want %v", got, want.Tokens[:4])
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	var last error
	for _, err := range m.Stream(ctx, Program{}, ids, GenerateConfig{N: 6}) {
		if n++; n == 2 {
			cancel()
		}
		last = err
	}
	if n != 3 || !errors.Is(last, context.Canceled) {
		t.Errorf("%d pairs, the last with %v; want two tokens and a cancellation", n, last)
	}
}

func TestGenerateRefusals(t *testing.T) {
	m := loadOn(t, "go", "testdata/tiny2", false)
	for want, cfg := range map[string]GenerateConfig{
		"0 or more": {N: -1}, "let the context slide": {N: 100}, "repetition penalty": {N: 1, RepetitionPenalty: -1},
		"penalty of NaN": {N: 1, RepetitionPenalty: math.NaN()}, "sample -1": {N: 1, Sample: -1},
	} {
		if _, err := m.Generate(t.Context(), Program{}, []int32{1, 2}, cfg, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", cfg, err, want)
		}
	}
	if _, err := m.Generate(t.Context(), Program{}, []int32{1, 500}, GenerateConfig{N: 1, Slide: true}, nil); err == nil {
		t.Error("a token outside the vocabulary was taken")
	}
}
