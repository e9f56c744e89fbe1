package replacement

import (
	"fmt"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// Model is a GPT-2 with a transcoder for its MLPs.
type Model struct {
	LM      *gpt2.Model
	CLT     *clt.Transcoder
	ID      attribution.Artifact // of the transcoder
	weights *clt.Weights
	key     string
}

// New joins a model and a transcoder, whose weights it copies to the model's
// backend. It refuses a transcoder of another shape.
func New(lm *gpt2.Model, t *clt.Transcoder, id attribution.Artifact) (*Model, error) {
	if t.Layers != lm.Config.Layers || t.DModel != lm.Config.DModel {
		return nil, fmt.Errorf("replacement: the transcoder is for %d layers of width %d, %s has %d of width %d; use the one trained on this model",
			t.Layers, t.DModel, lm.Name, lm.Config.Layers, lm.Config.DModel)
	}
	w, err := t.Upload(lm.Backend, lm.DType())
	if err != nil {
		return nil, err
	}
	c := t.Config
	key := fmt.Sprintf("%d,%s,%d,%v,%v,%s", c.Features, c.Activation, c.K, c.PerLayer, c.Skip, c.Read)
	return &Model{LM: lm, CLT: t, ID: id, weights: w, key: key}, nil
}

// Close frees the transcoder's device memory.
func (m *Model) Close() { m.weights.Free() }

// Program is the full replacement model: at every layer the features are encoded
// from this run's own activations, and the MLP output is what they decode to.
// Position 0 keeps its true MLP outputs.
func (m *Model) Program() gpt2.Program {
	return gpt2.Program{Key: "replace|" + m.key, Inputs: m.weights.Tensors, Hook: replaceHook(m.CLT.Config, m.LM.DType())}
}
