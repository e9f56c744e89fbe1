package gpt2

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/etredal/cross-layer-transcoder/internal/optim"
	"github.com/etredal/cross-layer-transcoder/internal/safetensors"
)

// trainState is what a checkpoint holds beside the tensors. Data and learning rate
// follow from the step, and nothing else is random.
type trainState struct {
	Step   int         `json:"step"`
	Config TrainConfig `json:"config"`
	Model  string      `json:"model"` // config.json of the model
	Data   string      `json:"data"`  // digest of the text
}

// checkpoint writes weights, moments and step, whole or not at all.
func (t *trainer) checkpoint(path string, step int) error {
	if path == "" {
		return nil
	}
	config, err := t.m.Config.MarshalHF()
	if err != nil {
		return err
	}
	state, err := json.Marshal(trainState{Step: step, Config: t.cfg, Model: string(config), Data: t.data.Digest})
	if err != nil {
		return err
	}
	var list []safetensors.Tensor
	for v := range t.m.Store.IterVariables() {
		if strings.HasPrefix(v.Path(), optim.SumScope+"/") {
			continue // zero between steps
		}
		value, err := v.Value()
		if err != nil {
			return fmt.Errorf("gpt2: checkpoint: %w", err)
		}
		a, err := FromTensor(value)
		if err != nil {
			continue // state that is no float, such as a random generator's, is not ours
		}
		list = append(list, safetensors.F32(strings.TrimPrefix(v.Path(), "/"), a.Shape, a.Float32s()))
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return fmt.Errorf("gpt2: checkpoint: %w", err)
	}
	return safetensors.WriteFile(path, map[string]string{"state": string(state)}, list...)
}

// resume loads a checkpoint of the same run and returns its step; 0 if none.
func (t *trainer) resume(path string) (int, error) {
	if path == "" {
		return 0, nil
	}
	if _, err := os.Stat(path); os.IsNotExist(err) {
		return 0, nil
	}
	f, err := safetensors.Open(path)
	if err != nil {
		return 0, fmt.Errorf("gpt2: resume: %w", err)
	}
	defer f.Close()
	var state trainState
	if err := json.Unmarshal([]byte(f.Metadata()["state"]), &state); err != nil {
		return 0, fmt.Errorf("gpt2: resume: %s holds no training state: %w", filepath.Base(path), err)
	}
	config, err := t.m.Config.MarshalHF()
	if err != nil {
		return 0, err
	}
	other := ""
	switch {
	case state.Model != string(config):
		other = "another model"
	case state.Config != t.cfg:
		other = "another training configuration"
	case state.Data != t.data.Digest:
		other = "other texts"
	}
	if other != "" {
		return 0, fmt.Errorf("gpt2: resume: %s was made with %s; remove it or use another output folder", filepath.Base(path), other)
	}
	for v := range t.m.Store.IterVariables() {
		name := strings.TrimPrefix(v.Path(), "/")
		if _, ok := f.Info(name); !ok {
			continue
		}
		values, err := f.Float32(name)
		if err != nil {
			return 0, fmt.Errorf("gpt2: resume: %w", err)
		}
		if err := v.SetValue(tensors.FromFlatDataAndDimensions(values, v.Shape().Dimensions...)); err != nil {
			return 0, fmt.Errorf("gpt2: resume: %w", err)
		}
	}
	return state.Step, nil
}
