package gpt2

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/etredal/cross-layer-transcoder/gpt2/tokenizer"
	"github.com/etredal/cross-layer-transcoder/internal/atomicfile"
	"github.com/etredal/cross-layer-transcoder/internal/safetensors"
)

// Model is a GPT-2 on one backend. It is safe for concurrent use.
type Model struct {
	Config    Config
	Store     *model.Store // weights by checkpoint name in the root scope
	Backend   compute.Backend
	Tokenizer *tokenizer.Tokenizer // nil if the directory has none
	Name      string
	SHA256    string // of the weight files
	Double    bool   // computes in float64
	BF16      bool   // keeps matrices and multiplies in bfloat16; all else in float32

	noTokenizer error // why there is no tokenizer although its files are there

	mu      sync.Mutex
	execs   programs[*model.Exec]
	plain   programs[*graph.Exec]
	vectors *Vectors
}

// LoadOptions say how a checkpoint is loaded.
type LoadOptions struct {
	Double bool // compute in float64 (Go backend)

	// BF16 keeps embeddings and matrices in bfloat16 and multiplies in it; residual
	// stream, LayerNorm, attention scores and logits are float32, and so is all that
	// hooks see. For XLA, above all on CUDA: half the memory, and the tensor cores. For
	// running only: neither training nor attribution.
	BF16 bool
}

// New makes a model from weights, which it copies to the backend.
func New(backend compute.Backend, cfg Config, params Params, opts LoadOptions) (*Model, error) {
	m, err := empty(backend, cfg, opts)
	if err != nil {
		return nil, err
	}
	if err := params.Check(cfg); err != nil {
		return nil, err
	}
	for _, name := range sortedNames(params) {
		a := params[name]
		if opts.Double {
			a = Array{Shape: a.Shape, F64: a.Float64s()}
		} else {
			a = Array{Shape: a.Shape, F32: a.Float32s()}
		}
		if err := m.addWeight(name, a); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// empty is a model without weights.
func empty(backend compute.Backend, cfg Config, opts LoadOptions) (*Model, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	switch {
	case opts.BF16 && opts.Double:
		return nil, fmt.Errorf("gpt2: load: both bfloat16 and float64 are asked for; choose one")
	case opts.BF16 && !compilesShapes(backend):
		return nil, fmt.Errorf("gpt2: load: bfloat16 is for XLA; the Go backend gains nothing from it, use float32")
	}
	return &Model{Config: cfg, Store: model.NewStore(), Backend: backend, Name: "model", Double: opts.Double, BF16: opts.BF16}, nil
}

func (m *Model) addWeight(name string, a Array) error {
	upload := a.Upload
	if m.BF16 && len(a.Shape) == 2 {
		upload = a.uploadBF16
	}
	t, err := upload(m.Backend)
	if err != nil {
		return err
	}
	if _, err := m.Store.CreateVariable(name, t); err != nil {
		return fmt.Errorf("gpt2: %w", err)
	}
	return nil
}

// Load reads a Hugging Face directory: config.json, model.safetensors or its
// shards, and the tokenizer's files if they are there. Weights go to the device
// one tensor at a time.
func Load(backend compute.Backend, dir string, opts LoadOptions) (*Model, error) {
	cfg, err := ReadConfig(filepath.Join(dir, "config.json"))
	if err != nil {
		return nil, err
	}
	m, err := empty(backend, cfg, opts)
	if err != nil {
		return nil, err
	}
	m.Name = filepath.Base(filepath.Clean(dir))
	ckpt, err := openCheckpoint(dir)
	if err != nil {
		return nil, err
	}
	defer ckpt.Close()
	hashed := make(chan error, 1)
	go func() {
		var err error
		m.SHA256, err = safetensors.SHA256(os.DirFS(ckpt.dir), ckpt.names)
		hashed <- err
	}()
	add := m.addWeight
	if !backend.HasSharedBuffers() {
		// The device's driver reads the values: not from the mapping, whose faults would
		// end the process there.
		add = func(name string, a Array) error { return m.addWeight(name, a.clone()) }
	}
	err = eachParam(ckpt, cfg, opts.Double, add)
	if herr := <-hashed; err == nil {
		err = herr
	}
	if err != nil {
		return nil, err
	}
	if hasTokenizer(dir) {
		// A tokenizer of another kind does not keep the model from running on ids.
		m.Tokenizer, m.noTokenizer = tokenizer.Load(dir)
	}
	return m, nil
}

// Parse makes a model from the bytes of config.json and model.safetensors; it is
// how embedded models are opened.
func Parse(backend compute.Backend, name string, config, weights []byte, opts LoadOptions) (*Model, error) {
	cfg, err := ParseConfig(name+"/config.json", config)
	if err != nil {
		return nil, err
	}
	m, err := empty(backend, cfg, opts)
	if err != nil {
		return nil, err
	}
	f, err := safetensors.Parse(name+"/model.safetensors", weights)
	if err != nil {
		return nil, fmt.Errorf("gpt2: %w", err)
	}
	ckpt := &checkpoint{files: map[string]*safetensors.File{}, open: []*safetensors.File{f}}
	for _, n := range f.Names() {
		ckpt.files[n] = f
	}
	if err := eachParam(ckpt, cfg, opts.Double, m.addWeight); err != nil {
		return nil, err
	}
	m.Name, m.SHA256 = name, hashBytes(weights)
	return m, nil
}

// Params copies the weights to the host.
func (m *Model) Params() (Params, error) {
	p := Params{}
	for name := range WeightShapes(m.Config) {
		v := m.Store.GetVariable("/" + name)
		if v == nil {
			return nil, fmt.Errorf("gpt2: weight %s is missing", name)
		}
		t, err := v.Value()
		if err != nil {
			return nil, fmt.Errorf("gpt2: weight %s: %w", name, err)
		}
		if p[name], err = FromTensor(t); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// Save writes a Hugging Face directory: config.json, model.safetensors, and the
// tokenizer if the model has one. Each file is written whole or not at all; other
// files in the directory are left alone.
func (m *Model) Save(dir string) error {
	params, err := m.Params()
	if err != nil {
		return err
	}
	config, err := m.Config.MarshalHF()
	if err != nil {
		return fmt.Errorf("gpt2: save: %w", err)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("gpt2: save: %w", err)
	}
	if m.Tokenizer != nil {
		if err := m.Tokenizer.Save(dir); err != nil {
			return err
		}
	}
	if err := atomicfile.Write(filepath.Join(dir, "config.json"), config); err != nil {
		return err
	}
	return safetensors.WriteFile(filepath.Join(dir, "model.safetensors"), map[string]string{"format": "pt"}, params.tensors()...)
}

// DType is the type of the computation.
func (m *Model) DType() dtypes.DType {
	if m.Double {
		return dtypes.Float64
	}
	return dtypes.Float32
}

// CheckTokens refuses what the graph would silently clamp or cut.
func (m *Model) CheckTokens(tokens []int32) error {
	if len(tokens) > m.Config.Context {
		return fmt.Errorf("gpt2: the prompt has %d tokens, the context of %s is %d; shorten it", len(tokens), m.Name, m.Config.Context)
	}
	return m.CheckIDs(tokens)
}

// CheckIDs is CheckTokens for a text of any length.
func (m *Model) CheckIDs(tokens []int32) error {
	if len(tokens) == 0 {
		return fmt.Errorf("gpt2: the prompt has no tokens; give at least one")
	}
	for i, t := range tokens {
		if t < 0 || int(t) >= m.Config.DVocab {
			return fmt.Errorf("gpt2: token id %d at position %d is outside the vocabulary 0..%d of %s; are the ids, or the tokenizer, another model's?", t, i, m.Config.DVocab-1, m.Name)
		}
	}
	return nil
}

// Encode tokenises a prompt and puts <|endoftext|> in front of it if bos is set.
func (m *Model) Encode(text string, bos bool) ([]int32, error) {
	ids, err := m.EncodeLong(text, bos)
	if err == nil {
		err = m.CheckTokens(ids)
	}
	if err != nil {
		return nil, err
	}
	return ids, nil
}

// EncodeLong is Encode for a text of any length.
func (m *Model) EncodeLong(text string, bos bool) ([]int32, error) {
	if m.noTokenizer != nil {
		return nil, fmt.Errorf("gpt2: %s: %w; give token ids instead", m.Name, m.noTokenizer)
	}
	if m.Tokenizer == nil {
		return nil, fmt.Errorf("gpt2: %s has no tokenizer files (vocab.json and merges.txt, or tokenizer.json); give token ids instead", m.Name)
	}
	ids := m.Tokenizer.Encode(text)
	if bos && m.Config.BOS >= 0 {
		ids = append([]int32{m.Config.BOS}, ids...)
	}
	return ids, m.CheckIDs(ids)
}

// TokenText is the text of one token, its id in brackets without a tokenizer.
func (m *Model) TokenText(id int32) string {
	if m.Tokenizer == nil {
		return fmt.Sprintf("[%d]", id)
	}
	return m.Tokenizer.Text(id)
}

// TokenTexts is TokenText of each.
func (m *Model) TokenTexts(ids []int32) []string {
	s := make([]string, len(ids))
	for i, id := range ids {
		s[i] = m.TokenText(id)
	}
	return s
}

// CompilesShapes says whether each new shape costs a real compilation, as on XLA.
func (m *Model) CompilesShapes() bool { return compilesShapes(m.Backend) }

func compilesShapes(b compute.Backend) bool { return b.Name() == "xla" }

// onHeap says whether a backend's buffers are ordinary Go slices, which live as long as
// anyone holds them.
func onHeap(b compute.Backend) bool { return b.Name() == "Go Backend" }

// Bucket is the length to which a prompt is padded on the right before it runs:
// itself on the Go backend, the next power of two (at most the context) where
// each new shape costs a compilation. Causal attention hides the padding.
func (m *Model) Bucket(n int) int {
	if !m.CompilesShapes() {
		return n
	}
	b := 8
	for b < n {
		b *= 2
	}
	return min(b, m.Config.Context)
}

// hasTokenizer says whether a directory holds a tokenizer's files.
func hasTokenizer(dir string) bool {
	for _, name := range []string{"vocab.json", "tokenizer.json"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}
