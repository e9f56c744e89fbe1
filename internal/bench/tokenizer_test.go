package bench

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etredal/cross-layer-transcoder/gpt2/tokenizer"
	"github.com/etredal/cross-layer-transcoder/internal/testbackend"
	"github.com/etredal/cross-layer-transcoder/internal/testenv"
)

// rows runs a suite on a tiny model.
func rows(t *testing.T, suite string, change func(*Config)) []map[string]any {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Shape, cfg.Tokens, cfg.Reps = "tiny", []int{4, 8}, 1
	if change != nil {
		change(&cfg)
	}
	var out []map[string]any
	err := Run(t.Context(), suite, testbackend.Open(t, "go"), "go", cfg, func(r Row) {
		data, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		m := map[string]any{}
		if err := json.Unmarshal(data, &m); err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		if m["bench"] != suite || m["min_s"].(float64) <= 0 || m["first_call_s"].(float64) <= 0 || m["gemm_gflops_now"].(float64) <= 0 {
			t.Errorf("%s", data)
		}
		out = append(out, m)
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestTokenizerSuite(t *testing.T) {
	testenv.Slow(t)
	file := filepath.Join(t.TempDir(), "text.txt")
	const unit = "It's a line of text, isn't it?\nAnd a second one, with 1234 in it.\n"
	if err := os.WriteFile(file, []byte(unit), 0o644); err != nil {
		t.Fatal(err)
	}
	out := rows(t, "tokenizer", func(c *Config) { c.Text = file })
	if len(out) < 3 {
		t.Fatalf("%d rows", len(out))
	}
	// About the tokens of the unit for each of its repetitions, however the text is cut.
	want := float64(textBytes) / float64(len(unit)) * float64(len(tokenizer.GPT2().Encode(unit)))
	for _, m := range out {
		if n := m["tokens_per_s"].(float64) * m["min_s"].(float64); n < 0.97*want || n > 1.05*want {
			t.Errorf("%v tokens, want about %v: %v", n, want, m)
		}
		if mb := m["mb_per_s"].(float64) * m["min_s"].(float64); mb < 5.2 || mb > 5.3 {
			t.Errorf("%v MB: %v", mb, m)
		}
	}
	if out[0]["texts"].(float64) != 1 || out[0]["threads"].(float64) != 1 {
		t.Errorf("the first row is %v", out[0])
	}
	for name, data := range map[string]string{"missing": "", "empty": "x"} {
		cfg := DefaultConfig()
		cfg.Text = filepath.Join(t.TempDir(), "none")
		if data != "" {
			if err := os.WriteFile(cfg.Text, nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := Run(t.Context(), "tokenizer", testbackend.Open(t, "go"), "go", cfg, nil); err == nil || !strings.Contains(err.Error(), "text") {
			t.Errorf("%s file: %v", name, err)
		}
	}
}

func TestCutAt(t *testing.T) {
	for _, text := range []string{"", "short", strings.Repeat("x", 1000), madeUpEnglish()} {
		pieces := cutAt(text, " ", shortBytes)
		if strings.Join(pieces, "") != text {
			t.Errorf("pieces of %.20q are another text", text)
		}
		for _, p := range pieces[:len(pieces)-1] {
			if len(p) < shortBytes || len(p) > 2*shortBytes {
				t.Errorf("a piece of %d bytes", len(p))
			}
		}
	}
}

func TestGenerateAndHooksSuites(t *testing.T) {
	testenv.Slow(t)
	if out := rows(t, "generate", nil); len(out) != 1 || out[0]["new"].(float64) < 10 || out[0]["tokens_per_s"].(float64) <= 0 || out[0]["gflop"].(float64) <= 0 {
		t.Errorf("%v", out)
	}
	if out := rows(t, "hooks", nil); len(out) != 2 || out[1]["tokens"].(float64) != 8 {
		t.Errorf("%v", out)
	}
}

// The work of generating is that of a prompt and of tokens one by one.
func TestStepGFLOP(t *testing.T) {
	c := Shapes()["tiny"]
	if got, want := stepGFLOPAt(c, 1), forwardGFLOP(c, 1); got < 0.999*want || got > 1.001*want {
		t.Errorf("one token alone: %v, a pass over one token: %v", got, want)
	}
}
