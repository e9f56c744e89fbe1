package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/gomlx/compute"

	"github.com/etredal/cross-layer-transcoder/clt/features"
	"github.com/etredal/cross-layer-transcoder/clt/replacement"
	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/gpt2/pocket"
	"github.com/etredal/cross-layer-transcoder/internal/backend"
	"github.com/etredal/cross-layer-transcoder/internal/engine/server"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// Service keeps backends, models and transcoders open between calls. It is safe
// for concurrent use.
type Service struct {
	// Log receives one line a remark, such as the backend that was chosen; nil for none.
	Log func(string)

	mu       sync.Mutex
	backends map[string]opened
	models   map[string]*gpt2.Model
	joined   map[string]*replacement.Model
	fits     map[*replacement.Model]string // what is wrong with a transcoder, "" for nothing; see warnings
	standIns map[*replacement.Model]string // what people should know of one; see running
	stores   map[string]*features.Store    // by folder and its state
	evals    map[evalKey]wire.Evaluation   // on the pocket world's text, which never changes
	scratch  string

	building sync.Mutex // of a feature store
}

type opened struct {
	b    compute.Backend
	info backend.Info
}

// New returns a service with nothing open.
func New() *Service {
	return &Service{backends: map[string]opened{}, models: map[string]*gpt2.Model{}, joined: map[string]*replacement.Model{},
		fits: map[*replacement.Model]string{}, standIns: map[*replacement.Model]string{}, stores: map[string]*features.Store{}, evals: map[evalKey]wire.Evaluation{}}
}

// Close frees what is open and removes scratch files.
func (s *Service) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.joined {
		m.Close()
		_ = m.CLT.Close()
	}
	if s.scratch != "" {
		return os.RemoveAll(s.scratch)
	}
	return nil
}

// Verbs is the table that the socket server exposes.
func (s *Service) Verbs() server.Table {
	return server.Table{
		"open": server.Handle(s.Open), "tokens": server.Handle(s.Tokens), "run": server.Handle(s.Run),
		"generate": server.Handle(s.Generate), "train-lm": server.Handle(s.TrainLM), "train": server.Handle(s.Train),
		"eval": server.Handle(s.Eval), "calibrate": server.Handle(s.Calibrate), "sweep": server.Handle(s.Sweep), "encode": server.Handle(s.Encode), "attribute": server.Handle(s.Attribute),
		"intervene": server.Handle(s.Intervene), "doctor": server.Handle(s.Doctor), "accuracy": server.Handle(s.Accuracy),
		"prompts": server.Handle(s.Prompts), "heads": server.Handle(s.Heads), "qk": server.Handle(s.QK),
		"features-build": server.Handle(s.FeaturesBuild), "features": server.Handle(s.Features), "feature": server.Handle(s.Feature),
		"label": server.Handle(s.Label), "weights": server.Handle(s.Weights), "whatif": server.Handle(s.WhatIf), "convert": server.Handle(s.Convert),
		"faithfulness": server.Handle(s.Faithfulness),
		"tensors":      server.Handle(s.Tensors), "lens": server.Handle(s.Lens), "status": server.Handle(s.Status),
	}
}

func (s *Service) log(format string, args ...any) {
	if s.Log != nil {
		s.Log(fmt.Sprintf(format, args...))
	}
}

// backend opens a backend once and says which, once.
func (s *Service) backend(name string) (opened, error) {
	if o, ok := s.backends[name]; ok {
		return o, nil
	}
	b, info, err := backend.Open(name)
	if err != nil {
		return opened{}, err
	}
	s.log("backend: %s", info)
	o := opened{b, info}
	s.backends[name] = o
	return o, nil
}

// model opens a model once per backend and type.
func (s *Service) model(set wire.Setup) (*gpt2.Model, backend.Info, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.modelLocked(set)
}

func (s *Service) modelLocked(set wire.Setup) (*gpt2.Model, backend.Info, error) {
	if set.Model == "" {
		set.Model = "pocket"
	}
	opts, err := loadOptions(set)
	if err != nil {
		return nil, backend.Info{}, err
	}
	if opts.Double && set.Backend == "" {
		set.Backend = "go" // XLA would do it too, but the Go backend is the reference
	}
	o, err := s.backend(set.Backend)
	if err != nil {
		return nil, backend.Info{}, err
	}
	key := fmt.Sprintf("%s|%s|%v", set.Model, set.Backend, opts)
	if stamp, err := stampOf(set.Model); err == nil {
		key += "|" + stamp // a retrained directory is another model
	}
	if m := s.models[key]; m != nil {
		return m, o.info, nil
	}
	m, err := loadModel(o, set.Model, opts)
	if err != nil {
		return nil, o.info, err
	}
	s.models[key] = m
	backend.LeanHeap(4 * parameters(m.Config))
	return m, o.info, nil
}

// loadModel reads a model that nobody else holds.
func loadModel(o opened, name string, opts gpt2.LoadOptions) (*gpt2.Model, error) {
	if name == "pocket" {
		return pocket.Open(o.b, opts)
	}
	dir, err := FindModel(name)
	if err != nil {
		return nil, err
	}
	return gpt2.Load(o.b, dir, opts)
}

func loadOptions(set wire.Setup) (gpt2.LoadOptions, error) {
	switch set.DType {
	case "", "f32":
		return gpt2.LoadOptions{}, nil
	case "f64":
		return gpt2.LoadOptions{Double: true}, nil
	case "bf16":
		return gpt2.LoadOptions{BF16: true}, nil
	}
	return gpt2.LoadOptions{}, fmt.Errorf("engine: dtype %q is not known; use f32, f64 or bf16", set.DType)
}

// stampOf tells one state of a directory from another.
func stampOf(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for _, e := range entries {
		if i, err := e.Info(); err == nil && !e.IsDir() {
			fmt.Fprintln(h, e.Name(), i.Size(), i.ModTime().UnixNano())
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:8]), nil
}

// FindModel turns what a person calls a model into its directory.
func FindModel(name string) (string, error) {
	if isModel(name) {
		return name, nil
	}
	if dir := os.Getenv("GPT2_DIR"); dir != "" && name == "gpt2" && isModel(dir) {
		return dir, nil
	}
	for _, root := range modelRoots() {
		if dir := filepath.Join(root, filepath.FromSlash(name)); isModel(dir) {
			return dir, nil
		}
	}
	if isDir(name) {
		return "", fmt.Errorf("engine: the folder %q has no config.json; give a Hugging Face directory of a GPT-2", name)
	}
	return "", fmt.Errorf("engine: model %q is neither \"pocket\" nor a directory nor fetched; give a Hugging Face directory with config.json and model.safetensors", name)
}

// modelRoots are where fetched models are: out/models of the clone, and the
// user's cache.
func modelRoots() []string {
	roots := []string{filepath.Join("out", "models")}
	if r := os.Getenv("CLT_ROOT"); r != "" {
		roots = append(roots, filepath.Join(r, "out", "models"))
	}
	if c, err := os.UserCacheDir(); err == nil {
		roots = append(roots, filepath.Join(c, "clt", "models"))
	}
	return roots
}

// isModel tells a model's directory from any other of that name, such as this
// repository's gpt2.
func isModel(dir string) bool {
	i, err := os.Stat(filepath.Join(dir, "config.json"))
	return err == nil && !i.IsDir()
}

func isDir(path string) bool {
	i, err := os.Stat(path)
	return err == nil && i.IsDir()
}

// join opens a model with a transcoder, once.
func (s *Service) join(set wire.Setup) (*replacement.Model, backend.Info, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if set.DType == "bf16" {
		return nil, backend.Info{}, fmt.Errorf("engine: dtype bf16 is for running and generating with the model alone; use f32 or f64 with a transcoder")
	}
	lm, info, err := s.modelLocked(set)
	if err != nil {
		return nil, info, err
	}
	if set.CLT == "" {
		set.CLT = "pocket"
	}
	key := fmt.Sprintf("%p|%s", lm, set.CLT)
	if stamp, err := stampOf(set.CLT); err == nil {
		key += "|" + stamp
	}
	if m := s.joined[key]; m != nil {
		return m, info, nil
	}
	t, id, remarks, err := openCLT(set.CLT)
	if err != nil {
		return nil, info, err
	}
	for _, r := range remarks {
		s.log("transcoder %s: %s", id.Name, r)
	}
	m, err := replacement.New(lm, t, id)
	if err != nil {
		_ = t.Close()
		return nil, info, err
	}
	s.joined[key] = m
	return m, info, nil
}

// scratchFile is a path for a file that nobody named.
func (s *Service) scratchFile(name string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.scratch == "" {
		dir, err := os.MkdirTemp("", "clt-engine-")
		if err != nil {
			return "", fmt.Errorf("engine: scratch folder: %w; set TMPDIR to a folder you can write to", err)
		}
		s.scratch = dir
	}
	return filepath.Join(s.scratch, name), nil
}
