package bench

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

func TestGFLOP(t *testing.T) {
	// One token of GPT-2 small: twice its 123.5 million weights of matrices and head.
	if got := forwardGFLOP(gpt2.Small(), 1); math.Abs(got-0.2471) > 0.001 {
		t.Errorf("forward of one token: %g GFLOP", got)
	}
	// What a token reads: 84.9 M weights of the blocks, 38.6 M of the tied head.
	if got := newWeightReader(&gpt2.Model{Config: gpt2.Small()}).bytes; got != 4*(12*12*768*768+50257*768) {
		t.Errorf("a token reads %g bytes of weights", got)
	}
	// A dense step costs 396,288 FLOP per token and feature at 12 layers of 768.
	cfg := clt.DefaultConfig(12, 768)
	cfg.Features = 10
	if got, want := stepGFLOP(cfg, 3), 396288.0*10*3/1e9; math.Abs(got-want) > 1e-12 {
		t.Errorf("training step: %g GFLOP, want %g", got, want)
	}
}

func TestRowJSON(t *testing.T) {
	r := Row{Bench: "gpt2", Sizes: []Size{{"tokens", 4}, {"layers", 2}}, Backend: "go", GFLOP: 3, GEMM: 60, PeakMB: 12.5, ReadGB: 0.5, Memory: 10,
		Times: withStats(Times{First: time.Second}, []time.Duration{300 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond})}
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	for key, want := range map[string]any{"bench": "gpt2", "tokens": 4.0, "layers": 2.0, "backend": "go", "min_s": 0.1, "median_s": 0.2,
		"first_call_s": 1.0, "peak_rss_mb": 12.5, "gflop": 3.0, "gflops": 30.0, "gemm_gflops_now": 60.0, "pct_gemm": 50.0,
		"gb_read": 0.5, "gb_per_s": 5.0, "memory_gb_per_s_now": 10.0, "pct_memory": 50.0} {
		if got[key] != want {
			t.Errorf("%s is %v, want %v", key, got[key], want)
		}
	}
}

func TestConfigValidate(t *testing.T) {
	for _, change := range []func(c *Config){
		func(c *Config) { c.Shape = "huge" }, func(c *Config) { c.Tokens = nil }, func(c *Config) { c.Tokens = []int{0} },
		func(c *Config) { c.Tokens = []int{1025} }, func(c *Config) { c.Reps = 0 }, func(c *Config) { c.Features = 0 },
	} {
		c := DefaultConfig()
		change(&c)
		if c.Validate() == nil {
			t.Errorf("%+v is taken", c)
		}
	}
	if err := DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
}
