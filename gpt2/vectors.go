package gpt2

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"
)

// Vectors are the weights that attribution reads on the host, in float64 where
// they are small.
type Vectors struct {
	Ln2Gain     [][]float64 // layer -> [d_model]
	LnFGain     []float64   // [d_model]
	Unembed     Array       // [d_vocab, d_model]
	MeanUnembed []float64   // [d_model]: mean over the vocabulary
}

// Vectors copies them to the host once and keeps them.
func (m *Model) Vectors() (*Vectors, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.vectors != nil {
		return m.vectors, nil
	}
	var failed error
	get := func(name string) Array {
		v := m.Store.GetVariable("/" + name)
		if v == nil {
			failed = fmt.Errorf("gpt2: weight %s is missing", name)
			return Array{}
		}
		t, err := v.Value()
		if err == nil {
			var a Array
			if a, err = FromTensor(t); err == nil {
				return a
			}
		}
		failed = err
		return Array{}
	}
	v := &Vectors{LnFGain: get("ln_f.weight").Float64s()}
	for l := range m.Config.Layers {
		v.Ln2Gain = append(v.Ln2Gain, get(fmt.Sprintf("h.%d.ln_2.weight", l)).Float64s())
	}
	if m.Config.TieEmbeddings {
		v.Unembed = get("wte.weight")
	} else {
		v.Unembed = get("lm_head.weight")
	}
	if failed != nil {
		return nil, failed
	}
	v.MeanUnembed = make([]float64, m.Config.DModel)
	for i := range v.Unembed.Len() {
		v.MeanUnembed[i%m.Config.DModel] += v.Unembed.At(i)
	}
	for i := range v.MeanUnembed {
		v.MeanUnembed[i] /= float64(m.Config.DVocab)
	}
	m.vectors = v
	return v, nil
}

// WeightTensors are weights of one layer by name ("attn.c_proj.weight"), as they
// are on the device: inputs for programs that take their weights as arguments.
func (m *Model) WeightTensors(layer int, names ...string) ([]*tensors.Tensor, error) {
	var list []*tensors.Tensor
	for _, n := range names {
		name := fmt.Sprintf("h.%d.%s", layer, n)
		v := m.Store.GetVariable("/" + name)
		if v == nil {
			return nil, fmt.Errorf("gpt2: weight %s is missing", name)
		}
		t, err := v.Value()
		if err != nil {
			return nil, fmt.Errorf("gpt2: weight %s: %w", name, err)
		}
		list = append(list, t)
	}
	return list, nil
}

// Weight copies one weight of the checkpoint to the host, by name.
func (m *Model) Weight(name string) (Array, error) {
	if _, ok := WeightShapes(m.Config)[name]; !ok {
		return Array{}, fmt.Errorf("gpt2: there is no weight %q; names are those of the checkpoint, such as wte.weight or h.0.attn.c_proj.weight", name)
	}
	v := m.Store.GetVariable("/" + name)
	if v == nil {
		return Array{}, fmt.Errorf("gpt2: weight %s is missing", name)
	}
	t, err := v.Value()
	if err != nil {
		return Array{}, fmt.Errorf("gpt2: weight %s: %w", name, err)
	}
	return FromTensor(t)
}
