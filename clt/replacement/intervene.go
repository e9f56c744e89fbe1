package replacement

import (
	"context"
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

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
	Streams         bool // also keep the MLP outputs and the stream of every layer
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
		return refused("intervene: mode %q is not known; use constrained, iterative or live", c.Mode)
	}
	if c.Mode != Live && (c.From < 0 || c.To > layers || c.From >= c.To) {
		return refused("intervene: layers %d:%d are not there; want a:b with 0 <= a < b <= %d", c.From, c.To, layers)
	}
	return nil
}

// Intervene runs the model under the edits.
func (l *Local) Intervene(ctx context.Context, cfg InterveneConfig, edits ...Edit) (*Effect, error) {
	if err := cfg.validate(l.CLT.Layers); err != nil {
		return nil, err
	}
	if err := l.checkHere(edits); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	rows := tableRows(l.length(), edits)
	names, tables := l.vectorTables(edits, rows)
	key := fmt.Sprintf("intervene|%s|%+v|%v|%d", l.programKey(), cfg, names, rows)
	exec, err := gpt2.Compiled(l.LM, key, interveneGraph(l.LM.Config, l.CLT.Config, cfg, names))
	if err != nil {
		return nil, err
	}
	in := append(l.frozenInputs(), l.tokensTensor())
	for _, a := range tables {
		in = append(in, a.Tensor(l.LM.Double))
	}
	in = append(in, l.modeInputs(cfg, edits, rows)...)
	if err := l.CLT.Err(); err != nil {
		return nil, fmt.Errorf("replacement: intervene: %w", err)
	}
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
	e := &Effect{Config: cfg, local: l, edits: edits}
	return e, e.unpack(out)
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

func (l *Local) modeInputs(cfg InterveneConfig, edits []Edit, rows int) []*tensors.Tensor {
	var list []*tensors.Tensor
	if cfg.Mode == Constrained {
		for _, a := range l.clampedOutputs(edits) {
			list = append(list, l.padded(a, 0, 0))
		}
		return list
	}
	scale, add := l.editTables(edits, rows)
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
		if e.Add != nil {
			continue // added to whatever stands there
		}
		dec := l.CLT.Decoder(e.Layer, e.Index)
		for p := max(1, e.Pos); p < len(l.Tokens) && (p == e.Pos || e.Open); p++ {
			delta := l.change(e, p)
			for k := range l.CLT.Targets(e.Layer) {
				addScaled(outputs[e.Layer+k], p*d, dec[k*d:][:d], delta)
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
	rows := tableRows(m.LM.Bucket(length), edits)
	scale, add := m.editTables(edits, rows)
	names, tables := m.vectorTables(edits, rows)
	var in []*tensors.Tensor
	for _, a := range append(append(scale, add...), tables...) {
		in = append(in, a.Tensor(m.LM.Double))
	}
	weights, err := m.weights()
	if err != nil {
		return gpt2.Program{}, err
	}
	return gpt2.Program{Key: fmt.Sprintf("live|%s|%d|%v", m.key, rows, names), Inputs: append(in, weights...), Hook: liveHook(m.CLT.Config, names)}, nil
}
