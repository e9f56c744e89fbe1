package gpt2

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/etredal/cross-layer-transcoder/gpt2/tokenizer"
	"github.com/etredal/cross-layer-transcoder/internal/golden"
	"github.com/etredal/cross-layer-transcoder/internal/testenv"
)

// realFacts are what is known of the published GPT-2 small on one prompt. They come
// from an export with another GELU, perhaps of 8 bits: its own notes ask for ranks and
// for the bounds of faults, not for digits.
type realFacts struct {
	Prompt string   `json:"prompt"`
	IDs    []int32  `json:"ids"`
	Argmax int32    `json:"argmax"`
	Top    []ranked `json:"top200"`

	pattern []float64 // [layer, head, pos, pos]
}

type ranked struct {
	ID      int32   `json:"id"`
	Logprob float64 `json:"logprob"` // nats
}

// faults lists how a run differs from the facts: another likeliest token, fewer than 8
// of the top 10 among their top 12, a log-probability off by 0.35 nats, attention off
// by 0.01 in the mean.
func (f realFacts) faults(c *Cache, layers int) (list []string) {
	add := func(format string, args ...any) {
		list = append(list, fmt.Sprintf("%q: ", f.Prompt)+fmt.Sprintf(format, args...))
	}
	last := LogProbs(c.Logits.row(len(f.IDs) - 1).Float64s())
	order := make([]int32, len(last))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int { return cmp.Compare(last[b], last[a]) })
	if order[0] != f.Argmax {
		add("the likeliest token is %d, theirs is %d", order[0], f.Argmax)
	}
	among := 0
	for _, x := range f.Top[:12] {
		if slices.Contains(order[:10], x.ID) {
			among++
		}
	}
	if among < 8 {
		add("%d of the ten likeliest tokens are among their twelve", among)
	}
	for _, x := range f.Top[:10] {
		if d := last[x.ID] - x.Logprob; !(math.Abs(d) <= 0.35) {
			add("token %d has log-probability %.3f, theirs is %.3f", x.ID, last[x.ID], x.Logprob)
		}
	}
	var sum float64
	for l := range layers {
		a := c.Hooks[HookName(fmt.Sprintf("blocks.%d.attn.hook_pattern", l))]
		for i := range a.Len() {
			sum += math.Abs(a.At(i) - f.pattern[l*a.Len()+i])
		}
	}
	if d := sum / float64(len(f.pattern)); !(d <= 0.01) {
		add("attention differs by %.4f in the mean", d)
	}
	return list
}

// published continuations of GPT-2 small, greedy: those that Hugging Face's own tests
// of the model expect.
var published = map[string]string{
	"The dog":            " was found in a field near the intersection of West and West Streets.\n\nThe dog",
	"The flying machine": " is a small, lightweight, and lightweight aircraft that can be used for any type of",
}

// TestWeightsOfGPT2Small holds the published model, if it is there, against what is
// known of it: GPT2_DIR=folder go test -run Weights ./gpt2
func TestWeightsOfGPT2Small(t *testing.T) {
	dir := os.Getenv("GPT2_DIR")
	if dir == "" {
		testenv.Skip(t, "GPT-2 small is not here; set GPT2_DIR to its folder (clt fetch gpt2 downloads it)")
	}
	for _, name := range []string{"go", "xla:cpu"} {
		t.Run(name, func(t *testing.T) {
			m := loadOn(t, name, dir, false)
			if m.Config != Small() {
				t.Fatalf("%s is %+v, GPT-2 small is %+v; set GPT2_DIR to the published model", filepath.Base(dir), m.Config, Small())
			}
			tok := tokenizer.GPT2()
			if m.Tokenizer != nil && m.Tokenizer.SHA256() != tok.SHA256() {
				t.Error("its vocabulary is not the published one")
			}
			for prompt, want := range published {
				ids := tok.Encode(prompt)
				g, err := m.Generate(t.Context(), Program{}, ids, GenerateConfig{N: len(tok.Encode(want))}, nil)
				if err != nil {
					t.Fatal(err)
				}
				if got := tok.DecodeString(g.Tokens); got != want {
					t.Errorf("%q goes on with %q, want %q", prompt, got, want)
				}
			}
			compareWithFacts(t, m, tok)
		})
	}
}

func compareWithFacts(t *testing.T, m *Model, tok *tokenizer.Tokenizer) {
	root := filepath.Join(golden.Dir(t), "gpt2-small-real")
	files, err := filepath.Glob(filepath.Join(root, "ex*.json"))
	if err != nil || len(files) == 0 {
		t.Fatal("no facts: ", err)
	}
	for _, file := range files {
		var f realFacts
		readJSON(t, file, &f)
		if ids := tok.Encode(f.Prompt); !slices.Equal(ids, f.IDs) {
			t.Errorf("%q is %v, want %v", f.Prompt, ids, f.IDs)
		}
		attention := openSafetensors(t, file[:len(file)-len(".json")]+"_attention.safetensors")
		if f.pattern, err = attention.Float64("attention_pattern"); err != nil {
			t.Fatal(err)
		}
		c, err := m.RunWithCache(f.IDs, "*attn.hook_pattern")
		if err != nil {
			t.Fatal(err)
		}
		for _, fault := range f.faults(c, m.Config.Layers) {
			t.Error(fault)
		}
	}
}

// The comparison finds what it is there for: a model agrees with its own facts, and
// with no others.
func TestFactsAreCompared(t *testing.T) {
	m := loadOn(t, "go", "testdata/tiny2", false)
	ids := []int32{96, 3, 4, 50}
	c, err := m.RunWithCache(ids, "*attn.hook_pattern")
	if err != nil {
		t.Fatal(err)
	}
	own := func() realFacts {
		f := realFacts{Prompt: "x", IDs: ids}
		last := LogProbs(c.Logits.row(len(ids) - 1).Float64s())
		for id, lp := range last {
			f.Top = append(f.Top, ranked{int32(id), lp})
		}
		slices.SortFunc(f.Top, func(a, b ranked) int { return cmp.Compare(b.Logprob, a.Logprob) })
		f.Argmax = f.Top[0].ID
		for l := range m.Config.Layers {
			f.pattern = append(f.pattern, c.Hooks[HookName(fmt.Sprintf("blocks.%d.attn.hook_pattern", l))].Float64s()...)
		}
		return f
	}
	if faults := own().faults(c, m.Config.Layers); len(faults) > 0 {
		t.Error(faults)
	}
	for name, change := range map[string]func(f *realFacts){
		"likeliest":   func(f *realFacts) { f.Argmax++ },
		"ranks":       func(f *realFacts) { slices.Reverse(f.Top) },
		"probability": func(f *realFacts) { f.Top[9].Logprob += 0.4 },
		"nan":         func(f *realFacts) { f.Top[3].Logprob = math.NaN() },
		"attention":   func(f *realFacts) { slices.Reverse(f.pattern) },
	} {
		f := own()
		change(&f)
		if len(f.faults(c, m.Config.Layers)) == 0 {
			t.Errorf("%s: no difference found", name)
		}
	}
}
