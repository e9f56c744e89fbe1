package main

import (
	"encoding/json"
	"flag"
	"math"
	"testing"

	"github.com/etredal/cross-layer-transcoder/clt"
)

// The recipe for GPT-2 small on one accelerator is a settings file that train
// takes, of 100 M tokens, and fits a card of 80 GB.
func TestGPURecipe(t *testing.T) {
	c := &call{given: map[string]bool{}}
	f := flag.NewFlagSet("train", flag.ContinueOnError)
	trainVerb(f)
	settings, err := configFile(c, f, "../../tutorials/gpt2-small-gpu.json")
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	tc := clt.DefaultTrainConfig()
	if err := json.Unmarshal(text, &tc); err != nil {
		t.Fatal(err)
	}
	if err := tc.Validate(); err != nil {
		t.Fatal(err)
	}
	cfg := clt.DefaultConfig(12, 768)
	cfg.Features = f.Lookup("features").Value.(flag.Getter).Get().(int)
	cfg.Activation, cfg.K = f.Lookup("activation").Value.String(), f.Lookup("k").Value.(flag.Getter).Get().(int)
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	e := clt.EstimateTraining(cfg, tc, 170e6, false)
	if math.Abs(float64(e.Tokens)-1e8) > 1e6 || e.Bytes() > 80e9 {
		t.Errorf("%s", e)
	}
	t.Log(e)
}
