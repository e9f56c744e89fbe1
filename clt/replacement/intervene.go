package replacement

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// Intervention modes.
const (
	// Constrained fixes the MLP outputs of a range of layers at their clean value
	// plus what the edits change, computed once from the clean activations; later
	// layers run live (the paper's default).
	Constrained = "constrained"
	// Iterative re-encodes and re-decodes the features of the range from the
	// perturbed stream and adds the clean errors.
	Iterative = "iterative"
	// Live adds the change to the real MLP outputs of every later layer.
	Live = "live"
)

// InterveneConfig says how edits are carried out.
type InterveneConfig struct {
	Mode            string
	From, To        int  // layers From..To-1; for constrained and iterative
	FreezeAttention bool // patterns of the clean run
	FreezeLN        bool // divisors of the clean run
}

// DefaultInterveneConfig is constrained patching over all layers with attention
// and LayerNorm frozen: the direct effect, which the graph's edges predict exactly.
func (m *Model) DefaultInterveneConfig() InterveneConfig {
	return InterveneConfig{Mode: Constrained, To: m.CLT.Layers, FreezeAttention: true, FreezeLN: true}
}

// Frozen names what the configuration holds fixed.
func (c InterveneConfig) Frozen() []string {
	list := []string{}
	if c.FreezeAttention {
		list = append(list, "attention patterns")
	}
	if c.FreezeLN {
		list = append(list, "LayerNorm divisors")
	}
	if c.Mode == Constrained {
		list = append(list, fmt.Sprintf("MLP outputs of layers %d to %d", c.From, c.To-1))
	}
	return list
}

func (c InterveneConfig) validate(layers int) error {
	switch c.Mode {
	case Constrained, Iterative, Live:
	default:
		return fmt.Errorf("replacement: intervene: mode %q is not known; use constrained, iterative or live", c.Mode)
	}
	if c.Mode != Live && (c.From < 0 || c.To > layers || c.From >= c.To) {
		return fmt.Errorf("replacement: intervene: layers %d:%d; want a:b with 0 <= a < b <= %d", c.From, c.To, layers)
	}
	return nil
}

// Effect is what an intervention did.
type Effect struct {
	Config InterveneConfig
	Logits gpt2.Array   // [pos, d_vocab] after
	Pre    []gpt2.Array // layer -> [pos, features] after; position 0 zero
}

// Intervene runs the model under the edits.
func (l *Local) Intervene(ctx context.Context, cfg InterveneConfig, edits ...Edit) (*Effect, error) {
	if err := cfg.validate(l.CLT.Layers); err != nil {
		return nil, err
	}
	if err := l.checkEdits(edits, len(l.Tokens)); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	key := fmt.Sprintf("intervene|%s|%+v", l.key, cfg)
	exec, err := gpt2.Compiled(l.LM, key, interveneGraph(l.LM.Config, l.CLT.Config, cfg))
	if err != nil {
		return nil, err
	}
	in := append(l.frozenInputs(), l.tokensTensor())
	in = append(in, l.modeInputs(cfg, edits)...)
	weights, err := l.weights()
	if err != nil {
		return nil, err
	}
	args := []any{}
	for _, t := range append(in, weights...) {
		args = append(args, t)
	}
	out, err := exec.Call(args...)
	if err != nil {
		return nil, fmt.Errorf("replacement: intervene: %w", err)
	}
	e := &Effect{Config: cfg}
	for i, t := range out {
		a, err := gpt2.FromTensor(t)
		if err != nil {
			return nil, err
		}
		_ = t.FinalizeAll()
		a = a.Unbatch(len(l.Tokens), 0)
		if i == 0 {
			e.Logits = a
			continue
		}
		e.Pre = append(e.Pre, clearFirst(a))
	}
	return e, nil
}

// clearFirst zeroes position 0, which has no features.
func clearFirst(a gpt2.Array) gpt2.Array {
	for i := range a.Shape[1] {
		set(a, i, 0)
	}
	return a
}

// Preactivations are the clean ones, position 0 zero: layer -> [pos, features].
func (l *Local) Preactivations() []gpt2.Array {
	list := make([]gpt2.Array, len(l.pre))
	for i, a := range l.pre {
		list[i] = clearFirst(gpt2.Array{Shape: a.Shape, F32: append([]float32(nil), a.F32...), F64: append([]float64(nil), a.F64...)})
	}
	return list
}

func (l *Local) modeInputs(cfg InterveneConfig, edits []Edit) []*tensors.Tensor {
	var list []*tensors.Tensor
	if cfg.Mode == Constrained {
		for _, a := range l.clampedOutputs(edits) {
			list = append(list, l.padded(a, 0, 0))
		}
		return list
	}
	scale, add := l.editTables(edits, l.length()+1)
	for _, a := range append(scale, add...) {
		list = append(list, a.Tensor(l.LM.Double))
	}
	if cfg.Mode == Iterative {
		for _, a := range l.errors {
			list = append(list, l.padded(a, 0, 0))
		}
	}
	return list
}

// clampedOutputs are the clean MLP outputs, without the live skip, plus what the
// edits change.
func (l *Local) clampedOutputs(edits []Edit) []gpt2.Array {
	d := l.CLT.DModel
	outputs := make([]gpt2.Array, len(l.mlpOut))
	for i, a := range l.mlpOut {
		outputs[i] = gpt2.NewArray(a.Shape, a.F64 != nil)
		copyRow(outputs[i], 0, a, 0, a.Len())
		if l.CLT.Skip {
			outputs[i] = subtract(a, l.skip[i])
		}
	}
	for _, e := range edits {
		targets := l.CLT.Targets(e.Layer)
		for p := max(1, e.Pos); p < len(l.Tokens) && (p == e.Pos || e.Open); p++ {
			delta := l.change(e, p)
			for k := range targets {
				addScaled(outputs[e.Layer+k], p*d, l.CLT.WDec[e.Layer][(e.Index*targets+k)*d:][:d], delta)
			}
		}
	}
	return outputs
}

// change is what an edit adds to the feature's clean activation at position p.
func (l *Local) change(e Edit, p int) float64 {
	a := l.act[e.Layer].At(p*l.CLT.Features + e.Index)
	if e.Scale {
		return (e.Factor - 1) * a
	}
	return e.Value - a
}

// LiveProgram is the model under live edits, for generation: edits with open
// ends act on new tokens too. length is the prompt's.
func (m *Model) LiveProgram(length int, edits ...Edit) (gpt2.Program, error) {
	if err := m.checkEdits(edits, length); err != nil {
		return gpt2.Program{}, err
	}
	rows := m.LM.Bucket(length) + 1
	scale, add := m.editTables(edits, rows)
	var in []*tensors.Tensor
	for _, a := range append(scale, add...) {
		in = append(in, a.Tensor(m.LM.Double))
	}
	weights, err := m.weights()
	if err != nil {
		return gpt2.Program{}, err
	}
	return gpt2.Program{Key: fmt.Sprintf("live|%s|%d", m.key, rows), Inputs: append(in, weights...), Hook: liveHook(m.CLT.Config)}, nil
}

// RandomControl draws edits that change as many other active features of the
// prompt by the same total activation mass: the same layers do not matter, the
// amount of activation does. Same seed, same draw. It returns false if the prompt
// has too few other features.
func (l *Local) RandomControl(edits []Edit, seed uint64) ([]Edit, bool) {
	edited, mass, count, sign := map[[3]int]bool{}, 0.0, 0, 0.0
	for _, e := range edits {
		for p := max(1, e.Pos); p < len(l.Tokens) && (p == e.Pos || e.Open); p++ {
			edited[[3]int{e.Layer, p, e.Index}] = true
			mass += math.Abs(l.change(e, p))
			sign += l.change(e, p)
			count++
		}
	}
	var others []Active
	for _, a := range l.Active {
		if !edited[[3]int{a.Layer, a.Pos, a.Index}] {
			others = append(others, a)
		}
	}
	if count == 0 || len(others) < count {
		return nil, false
	}
	r := rand.New(rand.NewPCG(seed, 0x636f6e74726f6c))
	r.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	total := 0.0
	for _, a := range others[:count] {
		total += math.Abs(a.Value)
	}
	direction := 1.0
	if sign < 0 {
		direction = -1
	}
	var list []Edit
	for _, a := range others[:count] {
		list = append(list, Edit{Feature: clt.Feature{Layer: a.Layer, Index: a.Index}, Pos: a.Pos,
			Value: a.Value + direction*mass*math.Abs(a.Value)/total})
	}
	return list, true
}
