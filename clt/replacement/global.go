package replacement

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// Global weights are those that no prompt changes: what a feature writes meets what
// another one reads, through the residual stream alone (method: Anthropic 2025,
// "Circuit Tracing", global weights),
//
//	V[s→t] = < Σ_{l=l_s}^{l_t-1} W_dec[l_s→l][s], r_t >
//
// with r_t the target's encoder at hook_resid_mid. Where encoders read behind ln_2,
// r_t is the encoder times the gain, centred; the divisor depends on the prompt and
// is left out. The residual part of an edge is then activation·V/divisor. Skips are
// left out as well. V between features that are never active together is
// interference: ERA and TWERA weigh V by how they are active together.

// GlobalWeight is the virtual weight of one pair of features. Without statistics
// ERA and TWERA are zero.
type GlobalWeight struct {
	Source  clt.Feature `json:"source"`
	Target  clt.Feature `json:"target"`
	Virtual float64     `json:"virtual"`
	ERA     float64     `json:"era"`   // E[1(a_t > 0)·a_s]·V
	TWERA   float64     `json:"twera"` // E[a_t·a_s]/E[a_t]·V
}

// Coactive says how two features are active together: clt.Coactivation counts it, a
// feature store remembers it.
type Coactive interface {
	Residual(source, target clt.Feature) float64       // E[1(a_t > 0)·a_s]
	TargetWeighted(source, target clt.Feature) float64 // E[a_t·a_s]/E[a_t]
}

// VirtualInputs are the weights from every feature of an earlier layer, by layer
// and index. stats may be nil.
func (m *Model) VirtualInputs(target clt.Feature, stats Coactive) ([]GlobalWeight, error) {
	if err := m.checkFeature(target); err != nil {
		return nil, err
	}
	read, err := m.globalRead(target)
	if err != nil {
		return nil, err
	}
	var list []GlobalWeight
	for l := range target.Layer {
		for f := range m.CLT.Features {
			s := clt.Feature{Layer: l, Index: f}
			list = append(list, weighed(s, target, inner(m.written(s, target.Layer), read), stats))
		}
	}
	return list, m.CLT.Err()
}

// VirtualOutputs are the weights to every feature of a later layer, by layer and
// index. stats may be nil.
func (m *Model) VirtualOutputs(source clt.Feature, stats Coactive) ([]GlobalWeight, error) {
	if err := m.checkFeature(source); err != nil {
		return nil, err
	}
	var list []GlobalWeight
	for l := source.Layer + 1; l < m.CLT.Layers; l++ {
		sum := m.written(source, l)
		for f := range m.CLT.Features {
			t := clt.Feature{Layer: l, Index: f}
			read, err := m.globalRead(t)
			if err != nil {
				return nil, err
			}
			list = append(list, weighed(source, t, inner(sum, read), stats))
		}
	}
	return list, m.CLT.Err()
}

// VirtualWeight is the weight of one pair: 0 unless the target is in a later layer.
func (m *Model) VirtualWeight(source, target clt.Feature, stats Coactive) (GlobalWeight, error) {
	for _, f := range []clt.Feature{source, target} {
		if err := m.checkFeature(f); err != nil {
			return GlobalWeight{}, err
		}
	}
	if target.Layer <= source.Layer {
		return GlobalWeight{Source: source, Target: target}, nil
	}
	read, err := m.globalRead(target)
	if err != nil {
		return GlobalWeight{}, err
	}
	return weighed(source, target, inner(m.written(source, target.Layer), read), stats), m.CLT.Err()
}

// Strongest are the n weights of largest absolute value, ties in the order given.
func Strongest(list []GlobalWeight, n int, value func(GlobalWeight) float64) []GlobalWeight {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b GlobalWeight) int { return cmp.Compare(math.Abs(value(b)), math.Abs(value(a))) })
	return list[:min(n, len(list))]
}

// TokenWeights is what each token's embedding gives to a feature: [d_vocab].
func (m *Model) TokenWeights(target clt.Feature) ([]float64, error) {
	return m.embeddingWeights("wte.weight", target)
}

// PositionWeights is what each position's embedding gives to a feature: [context].
func (m *Model) PositionWeights(target clt.Feature) ([]float64, error) {
	return m.embeddingWeights("wpe.weight", target)
}

func (m *Model) embeddingWeights(name string, target clt.Feature) ([]float64, error) {
	if err := m.checkFeature(target); err != nil {
		return nil, err
	}
	read, err := m.globalRead(target)
	if err != nil {
		return nil, err
	}
	v := m.LM.Store.GetVariable("/" + name)
	if v == nil {
		return nil, fmt.Errorf("replacement: weight %s is missing", name)
	}
	t, err := v.Value()
	if err != nil {
		return nil, fmt.Errorf("replacement: weight %s: %w", name, err)
	}
	table, err := gpt2.FromTensor(t)
	if err != nil {
		return nil, err
	}
	return times(table, read), nil
}

// LogitWeights is what a feature of activation 1 gives to each logit, relative to
// the mean logit and up to the divisor of ln_f: [d_vocab].
func (m *Model) LogitWeights(source clt.Feature) ([]float64, error) {
	if err := m.checkFeature(source); err != nil {
		return nil, err
	}
	v, err := m.LM.Vectors()
	if err != nil {
		return nil, err
	}
	sum := m.written(source, m.CLT.Layers)
	centred(sum)
	for i := range sum {
		sum[i] *= v.LnFGain[i]
	}
	head, err := m.LM.Unembed()
	if err != nil {
		return nil, err
	}
	logits := times(head, sum)
	mean := inner(v.MeanUnembed, sum)
	for i := range logits {
		logits[i] -= mean
	}
	return logits, m.CLT.Err()
}

func (m *Model) checkFeature(f clt.Feature) error {
	if f.Layer < 0 || f.Layer >= m.CLT.Layers || f.Index < 0 || f.Index >= m.CLT.Features {
		return refused("there is no feature %v; layers are 0..%d and features 0..%d", f, m.CLT.Layers-1, m.CLT.Features-1)
	}
	return nil
}

// written is what a feature of activation 1 has written to the stream before the
// MLP of a layer: [d_model].
func (m *Model) written(s clt.Feature, before int) []float64 { return m.CLT.Written(s, before) }

// globalRead is r_t, what a feature reads of hook_resid_mid: [d_model].
func (m *Model) globalRead(t clt.Feature) ([]float64, error) {
	v, err := m.LM.Vectors()
	if err != nil {
		return nil, err
	}
	return m.CLT.ReadVector(v, t), nil
}

func weighed(s, t clt.Feature, virtual float64, stats Coactive) GlobalWeight {
	w := GlobalWeight{Source: s, Target: t, Virtual: virtual}
	if stats != nil {
		w.ERA, w.TWERA = stats.Residual(s, t)*virtual, stats.TargetWeighted(s, t)*virtual
	}
	return w
}

// times is rows [n, d]·x.
func times(rows gpt2.Array, x []float64) []float64 {
	out := make([]float64, rows.Shape[0])
	for i := range out {
		for j, v := range x {
			out[i] += rows.At(i*len(x)+j) * v
		}
	}
	return out
}

func inner(a, b []float64) float64 {
	sum := 0.0
	for i, v := range a {
		sum += v * b[i]
	}
	return sum
}

// centred takes the mean away, in place.
func centred(x []float64) { hostNormTranspose(x, nil, 1) }
