package engine

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// tinySetup is a random GPT-2 and a random transcoder for it, in float64.
func tinySetup() wire.Setup {
	return wire.Setup{Model: "../../gpt2/testdata/tiny2", CLT: "../../clt/replacement/testdata/clt_relu_resid_mid/transcoder", Backend: "go", DType: "f64"}
}

var tinyPrompt = wire.Prompt{IDs: []int32{96, 23, 43, 4, 79, 94, 33}}

func TestHeadsVerb(t *testing.T) {
	s := testService(t)
	r, err := s.Heads(t.Context(), wire.HeadsRequest{Setup: tinySetup(), Prompt: tinyPrompt, Targets: []string{"5", "feature:2/9@4"}, Top: 4}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Targets) != 2 || r.Targets[0].Target.ID != "l5@6" || r.Targets[1].Target.ID != "f2/9@4" {
		t.Fatalf("targets %+v", r.Targets)
	}
	crossed := 0
	for _, target := range r.Targets {
		if len(target.Edges) != 4 || len(target.Heads) < 2 {
			t.Errorf("%s has %d edges and %d heads", target.Target.ID, len(target.Edges), len(target.Heads))
		}
		for i, e := range target.Edges {
			sum := 0.0
			for _, p := range e.Parts {
				sum += p.Weight
				if p.Layer >= 0 {
					crossed++
				}
			}
			if math.Abs(sum-e.Weight) > 1e-9 || i > 0 && math.Abs(e.Weight) > math.Abs(target.Edges[i-1].Weight) {
				t.Errorf("%s -> %s is %g, its parts add up to %g", e.Source.ID, target.Target.ID, e.Weight, sum)
			}
		}
	}
	if crossed == 0 {
		t.Error("no edge crosses a head")
	}
	all, err := s.Heads(t.Context(), wire.HeadsRequest{Setup: tinySetup(), Prompt: tinyPrompt, MaxLogits: 3, LogitProb: 1}, nil)
	if err != nil || len(all.Targets) != 3 || len(all.Targets[0].Edges) != 10 {
		t.Errorf("top logits: %d targets, %v", len(all.Targets), err)
	}
}

func TestQKVerb(t *testing.T) {
	s := testService(t)
	ask := func(req wire.QKRequest) (wire.QKResponse, error) {
		req.Setup, req.Prompt = tinySetup(), tinyPrompt
		return s.QK(t.Context(), req, nil)
	}
	r, err := ask(wire.QKRequest{Layer: 2, Head: 1})
	if err != nil {
		t.Fatal(err)
	}
	kinds := 0.0
	for _, k := range r.Kinds {
		kinds += k.Weight
	}
	if r.Query != 6 || r.Prob != slices.Max(r.Pattern) || math.Abs(r.Sum-r.Score) > 1e-9 || math.Abs(kinds-r.Score) > 1e-9 || len(r.Pairs) != 20 || len(r.QuerySide) != 20 || len(r.KeySide) == 0 {
		t.Errorf("%+v", r)
	}
	minus := func(n int) *int { return &n }
	if r, err = ask(wire.QKRequest{Layer: 2, Head: 1, Query: minus(-2), Key: minus(-5), Top: 3}); err != nil || r.Query != 5 || r.Key != 2 || len(r.Pairs) != 3 {
		t.Errorf("counted from the end: %+v, %v", r, err)
	}
	for want, req := range map[string]wire.QKRequest{
		"layers are 0..3": {Layer: 4}, "heads 0..": {Head: 99}, "query 9": {Query: minus(9)}, "keys 0..3": {Query: minus(3), Key: minus(4)}, "key -3": {Key: minus(-10)},
	} {
		if _, err := ask(req); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want one with %q", req, err, want)
		}
	}
}

func TestWeightsVerb(t *testing.T) {
	s := testService(t)
	f := clt.Feature{Layer: 2, Index: 9}
	r, err := s.Weights(t.Context(), wire.WeightsRequest{Setup: tinySetup(), Layer: f.Layer, Index: f.Index}, nil)
	if err != nil {
		t.Fatal(err)
	}
	m, _, err := s.join(tinySetup())
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Inputs) != 2*m.CLT.Features || len(r.Outputs) != m.CLT.Features || len(r.Tokens) != 97 || len(r.Logits) != 97 || r.Seen != 0 {
		t.Errorf("%d inputs, %d outputs, %d tokens, %d logits", len(r.Inputs), len(r.Outputs), len(r.Tokens), len(r.Logits))
	}
	for i, w := range r.Inputs {
		want, err := m.VirtualWeight(clt.Feature{Layer: w.Layer, Index: w.Index}, f, nil)
		if err != nil || want.Virtual != w.Virtual || i > 0 && math.Abs(w.Virtual) > math.Abs(r.Inputs[i-1].Virtual) {
			t.Fatalf("input %d is %+v, want %+v, %v", i, w, want, err)
		}
	}
	few, err := s.Weights(t.Context(), wire.WeightsRequest{Setup: tinySetup(), Layer: f.Layer, Index: f.Index, Top: 3}, nil)
	if err != nil || len(few.Inputs) != 3 || few.Inputs[0] != r.Inputs[0] || len(few.Tokens) != 3 {
		t.Errorf("top 3: %+v, %v", few, err)
	}
	for want, req := range map[string]wire.WeightsRequest{
		"there is no feature": {Layer: 4}, "tokenizer": {World: true}, "give 0 or more": {Top: -1}, "either the world or texts": {World: true, Texts: []string{"x"}},
	} {
		req.Setup = tinySetup()
		if _, err := s.Weights(t.Context(), req, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want one with %q", req, err, want)
		}
	}
}

// TestWhatIfVerb: a small change is predicted exactly, a large one is called out.
func TestWhatIfVerb(t *testing.T) {
	s := testService(t)
	ask := func(edits ...string) wire.WhatIfResponse {
		t.Helper()
		r, err := s.WhatIf(t.Context(), wire.WhatIfRequest{Setup: tinySetup(), Prompt: tinyPrompt, Edits: edits}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	enc, err := s.Encode(t.Context(), wire.EncodeRequest{Setup: tinySetup(), Prompt: tinyPrompt}, nil)
	if err != nil {
		t.Fatal(err)
	}
	small := ask(editOf(enc.Active[0], "*1.0001"), "1,3,resid_mid+0/4*0.0001")
	if len(small.Targets) != 5 || len(small.Crossing) != 0 || small.Off+small.On != 0 || math.Abs(small.Local.Cosine-1) > 1e-9 || small.Local.NMSE > 1e-12 || small.Local.Sign != 1 || small.Local.Features < 5 {
		t.Errorf("a small change: %+v", small)
	}
	for _, w := range small.Targets {
		if math.Abs(w.Predicted-w.Local) > 1e-10 || w.Local == 0 || w.Local == w.Model {
			t.Errorf("%+v", w)
		}
	}
	large := ask(editOf(enc.Active[0], "*-30"), editOf(enc.Active[1], "*40"))
	if len(large.Crossing) == 0 || large.Off+large.On == 0 || len(large.Warnings) < 2 || !strings.Contains(strings.Join(large.Warnings, " "), "threshold") {
		t.Errorf("a large change: %+v", large)
	}
	if _, err := json.Marshal(large); err != nil {
		t.Error(err)
	}
}

// TestInterveneReadsOut: groups, divergence, the total prediction and warnings.
func TestInterveneReadsOut(t *testing.T) {
	s := testService(t)
	enc, err := s.Encode(t.Context(), wire.EncodeRequest{Setup: tinySetup(), Prompt: tinyPrompt}, nil)
	if err != nil {
		t.Fatal(err)
	}
	a, b := enc.Active[0], enc.Active[len(enc.Active)-1]
	req := wire.InterveneRequest{Setup: tinySetup(), Prompt: tinyPrompt, Edits: []string{editOf(a, "*0")}, Mode: "iterative", Freeze: "attention,ln",
		Groups: []wire.Group{{Name: "late", Features: []string{placeOf(b), "f" + placeOf(a)}}}}
	r, err := s.Intervene(t.Context(), req, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Groups) != 2 || r.Groups[0].Name != "edited" || r.Groups[0].Fraction == nil || *r.Groups[0].Fraction != 0 || r.Groups[0].Before != a.Value {
		t.Errorf("edited group %+v", r.Groups)
	}
	if g := r.Groups[1]; g.Features != 2 || math.Abs(g.Before-a.Value-b.Value) > 1e-9 || g.Fraction == nil {
		t.Errorf("group %+v", g)
	}
	if !(r.KL > 0) || !(r.KLMean > 0) || r.Tracked[0].PredictedTotal == nil {
		t.Errorf("KL %g, mean %g, %+v", r.KL, r.KLMean, r.Tracked)
	}
	if len(r.Crossing) == 0 && r.Off+r.On == 0 {
		if d := *r.Tracked[0].PredictedTotal - r.Tracked[0].Measured; math.Abs(d) > 1e-9 {
			t.Errorf("nothing crosses, and the prediction misses by %g", d)
		}
	}
	req.Edits = []string{"1,3+0/4*3", "2,0,resid_mid+1/2"}
	req.Mode, req.Groups, req.Control = "live", nil, 2
	if r, err = s.Intervene(t.Context(), req, nil); err != nil || len(r.Groups) != 0 || r.Tracked[0].PredictedTotal != nil || r.Control != 2 || r.Tracked[0].Measured == 0 {
		t.Errorf("vectors: %+v, %v", r, err)
	}
	req.Groups = []wire.Group{{Name: "x", Features: []string{"9/1@2"}}}
	if _, err = s.Intervene(t.Context(), req, nil); err == nil || !strings.Contains(err.Error(), `group "x"`) {
		t.Errorf("a group of nothing: %v", err)
	}
}

func TestSwapVerb(t *testing.T) {
	s := testService(t)
	other := wire.Prompt{IDs: []int32{96, 23, 43, 50, 79, 94, 33}}
	req := wire.InterveneRequest{Setup: tinySetup(), Prompt: tinyPrompt, Other: &other, Mode: "live", Control: 1}
	r, err := s.Intervene(t.Context(), req, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Edits) < 5 || !strings.Contains(r.Edits[0], ",3,") || len(r.Tracked) < 1 || len(r.Tracked) > 2 {
		t.Errorf("edits %v, followed %+v", r.Edits, r.Tracked)
	}
	req.Edits = []string{"all,5,all=@3"}
	if r, err = s.Intervene(t.Context(), req, nil); err != nil || !strings.Contains(r.Edits[0], ",5,") {
		t.Errorf("chosen positions: %v, %v", r.Edits, err)
	}
	req.Other = nil
	if _, err = s.Intervene(t.Context(), req, nil); err == nil || !strings.Contains(err.Error(), "give that prompt") {
		t.Errorf("without another prompt: %v", err)
	}
	gen := wire.GenerateRequest{Setup: tinySetup(), Prompt: tinyPrompt, N: 3, Edits: []string{"1,5,all=@3"}, Other: &other}
	a, err := s.Generate(t.Context(), gen, nil)
	if err != nil {
		t.Fatal(err)
	}
	gen.Edits, gen.Other = nil, nil
	if b, err := s.Generate(t.Context(), gen, nil); err != nil || slices.Equal(a.Logprobs, b.Logprobs) {
		t.Errorf("a swap changes no generation: %v", err)
	}
}

// TestTranscoderIsJudged: a transcoder that is worse than the mean is called out on
// every result from the first prompt that is long enough.
func TestTranscoderIsJudged(t *testing.T) {
	s, set := testService(t), tinySetup()
	x, err := clt.Load(set.CLT)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range x.BDec {
		for i := range b {
			b[i] += 5
		}
	}
	set.CLT = t.TempDir()
	if err := x.Save(set.CLT); err != nil {
		t.Fatal(err)
	}
	ask := func(ids ...int32) []string {
		r, err := s.Encode(t.Context(), wire.EncodeRequest{Setup: set, Prompt: wire.Prompt{IDs: ids}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return r.Warnings
	}
	if w := ask(96, 3); len(w) != 0 {
		t.Errorf("two tokens: %v", w)
	}
	for range 2 {
		if w := ask(tinyPrompt.IDs...); len(w) != 1 || !strings.Contains(w[0], "worse than predicting the mean") {
			t.Errorf("biases of the decoder are off: %v", w)
		}
	}
	if w := ask(96, 3); len(w) != 1 {
		t.Errorf("after it was judged: %v", w)
	}
	info, err := s.Attribute(t.Context(), wire.AttributeRequest{Setup: set, Prompt: tinyPrompt}, nil)
	if err != nil || len(info.Warnings) != 1 {
		t.Errorf("graph: %v, %v", info.Warnings, err)
	}
}

func placeOf(a wire.Activation) string { return fmt.Sprintf("%d/%d@%d", a.Layer, a.Index, a.Pos) }
