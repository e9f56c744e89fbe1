package replacement

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// Target is what a graph explains: a direction at the unembedding, or a feature.
type Target struct {
	Label   string
	Prob    float64      // weight of the target in influence; its probability if it is a token
	Tokens  []Weighted   // the direction as a sum of unembedding columns
	Demean  bool         // relative to the mean logit
	Vector  []float64    // [d_model], or nil: any direction of what is unembedded (unembed.hook_pre), added to Tokens
	Feature *clt.Feature // or the pre-activation of a feature
	Pos     int          // -1 for the last position
}

// Weighted is one term of a direction.
type Weighted struct {
	ID    int32
	Scale float64
}

// TopTargets are the likeliest next tokens after the prompt: the fewest whose
// probabilities reach mass, at most n.
func (l *Local) TopTargets(n int, mass float64) []Target {
	return l.topTargets(len(l.Tokens)-1, n, mass)
}

func (l *Local) topTargets(pos, n int, mass float64) []Target {
	row := l.logitRow(pos)
	var list []Target
	sum := 0.0
	for _, p := range l.LM.Top(row, n) {
		list = append(list, l.tokenTarget(p.ID, p.Prob, pos))
		if sum += p.Prob; sum >= mass {
			break
		}
	}
	return list
}

func (l *Local) tokenTarget(id int32, prob float64, pos int) Target {
	return Target{Label: l.LM.TokenText(id), Prob: prob, Tokens: []Weighted{{id, 1}}, Demean: true, Pos: pos}
}

func (l *Local) logitRow(pos int) []float64 {
	v := l.LM.Config.DVocab
	row := make([]float64, v)
	for i := range row {
		row[i] = l.Logits.At(pos*v + i)
	}
	return row
}

// ParseTarget reads one target as people write it: a token's text, its id, the
// difference "A-B" of two of those, "feature:L/F@P", or any direction of what is
// unembedded as "[X,Y,...]", each with "@POS" behind it for another position than the
// last.
func (l *Local) ParseTarget(s string) (Target, error) {
	pos := len(l.Tokens) - 1
	body := s
	if i := strings.LastIndex(s, "@"); i > 0 {
		if p, err := strconv.Atoi(s[i+1:]); err == nil {
			pos, body = p, s[:i]
		}
	}
	if pos < 0 || pos >= len(l.Tokens) {
		return Target{}, refused("target %q: position %d is outside; the prompt has positions 0..%d", s, pos, len(l.Tokens)-1)
	}
	if strings.HasPrefix(body, "[") && strings.HasSuffix(body, "]") && strings.Contains(body, ",") {
		return l.vectorTarget(s, body, pos)
	}
	if rest, ok := strings.CutPrefix(body, "feature:"); ok {
		return l.featureTarget(s, rest, pos)
	}
	if id, ok := l.tokenID(body); ok {
		lp := gpt2.LogProbs(l.logitRow(pos))
		return l.tokenTarget(id, math.Exp(lp[id]), pos), nil
	}
	for i := 1; i < len(body)-1; i++ {
		if body[i] != '-' {
			continue
		}
		a, okA := l.tokenID(body[:i])
		b, okB := l.tokenID(body[i+1:])
		if okA && okB && a == b {
			return Target{}, refused("target %q is the difference of a token with itself, 0 everywhere; name two tokens", s)
		}
		if okA && okB {
			return Target{Label: l.LM.TokenText(a) + " -" + l.LM.TokenText(b), Prob: 1, Tokens: []Weighted{{a, 1}, {b, -1}}, Pos: pos}, nil
		}
	}
	return Target{}, refused("target %q is no single token of %s; give a token (with its leading space), an id, A-B, feature:L/F@P, or [X,Y,...]", s, l.LM.Name)
}

func (l *Local) vectorTarget(s, body string, pos int) (Target, error) {
	t := Target{Label: "direction", Prob: 1, Pos: pos}
	if err := json.Unmarshal([]byte(body), &t.Vector); err != nil {
		return Target{}, refused("target %q is no list of numbers; write [X,Y,...]", shortened(s))
	}
	if len(t.Vector) != l.CLT.DModel {
		return Target{}, refused("target %q is a direction of %d numbers; d_model is %d", shortened(s), len(t.Vector), l.CLT.DModel)
	}
	return t, nil
}

// shortened is a text for a message.
func shortened(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}

// checkTarget refuses a direction that is none.
func (l *Local) checkTarget(t Target) error {
	switch {
	case t.Vector == nil:
	case len(t.Vector) != l.CLT.DModel:
		return refused("attribute: target %s is a direction of %d numbers; d_model is %d", t.Label, len(t.Vector), l.CLT.DModel)
	case slices.ContainsFunc(t.Vector, notFinite):
		return refused("attribute: target %s is a direction that is not finite; give numbers", t.Label)
	}
	return nil
}

func (l *Local) featureTarget(s, body string, pos int) (Target, error) {
	var f clt.Feature
	if _, err := fmt.Sscanf(body, "%d/%d", &f.Layer, &f.Index); err != nil || f.Layer < 0 || f.Layer >= l.CLT.Layers || f.Index < 0 || f.Index >= l.CLT.Features {
		return Target{}, refused("target %q: the transcoder has no such feature; want feature:L/F@P with L in 0..%d and F in 0..%d", s, l.CLT.Layers-1, l.CLT.Features-1)
	}
	return Target{Label: f.String(), Prob: 1, Feature: &f, Pos: pos}, nil
}

// tokenID finds the single token that a text or a number stands for.
func (l *Local) tokenID(s string) (int32, bool) {
	if l.LM.Tokenizer != nil {
		for _, text := range []string{s, " " + s} {
			if ids := l.LM.Tokenizer.Encode(text); len(ids) == 1 {
				return ids[0], true
			}
		}
	}
	id, err := strconv.ParseInt(s, 10, 32)
	return int32(id), err == nil && id >= 0 && int(id) < l.LM.Config.DVocab
}
