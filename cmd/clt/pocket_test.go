package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/internal/engine"
)

// The embedded model answers without any flag but the prompt.
func TestPocket(t *testing.T) {
	type response struct {
		IDs    []int32
		Tokens []string
		Top    []struct {
			Token string
			Prob  float64
		}
	}
	const prompt = " The capital of France is"
	r := decode[response](t, must(t, "run", "-backend", "go", "-prompt", prompt, "-json"))
	if r.Top[0].Token != " Paris" || r.Top[0].Prob < 0.5 || r.Tokens[0] != "<|endoftext|>" {
		t.Errorf("%+v", r)
	}
	alone := decode[response](t, must(t, "run", "-backend", "go", "-prompt", prompt, "-bos=false", "-json"))
	if !slices.Equal(alone.IDs, r.IDs[1:]) {
		t.Errorf("-bos=false reads %v, with it %v", alone.IDs, r.IDs)
	}
	// tokenize reads text as the model does.
	if got := decode[tokens](t, must(t, "tokenize", prompt)); !slices.Equal(got.IDs, alone.IDs) {
		t.Errorf("tokenize gives %v, the model reads %v", got.IDs, alone.IDs)
	}
	if text := must(t, "generate", "-backend", "go", "-prompt", prompt, "-n", "1"); text != prompt+" Paris\n" {
		t.Errorf("generated %q", text)
	}
}

// Its graph proves itself and is about the answer.
func TestPocketGraph(t *testing.T) {
	out := filepath.Join(t.TempDir(), "g.safetensors")
	text := must(t, "attribute", "-backend", "go", "-prompt", " The capital of France is", "-o", out)
	if !strings.Contains(text, "Paris") || !strings.Contains(text, "every row adds up") {
		t.Errorf("%q", text)
	}
	g, err := engine.LoadGraph(out)
	if err != nil {
		t.Fatal(err)
	}
	if g.Nodes[g.TopTarget()].Label != " Paris" || g.Count(attribution.Feature) < 20 {
		t.Errorf("target %q, %d features", g.Nodes[g.TopTarget()].Label, g.Count(attribution.Feature))
	}
}
