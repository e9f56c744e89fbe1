package engine

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/clt/replacement"
	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
	"github.com/etredal/cross-layer-transcoder/internal/safetensors"
)

// Intervene edits features, runs the model and says what changed, what the graph
// had predicted, and what random edits of the same size do.
func (s *Service) Intervene(ctx context.Context, req wire.InterveneRequest, report func(wire.Progress)) (out wire.InterveneResponse, err error) {
	local, err := s.runningLocal(ctx, req.Setup, req.Prompt, report)
	if err != nil {
		return out, err
	}
	cfg, err := interveneConfig(local, req)
	if err != nil {
		return out, err
	}
	edits, other, err := s.edits(local, req.Edits, req.Other)
	if err != nil {
		return out, err
	}
	groups, err := readGroups(local, req.Groups, edits)
	if err != nil {
		return out, err
	}
	effect, err := local.Intervene(ctx, cfg, edits...)
	if err != nil {
		return out, err
	}
	if req.Top == 0 {
		req.Top = 10
	}
	last, kl := len(local.Tokens)-1, effect.KL()
	before, after := logitRow(local.Logits, last), logitRow(effect.Logits, last)
	off, on := effect.Switched()
	out = wire.InterveneResponse{TokensResponse: tokensOf(local.LM, local.Tokens), Warned: s.warnings(local), Mode: cfg.Mode, Layers: [2]int{cfg.From, cfg.To},
		Frozen: cfg.Frozen(), Edits: editTexts(edits), Before: predictions(local.LM.Top(before, req.Top)), After: predictions(local.LM.Top(after, req.Top)),
		KL: kl[last], KLMean: mean(kl), Groups: groupChanges(local, groups, effect), Changed: changes(local, effect, 50), Off: len(off), On: len(on), Out: req.Out}
	targets, err := trackTargets(local, other, req.Track, 1)
	if err != nil {
		return out, err
	}
	if out.Tracked, err = track(ctx, local, effect, edits, targets); err != nil {
		return out, err
	}
	if cfg.Mode == replacement.Iterative {
		if err := predictTotal(ctx, local, targets, edits, &out); err != nil {
			return out, err
		}
	}
	if out.Control, err = control(ctx, local, cfg, edits, req, out.Tracked, targets, report); err != nil {
		return out, err
	}
	if req.Control > 0 && out.Control == 0 {
		out.Warnings = append(out.Warnings, fmt.Sprintf("there is no random control: the prompt has %d active features, too few to change as many others", len(local.Active)))
	}
	if req.Out == "" {
		return out, nil
	}
	return out, safetensors.WriteFile(req.Out, map[string]string{"mode": cfg.Mode, "edits": strings.Join(out.Edits, " ")},
		tensor("logits_before", local.Logits), tensor("logits_after", effect.Logits),
		tensor("preact_before", stack(local.Preactivations())), tensor("preact_after", stack(effect.Pre)))
}

// interveneConfig reads mode, layers and what is frozen.
func interveneConfig(local *replacement.Local, req wire.InterveneRequest) (replacement.InterveneConfig, error) {
	cfg := local.DefaultInterveneConfig()
	if req.Mode != "" {
		cfg.Mode = req.Mode
	}
	if req.Layers != "" {
		a, b, ok := strings.Cut(req.Layers, ":")
		from, errA := strconv.Atoi(a)
		to, errB := strconv.Atoi(b)
		if !ok || errA != nil || errB != nil {
			return cfg, badRequest("intervene: layers %q; want a:b with 0 <= a < b <= %d", req.Layers, cfg.To)
		}
		cfg.From, cfg.To = from, to
	}
	// LayerNorm is frozen by itself only where the effect is the direct one.
	cfg.FreezeLN = cfg.Mode == replacement.Constrained && cfg.From == 0 && cfg.To == local.CLT.Layers
	if req.Freeze == "" {
		return cfg, nil
	}
	cfg.FreezeAttention, cfg.FreezeLN = false, false
	for _, word := range strings.Split(req.Freeze, ",") {
		switch strings.TrimSpace(word) {
		case "attention":
			cfg.FreezeAttention = true
		case "ln":
			cfg.FreezeLN = true
		case "none":
		default:
			return cfg, badRequest("intervene: freeze %q; use attention, ln, both with a comma, or none", req.Freeze)
		}
	}
	return cfg, nil
}

func logitRow(a gpt2.Array, pos int) []float64 {
	v := a.Shape[1]
	row := make([]float64, v)
	for i := range row {
		row[i] = a.At(pos*v + i)
	}
	return row
}

// stack joins equal arrays along a new first axis.
func stack(list []gpt2.Array) gpt2.Array {
	a := gpt2.Array{Shape: append([]int{len(list)}, list[0].Shape...)}
	for _, x := range list {
		a.F32, a.F64 = append(a.F32, x.F32...), append(a.F64, x.F64...)
	}
	return a
}

// changes lists the features whose activation changed most. A feature is active
// as the transcoder's own activation function has it.
func changes(local *replacement.Local, e *replacement.Effect, most int) []wire.FeatureChange {
	list := []wire.FeatureChange{}
	var pre0, pre1 [][]float32
	for l, before := range local.Preactivations() {
		pre0, pre1 = append(pre0, before.Float32s()), append(pre1, e.Pre[l].Float32s())
	}
	before, after := clt.ActivateAllHost(local.CLT, pre0), clt.ActivateAllHost(local.CLT, pre1)
	f := local.CLT.Features
	for l, act0 := range before {
		act1 := after[l]
		for i := f; i < len(act0); i++ { // position 0 has no features
			if math.Abs(float64(act0[i]-act1[i])) > 1e-5*math.Max(1, math.Abs(float64(act0[i]))) { // beyond rounding
				list = append(list, wire.FeatureChange{Layer: l, Pos: i / f, Index: i % f, Before: float64(act0[i]), After: float64(act1[i])})
			}
		}
	}
	sort.SliceStable(list, func(i, j int) bool {
		return math.Abs(list[i].After-list[i].Before) > math.Abs(list[j].After-list[j].Before)
	})
	return list[:min(most, len(list))]
}

// trackTargets are the tokens that are followed: those named, or the likeliest of
// the prompt and of the other prompt of a swap.
func trackTargets(local, other *replacement.Local, names []string, most int) ([]replacement.Target, error) {
	var targets []replacement.Target
	add := func(t replacement.Target) {
		if !slices.ContainsFunc(targets, func(x replacement.Target) bool { return x.Pos == t.Pos && x.Tokens[0].ID == t.Tokens[0].ID }) {
			targets = append(targets, t)
		}
	}
	for _, n := range names {
		t, err := local.ParseTarget(n)
		if err != nil {
			return nil, err
		}
		if len(t.Tokens) != 1 {
			return nil, badRequest("track %q; name single tokens", n)
		}
		add(t)
	}
	if len(names) > 0 {
		return targets, nil
	}
	targets = local.TopTargets(most, 1)
	if other != nil {
		id := int(other.TopTargets(1, 1)[0].Tokens[0].ID)
		t, err := local.TargetOf(attribution.ID{Kind: attribution.Logit, Pos: len(local.Tokens) - 1, Index: id})
		if err != nil {
			return nil, err
		}
		add(t)
	}
	return targets, nil
}

// track gives the change of each target's centred logit, and the change that the
// graph's direct edges predict.
func track(ctx context.Context, local *replacement.Local, effect *replacement.Effect, edits []replacement.Edit, targets []replacement.Target) ([]wire.Tracked, error) {
	predicted, err := local.DirectEffects(ctx, targets, edits)
	if err != nil {
		return nil, err
	}
	var list []wire.Tracked
	for i, t := range targets {
		before, after := logitRow(local.Logits, t.Pos), logitRow(effect.Logits, t.Pos)
		lp0, lp1 := gpt2.LogProbs(before), gpt2.LogProbs(after)
		id := t.Tokens[0].ID
		list = append(list, wire.Tracked{ID: id, Token: t.Label, LogitBefore: before[id], LogitAfter: after[id],
			ProbBefore: math.Exp(lp0[id]), ProbAfter: math.Exp(lp1[id]), Predicted: predicted[i], Measured: centredChange(before, after, id)})
	}
	return list, nil
}

// centredChange is the change of a logit relative to the mean logit.
func centredChange(before, after []float64, id int32) float64 {
	return after[id] - mean(after) - before[id] + mean(before)
}

func mean(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}

// control repeats the intervention with random edits of equal count and mass.
func control(ctx context.Context, local *replacement.Local, cfg replacement.InterveneConfig, edits []replacement.Edit, req wire.InterveneRequest, tracked []wire.Tracked, targets []replacement.Target, report func(wire.Progress)) (int, error) {
	draws := 0
	sums := make([]wire.Control, len(tracked))
	for i := range req.Control {
		random, ok := local.RandomControl(edits, req.Seed+uint64(i))
		if !ok {
			break
		}
		e, err := local.Intervene(ctx, cfg, random...)
		if err != nil {
			return draws, err
		}
		for k, t := range targets {
			d := centredChange(logitRow(local.Logits, t.Pos), logitRow(e.Logits, t.Pos), t.Tokens[0].ID)
			sums[k].Mean += d
			sums[k].MeanAbs += math.Abs(d)
			sums[k].MaxAbs = math.Max(sums[k].MaxAbs, math.Abs(d))
		}
		draws++
		tell(report, wire.Progress{Phase: "control", Done: draws, Total: req.Control})
	}
	if draws == 0 {
		return 0, nil
	}
	for k := range tracked {
		c := sums[k]
		c.Draws, c.Mean, c.MeanAbs = draws, c.Mean/float64(draws), c.MeanAbs/float64(draws)
		tracked[k].Control = &c
	}
	return draws, nil
}
