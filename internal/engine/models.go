package engine

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/clt/replacement"
	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
	"github.com/etredal/cross-layer-transcoder/internal/safetensors"
)

// Open loads a model, and a transcoder if asked.
func (s *Service) Open(ctx context.Context, req wire.OpenRequest, report func(wire.Progress)) (wire.ModelInfo, error) {
	m, info, err := s.model(req.Setup)
	if err != nil {
		return wire.ModelInfo{}, err
	}
	c := m.Config
	out := wire.ModelInfo{Name: m.Name, SHA256: m.SHA256, Layers: c.Layers, DModel: c.DModel, Heads: c.Heads, DMLP: c.DMLP,
		DVocab: c.DVocab, Context: c.Context, Parameters: parameters(c), Tokenizer: m.Tokenizer != nil, Backend: info.String(), Rejected: info.Rejected}
	if req.WithCLT || req.CLT != "" {
		r, _, err := s.join(req.Setup)
		if err != nil {
			return out, err
		}
		out.CLT = cltInfo(r.CLT, r.ID)
	}
	return out, nil
}

// parameters counts the weights of a model.
func parameters(c gpt2.Config) int {
	sum := 0
	for _, shape := range gpt2.WeightShapes(c) {
		n := 1
		for _, d := range shape {
			n *= d
		}
		sum += n
	}
	return sum
}

func cltInfo(t *clt.Transcoder, id attribution.Artifact) *wire.CLTInfo {
	out := &wire.CLTInfo{Name: id.Name, SHA256: id.SHA256, Layers: t.Layers, Features: t.Features, Activation: t.Activation,
		K: t.K, PerLayer: t.PerLayer, Skip: t.Skip, Read: string(t.Read), Parameters: t.NumParameters()}
	if t.Info.Metrics != nil {
		out.Metrics, _ = json.Marshal(t.Info.Metrics)
	}
	return out
}

// encode turns a prompt into checked token ids.
func encode(m *gpt2.Model, p wire.Prompt) ([]int32, error) {
	ids, err := encodeLong(m, p)
	if err != nil {
		return nil, err
	}
	return ids, m.CheckTokens(ids)
}

// encodeLong is encode for a prompt that may be longer than the context.
func encodeLong(m *gpt2.Model, p wire.Prompt) ([]int32, error) {
	if len(p.IDs) > 0 {
		if p.Text != "" {
			return nil, fmt.Errorf("engine: the prompt is given as text and as ids; give one")
		}
		return p.IDs, m.CheckIDs(p.IDs)
	}
	if p.Text == "" {
		return nil, fmt.Errorf("engine: the prompt is empty; give a text or token ids")
	}
	return m.EncodeLong(p.Text, !p.NoBOS)
}

func tokensOf(m *gpt2.Model, ids []int32) wire.TokensResponse {
	return wire.TokensResponse{IDs: ids, Tokens: m.TokenTexts(ids)}
}

// Tokens tokenises a prompt.
func (s *Service) Tokens(ctx context.Context, req wire.TokensRequest, report func(wire.Progress)) (wire.TokensResponse, error) {
	m, _, err := s.model(req.Setup)
	if err != nil {
		return wire.TokensResponse{}, err
	}
	read := encode
	if req.Long {
		read = encodeLong
	}
	ids, err := read(m, req.Prompt)
	if err != nil {
		return wire.TokensResponse{}, err
	}
	out, visible := tokensOf(m, ids), ids
	if len(ids) > 0 && ids[0] == m.Config.BOS {
		visible = ids[1:]
	}
	if m.Tokenizer != nil {
		out.Text = m.Tokenizer.DecodeString(visible)
	}
	return out, nil
}

// Run runs the model, or its full replacement, on one prompt.
func (s *Service) Run(ctx context.Context, req wire.RunRequest, report func(wire.Progress)) (out wire.RunResponse, err error) {
	m, program, err := s.programmed(ctx, req.Setup, req.Replacement, report)
	if err != nil {
		return out, err
	}
	ids, err := encode(m, req.Prompt)
	if err != nil {
		return out, err
	}
	var names []gpt2.HookName
	for _, h := range req.Hooks {
		if h == "all" {
			h = "*"
		}
		names = append(names, gpt2.HookName(h))
	}
	c, err := m.RunProgram(program, ids, names...)
	if err != nil {
		return out, err
	}
	if req.Top == 0 {
		req.Top = 10
	}
	out = wire.RunResponse{TokensResponse: tokensOf(m, ids), Top: predictions(m.TopPredictions(c, -1, req.Top)), Out: req.Out}
	if req.Replacement {
		if out.Agreement, err = agreementWith(m, ids, c.Logits); err != nil {
			return out, err
		}
	}
	if req.Out == "" {
		return out, nil
	}
	list := []safetensors.Tensor{tensor("logits", c.Logits)}
	for name, a := range c.Hooks {
		list = append(list, tensor(string(name), a))
	}
	return out, safetensors.WriteFile(req.Out, map[string]string{"model": m.Name, "sha256": m.SHA256}, list...)
}

// agreementWith holds the replacement model's logits against the model's own.
func agreementWith(m *gpt2.Model, ids []int32, replaced gpt2.Array) (*wire.TokenAgreement, error) {
	c, err := m.RunProgram(gpt2.Program{}, ids)
	if err != nil {
		return nil, err
	}
	a, err := replacement.Agree(c.Logits, replaced)
	if err != nil {
		return nil, err
	}
	w := wire.TokenAgreement(*a)
	return &w, nil
}

// programmed opens the model and the program that runs on it.
func (s *Service) programmed(ctx context.Context, set wire.Setup, replaced bool, report func(wire.Progress)) (*gpt2.Model, gpt2.Program, error) {
	if !replaced {
		m, _, err := s.model(set)
		return m, gpt2.Program{}, err
	}
	r, err := s.running(ctx, set, report)
	if err != nil {
		return nil, gpt2.Program{}, err
	}
	p, err := r.Program()
	return r.LM, p, err
}

func tensor(name string, a gpt2.Array) safetensors.Tensor {
	if a.F64 != nil {
		return safetensors.F64(name, a.Shape, a.F64)
	}
	return safetensors.F32(name, a.Shape, a.F32)
}

func predictions(list []gpt2.Prediction) []wire.Prediction {
	out := make([]wire.Prediction, len(list))
	for i, p := range list {
		out[i] = wire.Prediction{ID: p.ID, Token: p.Text, Logit: p.Logit, Prob: p.Prob}
	}
	return out
}

// Encode lists the active features of a prompt.
func (s *Service) Encode(ctx context.Context, req wire.EncodeRequest, report func(wire.Progress)) (out wire.EncodeResponse, err error) {
	local, err := s.local(req.Setup, req.Prompt)
	if err != nil {
		return out, err
	}
	out = wire.EncodeResponse{TokensResponse: tokensOf(local.LM, local.Tokens), Warned: s.warnings(local), Active: []wire.Activation{}}
	for _, a := range local.Active {
		out.Active = append(out.Active, wire.Activation{Layer: a.Layer, Pos: a.Pos, Index: a.Index, Value: a.Value})
	}
	return out, nil
}

// local makes the local replacement model of a prompt.
func (s *Service) local(set wire.Setup, p wire.Prompt) (*replacement.Local, error) {
	r, _, err := s.join(set)
	if err != nil {
		return nil, err
	}
	return localize(r, p)
}

func localize(r *replacement.Model, p wire.Prompt) (*replacement.Local, error) {
	ids, err := encode(r.LM, p)
	if err != nil {
		return nil, err
	}
	return r.Localize(ids)
}

func tell(report func(wire.Progress), p wire.Progress) {
	if report != nil {
		report(p)
	}
}
