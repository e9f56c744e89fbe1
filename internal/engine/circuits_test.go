package engine

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/gpt2/pocket"
	"github.com/etredal/cross-layer-transcoder/gpt2/pocket/world"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
	"github.com/etredal/cross-layer-transcoder/internal/testenv"
)

// circuit is a behaviour whose answer must go through features that read one
// token of the prompt.
type circuit struct {
	behaviour string
	source    func(words []string) string // the word that decides the answer
	share     float64                     // of the cases in which the group must beat the control
}

// circuits lists what is known of the pocket model. Those with a share below 0.8
// are kept as they are found: their answer does not go through MLP features alone.
var circuits = []circuit{
	{"capital", lastCapitalised, 0.8},
	{"two-hop", lastCapitalised, 0.8},
	{"successor", lastNumber, 0.8},
	{"opposite", afterOpposite, 0.8},
	{"acronym", acronymWord, 0.5},
	{"induction", afterSees, 0.5},
}

func lastCapitalised(words []string) string {
	for i := len(words) - 1; i > 0; i-- {
		if w := words[i]; w[0] >= 'A' && w[0] <= 'Z' {
			return w
		}
	}
	return ""
}

func lastNumber(words []string) string {
	for i := len(words) - 1; i >= 0; i-- {
		if w := words[i]; w[0] >= '0' && w[0] <= '9' {
			return w
		}
	}
	return ""
}

func afterOpposite(words []string) string {
	for i, w := range words {
		if w == "opposite" && i+2 < len(words) && words[i+1] == "of" {
			return words[i+2]
		}
		if w == "word" && i+1 < len(words) {
			return words[i+1]
		}
	}
	return ""
}

// acronymWord is the word whose letter comes next.
func acronymWord(words []string) string {
	for i, w := range words {
		if w == "(" {
			return words[i-3+len(words)-1-i]
		}
	}
	return ""
}

func afterSees(words []string) string {
	for i, w := range words {
		if (w == "sees" || w == "finds") && i+2 < len(words) {
			return words[i+2]
		}
	}
	return ""
}

// TestKnownCircuits makes graphs of the pocket model's behaviours, turns round
// the features through which the deciding word acts, and compares the loss of the
// right answer with that under random edits of equal count and activation mass.
func TestKnownCircuits(t *testing.T) {
	testenv.Slow(t)
	s := testService(t)
	cases := map[string][]world.Case{}
	for _, b := range world.New(pocket.WorldSeed).Behaviours() {
		cases[b.Name] = b.Seen
	}
	const perBehaviour = 10
	for _, c := range circuits {
		wins, n, effect, random := 0, 0, 0.0, 0.0
		for i := 0; n < perBehaviour && i < len(cases[c.behaviour]); i += max(1, len(cases[c.behaviour])/perBehaviour) {
			q := cases[c.behaviour][i]
			word := c.source(strings.Fields(q.Prompt))
			if word == "" {
				continue
			}
			measured, control, ok := suppress(t, s, q.Prompt, " "+word, q.Answers[0])
			if !ok {
				continue
			}
			n++
			effect, random = effect+measured, random+control
			if measured < 0 && -measured > control {
				wins++
			}
		}
		if n == 0 {
			t.Errorf("%s: no case has features that read the deciding word", c.behaviour)
			continue
		}
		t.Logf("%-10s %d cases: the answer's centred logit changes by %.2f, under random edits by %.2f in size; the group wins in %d", c.behaviour, n, effect/float64(n), random/float64(n), wins)
		if float64(wins) < c.share*float64(n) {
			t.Errorf("%s: the group beats the control in %d of %d cases, want a share of %.2f", c.behaviour, wins, n, c.share)
		}
	}
}

// suppress returns the change of the answer's centred logit when the eight
// features that read the word are turned round, and the mean size of the change
// under random edits.
func suppress(t *testing.T, s *Service, prompt, word, answer string) (measured, control float64, ok bool) {
	t.Helper()
	set, p := wire.Setup{Backend: "go"}, wire.Prompt{Text: prompt}
	out := filepath.Join(t.TempDir(), "graph.safetensors")
	if _, err := s.Attribute(t.Context(), wire.AttributeRequest{Setup: set, Prompt: p, Out: out}, nil); err != nil {
		t.Fatal(err)
	}
	g, err := LoadGraph(out)
	if err != nil {
		t.Fatal(err)
	}
	var edits []string
	for i, n := range g.Nodes {
		if n.Kind != attribution.Token || g.Tokens[n.Pos] != word {
			continue
		}
		readers, err := g.Readers(i, 8)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range readers {
			f := g.Nodes[r]
			edits = append(edits, fmt.Sprintf("%d,%d,%d*-1", f.Layer, f.Pos, f.Index))
		}
		break
	}
	if len(edits) == 0 {
		return 0, 0, false
	}
	r, err := s.Intervene(t.Context(), wire.InterveneRequest{Setup: set, Prompt: p, Edits: edits, Control: 20, Seed: 1, Track: []string{strings.TrimSpace(answer)}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	tr := r.Tracked[0]
	if math.Abs(tr.Predicted-tr.Measured) > 1e-2 {
		t.Errorf("%q: predicted %g, measured %g", prompt, tr.Predicted, tr.Measured)
	}
	if tr.Control == nil {
		return 0, 0, false
	}
	return tr.Measured, tr.Control.MeanAbs, true
}
