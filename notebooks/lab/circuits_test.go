package lab

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/internal/engine/server"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// cannedVerbs answer with what they were asked, so that the tests see both ways of
// the wire.
func cannedVerbs() server.Table {
	tokens := wire.TokensResponse{IDs: []int32{0, 1, 2}, Tokens: []string{"<|endoftext|>", " The", " cat"}}
	warned := wire.Warned{Warnings: []string{"the transcoder is worse than the mean"}}
	feature := wire.Node{ID: "f1/17@2", Kind: "feature", Layer: 1, Pos: 2, Index: 17, Token: " cat"}
	return server.Table{
		"heads": server.Handle(func(_ context.Context, q wire.HeadsRequest, _ func(wire.Progress)) (wire.HeadsResponse, error) {
			t := wire.HeadTarget{Label: fmt.Sprint(q.Text, q.Targets, q.MaxLogits), Heads: []wire.HeadShare{{Layer: -1, Head: -1, Weight: 1, Abs: 2}, {Layer: 1, Head: 3, Weight: .5, Abs: .5}},
				Edges: []wire.HeadEdge{{Source: feature, Weight: 1.5, Parts: []wire.HeadShare{{Layer: -1, Head: -1, Weight: 1}, {Layer: 1, Head: 3, Weight: .5}}}}}
			return wire.HeadsResponse{TokensResponse: tokens, Warned: warned, Targets: []wire.HeadTarget{t}}, nil
		}),
		"qk": server.Handle(func(_ context.Context, q wire.QKRequest, _ func(wire.Progress)) (wire.QKResponse, error) {
			side := []wire.QKSide{{Source: feature, Weight: .25}}
			return wire.QKResponse{TokensResponse: tokens, Layer: q.Layer, Head: q.Head, Query: *q.Query + 3, Key: *q.Key, Score: 2.5, Prob: .75,
				Pairs: []wire.QKPair{{Query: feature, Key: wire.Node{Kind: "bias"}, Weight: .125}}, QuerySide: side, KeySide: append(side, side...),
				Kinds: []wire.QKKinds{{Query: "feature", Key: "bias", Weight: 1}, {Query: "bias", Key: "feature", Weight: 1.5}, {Query: "bias", Key: "bias"}}}, nil
		}),
		"weights": server.Handle(func(_ context.Context, q wire.WeightsRequest, _ func(wire.Progress)) (wire.WeightsResponse, error) {
			r := wire.WeightsResponse{Layer: q.Layer, Index: q.Index, Inputs: []wire.VirtualWeight{{Layer: 0, Index: 5, Virtual: .5, TWERA: .25}}, Logits: []wire.TokenWeight{{ID: 2, Token: " cat", Weight: 3}}}
			if q.World {
				r.Seen = q.Tokens
			}
			return r, nil
		}),
		"whatif": server.Handle(func(_ context.Context, q wire.WhatIfRequest, _ func(wire.Progress)) (wire.WhatIfResponse, error) {
			return wire.WhatIfResponse{TokensResponse: tokens, Warned: warned, Edits: q.Edits, Targets: []wire.WhatIf{{Token: strings.Join(q.Track, "+"), Predicted: .5, Local: .5, Model: .25}},
				Local: wire.Agreement{Features: 4, Cosine: 1, Sign: 1}}, nil
		}),
		"faithfulness": server.Handle(func(_ context.Context, q wire.FaithfulnessRequest, _ func(wire.Progress)) (wire.FaithfulnessResponse, error) {
			return wire.FaithfulnessResponse{Warned: warned, Prompts: make([]wire.FaithfulPrompt, len(q.Prompts)), Predictors: []wire.Predictor{{Name: "influence", Spearman: .875, Pairs: 9}},
				Feature: wire.Predictor{Name: "influence on a feature", Spearman: .625}, Ranges: []wire.RangeEffect{{Beyond: 1, Features: 5, Strongest: .25}},
				Depths: []wire.DepthAgreement{{Kind: "encoder", Depth: 1, N: 2, Cosine: .5}, {Kind: "random", Depth: 3}}}, nil
		}),
		"intervene": server.Handle(func(_ context.Context, q wire.InterveneRequest, _ func(wire.Progress)) (wire.InterveneResponse, error) {
			half, total := .5, -.75
			r := wire.InterveneResponse{TokensResponse: tokens, Edits: q.Edits, Mode: q.Mode, Frozen: []string{q.Freeze, q.Layers}, Control: q.Control, KL: .125,
				Tracked: []wire.Tracked{{Token: fmt.Sprint(q.Track), PredictedTotal: &total}}, Before: []wire.Prediction{{Token: " a", Prob: 1}}, After: []wire.Prediction{{Token: " b", Prob: 1}}}
			for _, g := range q.Groups {
				r.Groups = append(r.Groups, wire.GroupChange{Name: g.Name, Features: len(g.Features), Fraction: &half}, wire.GroupChange{Name: strings.Join(g.Features, ",")})
			}
			if q.Other != nil {
				r.Edits = []string{"other " + q.Other.Text}
			}
			return r, nil
		}),
	}
}

// has checks that an output says all of it, in every form.
func has(t *testing.T, s Shower, kind string, want ...string) {
	t.Helper()
	o := s.Output()
	if o.Kind != kind {
		t.Errorf("kind %q, want %q", o.Kind, kind)
	}
	for _, w := range want {
		if !strings.Contains(o.Plain, w) {
			t.Errorf("%s: no %q in\n%s", kind, w, o.Plain)
		}
	}
	if o.HTML == "" || o.Markdown == "" {
		t.Errorf("%s: empty HTML or Markdown", kind)
	}
}

func TestCircuitVerbs(t *testing.T) {
	kernel(t)
	_, status := screen(t)
	s := Open()
	t.Cleanup(s.Stop)
	has(t, s.Why("The cat", " sat"), "heads", "The cat[ sat] 1", "L1/F17 at 2 “cat”", "residual +1.000, L1/H3 +0.500", "careful", "worse than the mean")
	has(t, s.Why("The cat", ""), "heads", "The cat[] 1")
	has(t, s.QK("The cat", 1, 3, -1, 1), "qk", "Layer 1, head 3: “cat” at 2 looks at “The” at 1 with score 2.500, attention 0.750", "L1/F17 at 2 “cat”", "bias")
	has(t, s.Weights(2, 9), "weights", "From features of earlier layers to L2/F9", "L0/F5", "TWERA", "cat")
	has(t, s.WhatIf("The cat", []string{"0,1,2*0"}, " sat", " ran"), "whatif", " sat+ ran", "1 edits", "+0.2500", "worse than the mean", "100 %")
	f := s.Faithfulness("The cat", "The dog")
	has(t, f, "faithfulness", "means over 2 prompts", "0.875", "influence on a feature", "0.625", "25 %", "encoder", "worse than the mean")
	if strings.Contains(f.Output().Plain, "random") {
		t.Error("a kind of push that was not made is shown")
	}
	group := []attribution.ID{{Kind: attribution.Feature, Layer: 1, Pos: 2, Index: 17}, {Kind: attribution.Error, Layer: 1, Pos: 2}}
	e := s.Intervene("The cat", Ablate(group), WithMode("live"), Freeze("ln"), Layers("0:2"), Track(" sat"), Draws(3), ReadOut("animal", group))
	has(t, e, "effect", "1 edits, live; frozen: ln, 0:2; KL 0.125 nats", "[ sat]", "-0.750", "animal", "50 %", "1/17@2", "was not active")
	if e.Control != 3 || !slices.Equal(e.Edits, []string{"1,2,17*0"}) {
		t.Errorf("%d draws, edits %q", e.Control, e.Edits)
	}
	if e := s.Swap("The cat", "The dog", nil); e.Control != 20 || !slices.Equal(e.Edits, []string{"other The dog"}) {
		t.Errorf("swap: %d draws, edits %q", e.Control, e.Edits)
	}
	if *status != 0 {
		t.Errorf("exit status %d", *status)
	}
}

func TestEditsOfGroups(t *testing.T) {
	group := []attribution.ID{{Kind: attribution.Feature, Layer: 1, Pos: 2, Index: 17}, {Kind: attribution.Token, Pos: 1}, {Kind: attribution.Feature, Layer: 2, Pos: 3, Index: 4}}
	for _, c := range []struct{ got, want []string }{
		{Scale(group, -1), []string{"1,2,17*-1", "2,3,4*-1"}},
		{Ablate(group), []string{"1,2,17*0", "2,3,4*0"}},
		{SetTo(group, 2.5), []string{"1,2,17=2.5", "2,3,4=2.5"}},
		{TakeFrom(group, 6), []string{"1,2,17=@6", "2,3,4=@6"}},
		{AddTo(3, 5, group[0], 2), []string{"3,5+1/17*2"}},
		{Scale(nil, 1), nil},
	} {
		if !slices.Equal(c.got, c.want) {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}
