package main

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
)

func TestAttributeHeads(t *testing.T) {
	type share struct {
		Layer, Head int
		Weight      float64
	}
	r := decode[struct {
		Nodes int
		Heads []struct {
			Label string
			Edges []struct {
				Source struct{ ID string }
				Weight float64
				Parts  []share
			}
			Heads []share
		}
	}](t, must(t, joined("attribute", "-ids", "96,3,4,5", "-targets", "5", "-heads", "-head-edges", "3", "-json", "-dtype", "f64")...))
	if r.Nodes == 0 || len(r.Heads) != 1 || len(r.Heads[0].Edges) != 3 || len(r.Heads[0].Heads) == 0 {
		t.Fatalf("%+v", r)
	}
	for _, e := range r.Heads[0].Edges {
		sum := 0.0
		for _, p := range e.Parts {
			sum += p.Weight
		}
		if math.Abs(sum-e.Weight) > 1e-9 {
			t.Errorf("%s: edge %g, parts %g", e.Source.ID, e.Weight, sum)
		}
	}
	if text := must(t, joined("attribute", "-ids", "96,3,4,5", "-heads")...); !strings.Contains(text, "the last head that each part crosses") || !strings.Contains(text, "L3/H") {
		t.Errorf("for people: %s", text)
	}
	if plain := must(t, joined("attribute", "-ids", "96,3,4,5", "-json")...); strings.Contains(plain, `"heads"`) {
		t.Errorf("heads that nobody asked for: %s", plain)
	}
}

func TestQK(t *testing.T) {
	r := decode[struct {
		Query, Key        int
		Score, Sum, Prob  float64
		Pairs             []struct{ Weight float64 }
		QuerySide, KeySid []struct{}
	}](t, must(t, joined("qk", "-ids", "96,3,4,5", "-layer", "1", "-head", "1", "-query", "-1", "-key", "2", "-top", "5", "-json", "-dtype", "f64")...))
	if r.Query != 3 || r.Key != 2 || math.Abs(r.Score-r.Sum) > 1e-9 || len(r.Pairs) != 5 || !(r.Prob > 0) {
		t.Errorf("%+v", r)
	}
	if text := must(t, joined("qk", "-ids", "96,3,4,5", "-layer", "1", "-head", "0")...); !strings.Contains(text, "position 3") || !strings.Contains(text, "key side") {
		t.Errorf("for people: %s", text)
	}
}

func TestWeights(t *testing.T) {
	type response struct {
		Inputs, Outputs []struct {
			Layer, Index        int
			Virtual, ERA, TWERA float64
		}
		Tokens, Logits []struct{ ID int }
	}
	all := decode[response](t, must(t, "weights", "-backend", "go", "-model", tiny2, "-clt", transcoder, "2/9", "-json"))
	if len(all.Inputs) != 2*len(all.Outputs) || len(all.Tokens) != 97 || len(all.Logits) != 97 || all.Inputs[0].Virtual == 0 {
		t.Errorf("%d inputs, %d outputs, %d tokens", len(all.Inputs), len(all.Outputs), len(all.Tokens))
	}
	few := decode[response](t, must(t, "weights", "L2/F9", "-backend", "go", "-model", tiny2, "-clt", transcoder, "-json", "-top", "3"))
	if len(few.Inputs) != 3 || few.Inputs[0] != all.Inputs[0] {
		t.Errorf("top 3: %+v", few.Inputs)
	}
	if text := must(t, "weights", "2/9", "-backend", "go", "-model", tiny2, "-clt", transcoder); !strings.Contains(text, "From features of earlier layers") || strings.Contains(text, "TWERA") {
		t.Errorf("for people: %s", text)
	}
}

func TestWhatIf(t *testing.T) {
	text := must(t, joined("whatif", "-ids", "96,3,4,5", "-edit", "0,1,9=0", "-edit", "1,2+0/3*2")...)
	if !strings.Contains(text, "predicted by the graph") || !strings.Contains(text, "same sign") {
		t.Errorf("for people: %s", text)
	}
	r := decode[struct {
		Targets  []struct{ Predicted, Local, Model float64 }
		Crossing []string
		Local    struct{ Cosine float64 }
	}](t, must(t, joined("whatif", "-ids", "96,3,4,5", "-other-ids", "96,3,7,5", "-json")...))
	if len(r.Targets) < 5 || r.Targets[0].Model == 0 || r.Crossing == nil || r.Local.Cosine == 0 {
		t.Errorf("%+v", r)
	}
}

// A swap, a group and a vector in one call.
func TestInterveneMore(t *testing.T) {
	r := decode[struct {
		Edits  []string
		KL     *float64
		Groups []struct {
			Name     string
			Fraction *float64
		}
	}](t, must(t, joined("intervene", "-ids", "96,3,4,5", "-other-ids", "96,3,7,5", "-edit", "0,2,all=@2", "-edit", "1,2:+0/3*2", "-group", "mine=1/3@2,1/4@2", "-mode", "iterative", "-json")...))
	if len(r.Edits) < 2 || r.KL == nil || len(r.Groups) != 2 || r.Groups[1].Name != "mine" {
		t.Errorf("%+v", r)
	}
	text := must(t, joined("intervene", "-ids", "96,3,4,5", "-edit", "0,1,9*0", "-mode", "iterative")...)
	if !strings.Contains(text, "Supernodes") || !strings.Contains(text, "KL(before || after)") {
		t.Errorf("for people: %s", text)
	}
	a := must(t, tiny("generate", "-ids", "96,3,4", "-n", "3", "-json", "-clt", transcoder, "-edit", "1,1:+0/3*9")...)
	b := must(t, tiny("generate", "-ids", "96,3,4", "-n", "3", "-json", "-clt", transcoder, "-edit", "1,1:+0/3*0")...)
	if a == b {
		t.Error("a vector changes no generation")
	}
	if !json.Valid([]byte(a)) {
		t.Error(a)
	}
}

func TestFaithfulnessVerb(t *testing.T) {
	file := t.TempDir() + "/f.json"
	args := []string{"faithfulness", "-backend", "go", "-prompt", " The capital of France is", "-features", "6", "-draws", "1", "-o", file}
	if text := must(t, args...); !strings.Contains(text, "Spearman") || !strings.Contains(text, "layers on") {
		t.Errorf("for people: %s", text)
	}
	r := decode[struct {
		Complete   bool
		Predictors []struct{ Name string }
		Prompts    []struct{ Ablations []struct{ KL []float64 } }
	}](t, must(t, append(args, "-resume", "-json")...))
	if !r.Complete || len(r.Predictors) != 3 || len(r.Prompts) != 1 || len(r.Prompts[0].Ablations) != 6 {
		t.Errorf("%+v", r)
	}
}
