package replacement

import (
	"fmt"
	"sync"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// Model is a GPT-2 with a transcoder for its MLPs. It is safe for concurrent use.
type Model struct {
	LM  *gpt2.Model
	CLT *clt.Transcoder
	ID  attribution.Artifact // of the transcoder
	key string               // tells programs of one architecture from those of another

	mu       sync.Mutex
	encoders []*tensors.Tensor             // see encoderTensors
	hops     map[hopKey][2]*tensors.Tensor // see hopWeights
	full     *clt.Weights                  // all weights, uploaded when a program needs decoders
}

// New joins a model and a transcoder. It refuses a transcoder of another shape.
func New(lm *gpt2.Model, t *clt.Transcoder, id attribution.Artifact) (*Model, error) {
	if t.Layers != lm.Config.Layers || t.DModel != lm.Config.DModel {
		return nil, fmt.Errorf("replacement: the transcoder is for %d layers of width %d, %s has %d of width %d; use the one trained on this model",
			t.Layers, t.DModel, lm.Name, lm.Config.Layers, lm.Config.DModel)
	}
	if err := t.Validate(); err != nil {
		return nil, err
	}
	c := t.Config
	key := fmt.Sprintf("%d,%s,%d,%v,%v,%s", c.Features, c.Activation, c.K, c.PerLayer, c.Skip, c.Read)
	return &Model{LM: lm, CLT: t, ID: id, key: key}, nil
}

// Close frees the transcoder's device memory. Later calls upload it again.
func (m *Model) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range m.encoders {
		_ = t.FinalizeAll()
	}
	for k, w := range m.hops {
		_ = w[0].FinalizeAll()
		if k.turned {
			_ = w[1].FinalizeAll() // else it is the model's own
		}
	}
	m.encoders, m.hops = nil, nil
	if m.full != nil {
		m.full.Free()
		m.full = nil
	}
}

// weights are all weights of the transcoder on the device, uploaded once. Graphs
// need encoders alone: decoders are most of a transcoder's bytes.
func (m *Model) weights() ([]*tensors.Tensor, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.full == nil {
		w, err := m.CLT.Upload(m.LM.Backend, m.LM.DType())
		if err != nil {
			return nil, err
		}
		m.full = w
	}
	return m.full.Tensors, nil
}

// resident copies an array to the device and nowhere else, so that programs that run
// side by side may share it. If that fails it is a tensor on the host: the program
// that needs it says why it cannot go to the device.
func (m *Model) resident(a gpt2.Array) *tensors.Tensor {
	if m.LM.Double {
		a = gpt2.Array{Shape: a.Shape, F64: a.Float64s()}
	} else {
		a = gpt2.Array{Shape: a.Shape, F32: a.Float32s()}
	}
	t, err := a.Upload(m.LM.Backend)
	if err != nil {
		return a.Tensor(m.LM.Double)
	}
	return t
}

// encoderTensors are, by layer, encoder weights and biases and, where there is
// one, the skip.
func (m *Model) encoderTensors() []*tensors.Tensor {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.encoders == nil {
		f, d := m.CLT.Features, m.CLT.DModel
		add := func(v []float32, shape ...int) {
			m.encoders = append(m.encoders, m.resident(gpt2.Array{Shape: shape, F32: v}))
		}
		for l := range m.CLT.Layers {
			add(m.CLT.WEnc[l], f, d)
			add(m.CLT.BEnc[l], f)
			if m.CLT.Skip {
				add(m.CLT.WSkip[l], d, d)
			}
		}
	}
	return m.encoders
}

// Program is the full replacement model: at every layer the features are encoded
// from this run's own activations, and the MLP output is what they decode to.
// Position 0 keeps its true MLP outputs.
func (m *Model) Program() (gpt2.Program, error) {
	w, err := m.weights()
	if err != nil {
		return gpt2.Program{}, err
	}
	return gpt2.Program{Key: "replace|" + m.key, Inputs: w, Hook: replaceHook(m.CLT.Config, m.LM.DType())}, nil
}
