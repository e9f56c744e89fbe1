package replacement

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// TopTargetsAt is TopTargets after another position, written "@POS".
func (l *Local) TopTargetsAt(at string, n int, mass float64) ([]Target, error) {
	pos, err := strconv.Atoi(strings.TrimPrefix(at, "@"))
	if err != nil || pos < 0 || pos >= len(l.Tokens) {
		return nil, refused("target %q is no position of the prompt; want @POS with a position in 0..%d", at, len(l.Tokens)-1)
	}
	return l.topTargets(pos, n, mass), nil
}

// DirectEffects predicts, from the graph's edges alone, how much each target's
// value changes under the edits: the sum over the edited features of the change
// of activation times the derivative, and what the frozen model makes of vectors
// that edits add. It is exact when all MLP outputs, patterns and divisors are
// frozen.
func (l *Local) DirectEffects(ctx context.Context, targets []Target, edits []Edit) ([]float64, error) {
	if err := l.checkHere(edits); err != nil {
		return nil, err
	}
	ghost := &Local{Model: l.Model, Tokens: l.Tokens, Logits: l.Logits, embed: l.embed, posEmb: l.posEmb, pattern: l.pattern,
		scale1: l.scale1, scale2: l.scale2, scaleF: l.scaleF, mlpOut: l.mlpOut, errors: l.errors, pre: l.pre, act: l.act, skip: l.skip}
	var delta []float64
	for _, e := range edits {
		for p := max(1, e.Pos); e.Add == nil && p < len(l.Tokens) && (p == e.Pos || e.Open); p++ {
			// A source of activation 1: the edge is then the derivative itself.
			ghost.Active = append(ghost.Active, Active{Feature: e.Feature, Pos: p, Value: 1})
			delta = append(delta, l.change(e, p))
		}
	}
	cfg := DefaultAttributeConfig()
	cfg.Targets = targets
	cfg.Batch = max(8, len(targets))
	b, err := ghost.newBuilder(cfg)
	if err != nil {
		return nil, err
	}
	out, err := l.pushedTargets(b, edits)
	if err != nil {
		return nil, err
	}
	err = b.sweepAll(ctx, b.target, func(i int, edges, embed gpt2.Array, at, pos int) {
		row := b.newRow()
		b.unpack(row, b.target[i], edges, embed, at, pos)
		for f, d := range delta {
			out[i] += d * row.At(0, f)
		}
	}, nil)
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(out, notFinite); i >= 0 {
		return nil, fmt.Errorf("replacement: the direct effect of the edits on %s is %g; use smaller values or float64", targets[i].Label, out[i])
	}
	return out, nil
}

// pushedTargets is the direct effect of the vectors that edits add on each target
// of a builder: zeros if there are none.
func (l *Local) pushedTargets(b *builder, edits []Edit) ([]float64, error) {
	out := make([]float64, len(b.target))
	a, err := l.answer(nil, edits)
	if a == nil || err != nil {
		return out, err
	}
	for i, r := range b.target {
		if out[i], err = a.on(l, b.cfg.Targets[i], r.pos); err != nil {
			return out, err
		}
	}
	return out, nil
}
