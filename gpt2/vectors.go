package gpt2

import (
	"fmt"

	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// Vectors are small weights that attribution reads on the host, in float64.
type Vectors struct {
	Ln2Gain     [][]float64 // layer -> [d_model]
	LnFGain     []float64   // [d_model]
	MeanUnembed []float64   // [d_model]: mean over the vocabulary
}

// Vectors copies them to the host once and keeps them.
func (m *Model) Vectors() (*Vectors, error) {
	m.mu.Lock()
	known := m.vectors
	m.mu.Unlock()
	if known != nil {
		return known, nil
	}
	gain, err := m.Weight("ln_f.weight")
	if err != nil {
		return nil, err
	}
	v := &Vectors{LnFGain: gain.Float64s()}
	for l := range m.Config.Layers {
		if gain, err = m.Weight(fmt.Sprintf("h.%d.ln_2.weight", l)); err != nil {
			return nil, err
		}
		v.Ln2Gain = append(v.Ln2Gain, gain.Float64s())
	}
	mean, err := callOne(m, "mean unembedding", meanGraph, m.UnembedTensor)
	if err != nil {
		return nil, err
	}
	v.MeanUnembed = mean.Float64s()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.vectors = v
	return v, nil
}

// callOne runs a small program on one weight and copies its result to the host.
func callOne[F graph.ExecGraphFn](m *Model, key string, fn F, weight func() (*tensors.Tensor, error), more ...any) (Array, error) {
	exec, err := Plain(m, key, fn)
	if err != nil {
		return Array{}, err
	}
	w, err := weight()
	if err != nil {
		return Array{}, err
	}
	out, err := exec.Call(append([]any{w}, more...)...)
	if err != nil {
		return Array{}, fmt.Errorf("gpt2: %s: %w", key, err)
	}
	return TakeTensor(out[0])
}

// meanGraph is the mean row of a matrix, as a product: it adds up in blocks.
func meanGraph(w *graph.Node) *graph.Node {
	n := w.Shape().Dimensions[0]
	ones := graph.AddScalar(graph.Zeros(w.Graph(), shapes.Make(w.DType(), 1, n)), 1)
	return graph.MulScalar(graph.DotGeneral(ones, []int{1}, nil, w, []int{0}, nil), 1/float64(n))
}

// UnembedTensor is the output head [d_vocab, d_model] as it is on the device: wte
// where it is tied. It belongs to the model.
func (m *Model) UnembedTensor() (*tensors.Tensor, error) {
	if m.Config.TieEmbeddings {
		return m.weightTensor("wte.weight")
	}
	return m.weightTensor("lm_head.weight")
}

// Unembed copies the output head to the host, [d_vocab, d_model].
func (m *Model) Unembed() (Array, error) {
	t, err := m.UnembedTensor()
	if err != nil {
		return Array{}, err
	}
	return FromTensor(t)
}

// UnembedRows copies the rows of some tokens of the output head to the host, [token,
// d_model].
func (m *Model) UnembedRows(ids []int32) (Array, error) {
	for _, id := range ids {
		if id < 0 || int(id) >= m.Config.DVocab {
			return Array{}, fmt.Errorf("gpt2: token id %d is outside the vocabulary 0..%d of %s", id, m.Config.DVocab-1, m.Name)
		}
	}
	padded := make([]int32, (len(ids)+15)/16*16) // few shapes to compile
	copy(padded, ids)
	rows, err := callOne(m, "unembedding rows", func(w, ids *graph.Node) *graph.Node {
		return graph.Gather(w, graph.InsertAxes(ids, -1))
	}, m.UnembedTensor, padded)
	return rows.cut(len(ids), 0), err
}

// WeightTensors are weights of one layer by name ("attn.c_proj.weight"), as they
// are on the device: inputs for programs that take their weights as arguments.
func (m *Model) WeightTensors(layer int, names ...string) ([]*tensors.Tensor, error) {
	var list []*tensors.Tensor
	for _, n := range names {
		t, err := m.weightTensor(fmt.Sprintf("h.%d.%s", layer, n))
		if err != nil {
			return nil, err
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
	t, err := m.weightTensor(name)
	if err != nil {
		return Array{}, err
	}
	return FromTensor(t)
}

func (m *Model) weightTensor(name string) (*tensors.Tensor, error) {
	v := m.Store.GetVariable("/" + name)
	if v == nil {
		return nil, fmt.Errorf("gpt2: weight %s is missing", name)
	}
	t, err := v.Value()
	if err != nil {
		return nil, fmt.Errorf("gpt2: weight %s: %w", name, err)
	}
	return t, nil
}
