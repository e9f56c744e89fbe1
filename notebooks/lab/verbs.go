package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// Model describes the open model and transcoder.
func (s *Session) Model() *Model {
	m := &Model{}
	s.do("open", wire.OpenRequest{Setup: s.on(), WithCLT: true}, &m.ModelInfo, nil)
	return m
}

// Tokens tokenises a prompt, <|endoftext|> in front.
func (s *Session) Tokens(prompt string) *Tokens {
	t := &Tokens{}
	s.do("tokens", wire.TokensRequest{Setup: s.on(), Prompt: wire.Prompt{Text: prompt}}, &t.TokensResponse, nil)
	return t
}

// Decode turns token ids back into text.
func (s *Session) Decode(ids []int32) string {
	var t wire.TokensResponse
	s.do("tokens", wire.TokensRequest{Setup: s.on(), Prompt: wire.Prompt{IDs: ids}}, &t, nil)
	return t.Text
}

// Predict gives the likeliest next tokens after a prompt.
func (s *Session) Predict(prompt string) *Predictions {
	p := &Predictions{Prompt: prompt}
	s.do("run", wire.RunRequest{Setup: s.on(), Prompt: wire.Prompt{Text: prompt}}, &p.RunResponse, nil)
	return p
}

// Accuracy asks the model every question of the pocket world.
func (s *Session) Accuracy() *Accuracy {
	a := &Accuracy{}
	s.do("accuracy", wire.AccuracyRequest{Setup: s.on()}, &a.AccuracyResponse, nil)
	return a
}

// TrainOptions say which transcoder is trained; zero values take the defaults.
type TrainOptions struct {
	Out        string // folder, relative to the clone; default out/lab/clt
	Features   int    // per layer
	Activation string // jumprelu, batchtopk, topk, relu
	K          int
	Steps      int
	Lambda     float64
	PerLayer   bool
	Seed       uint64
	Texts      []string // files, relative to the clone; default: the pocket world
	Cache      string   // folder that keeps the activations, relative to the clone; default: none
	CacheDType string   // float32, bfloat16 or int8
	DataTokens int      // go round the first so many tokens
	Fresh      bool     // start again instead of going on from a checkpoint
	StopAfter  int      // press the stop button by itself at this step; 0 never

	ShuffledTargets bool // negative control: each token is given the targets of another one
}

// Train trains a transcoder on the model's own activations and draws its curve
// while it runs. The stop button keeps a checkpoint: running the cell again goes
// on from there.
func (s *Session) Train(o TrainOptions) *Training {
	if o.Out == "" {
		o.Out = "out/lab/clt"
	}
	req := wire.TrainRequest{Setup: s.on(), World: len(o.Texts) == 0, Texts: o.Texts, Features: o.Features, Activation: o.Activation,
		K: o.K, Steps: o.Steps, Lambda: o.Lambda, Seed: o.Seed, PerLayer: o.PerLayer, Out: s.path(o.Out), Resume: !o.Fresh, Fresh: o.Fresh}
	req.TrainData = wire.TrainData{CacheDType: o.CacheDType, CacheTokens: o.DataTokens}
	if o.ShuffledTargets {
		req.Config = json.RawMessage(`{"shuffled_targets": true}`)
	}
	if o.Cache != "" {
		req.Cache = s.path(o.Cache)
	}
	for i, text := range req.Texts {
		if !strings.HasPrefix(text, "hub:") {
			req.Texts[i] = s.path(text)
		}
	}
	t := &Training{Dir: o.Out}
	c, stop := newCurve(), func() {}
	seen := func(p wire.Progress) {
		if p.Phase != "train" {
			return
		}
		t.Curve = append(t.Curve, p)
		c.update(t.Curve)
		if o.StopAfter > 0 && p.Done >= o.StopAfter {
			stop()
		}
	}
	if o.StopAfter > 0 {
		s.until(&stop, "train", req, &t.TrainResponse, seen)
	} else {
		s.do("train", req, &t.TrainResponse, seen)
	}
	c.finish(t.Curve)
	return t
}

// until is do for a call that ends itself through stop, as if the stop button had
// been pressed. It returns when the engine has put its work away.
func (s *Session) until(stop *func(), verb string, req, resp any, onProgress func(wire.Progress)) {
	button, done := signal.NotifyContext(context.Background(), os.Interrupt)
	defer done()
	ctx, cancel := context.WithCancel(button)
	defer cancel()
	*stop = cancel
	err := s.call(ctx, verb, req, resp, onProgress)
	if err != nil && (button.Err() != nil || ctx.Err() == nil) {
		fail(verb, err)
	}
	for s.State().Busy > 0 && button.Err() == nil {
		time.Sleep(20 * time.Millisecond)
	}
}

// path makes a path of the notebook absolute for the engine, which has a working
// directory of its own.
func (s *Session) path(p string) string {
	if filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(s.place.root, p)
}

// With returns a session on another transcoder: a folder relative to the clone, or
// a shipped one.
func (s *Session) With(transcoder string) *Session {
	other := *s
	if _, err := os.Stat(s.path(transcoder)); err == nil {
		transcoder = s.path(transcoder)
	}
	other.setup.CLT = transcoder
	return &other
}

// Eval evaluates the transcoder on text of the pocket world that no training saw.
func (s *Session) Eval() *Evaluation {
	e := &Evaluation{Name: filepath.Base(s.on().CLT)}
	s.do("eval", wire.EvalRequest{Setup: s.on(), World: true}, &e.Evaluation, nil)
	return e
}

// Encode lists the active features of a prompt.
func (s *Session) Encode(prompt string) *Encoding {
	f := &Encoding{}
	s.do("encode", wire.EncodeRequest{Setup: s.on(), Prompt: wire.Prompt{Text: prompt}}, &f.EncodeResponse, nil)
	warn(f.Warnings)
	return f
}

// Graph makes the attribution graph of a prompt. Targets are tokens, ids, "A-B",
// "feature:L/F@P"; none means the likeliest next tokens.
func (s *Session) Graph(prompt string, targets ...string) *Graph {
	g := &Graph{session: s, Prompt: prompt, targets: targets}
	s.do("attribute", wire.AttributeRequest{Setup: s.on(), Prompt: wire.Prompt{Text: prompt}, Targets: targets}, &g.Info, nil)
	warn(g.Info.Warnings)
	var err error
	if g.Graph, err = readGraph(g.Info.Path); err != nil {
		fail("graph", err)
	}
	return g
}

func readGraph(path string) (*attribution.Graph, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("lab: the graph's file: %w; run the cell again", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("lab: the graph's file: %w; run the cell again", err)
	}
	return attribution.ReadSafetensors(f, info.Size())
}

// Replace continues a prompt with the model and with its full replacement, in
// which every MLP is the transcoder, by the same greedy choice.
func (s *Session) Replace(prompt string, n int) *Replacement {
	r := &Replacement{}
	req := wire.GenerateRequest{Setup: s.on(), Prompt: wire.Prompt{Text: prompt}, N: n}
	s.do("generate", req, &r.Original, nil)
	req.Replacement = true
	s.do("generate", req, &r.Replaced, nil)
	return r
}

// Generate continues a prompt, under edits if there are any; temperature 0 is greedy.
func (s *Session) Generate(prompt string, n int, temperature float64, seed uint64, edits ...string) *Generation {
	g := &Generation{}
	s.do("generate", wire.GenerateRequest{Setup: s.on(), Prompt: wire.Prompt{Text: prompt}, N: n, Temperature: temperature, Seed: seed, Edits: edits}, &g.GenerateResponse, nil)
	return g
}

// Doctor looks at the machine.
func (s *Session) Doctor() *Doctor {
	d := &Doctor{}
	s.do("doctor", wire.Empty{}, &d.DoctorResponse, nil)
	return d
}

// Prompts lists demonstration prompts of the pocket world.
func (s *Session) Prompts() []wire.DemoPrompt {
	var r wire.PromptsResponse
	s.do("prompts", wire.Empty{}, &r, nil)
	return r.Prompts
}
