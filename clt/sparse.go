package clt

import (
	"fmt"
	"math"
	"runtime"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/etredal/cross-layer-transcoder/internal/optim"
	"github.com/etredal/cross-layer-transcoder/internal/vec"
)

// sparse computes steps of training on the host. Dense products, encoders and,
// for jumprelu, the gradient of the activations, are the backend's; all else goes
// through the active features alone. Weights, moments and gradients exist once and
// change in place.
//
// Sums over tokens and over features are always taken in the same order, whatever
// the number of cores.
type sparse struct {
	cfg     Config
	tc      TrainConfig
	backend compute.Backend
	order   []string
	vars    map[string]*hostVar
	trained []*hostVar
	encode  *graph.Exec // reads and encoders by layer -> pre-activations without bias
	back    *graph.Exec // gradient of the outputs, decoders -> gradient of the activations
	layers  []*sparseLayer
	tokens  int
	out, y  []float32 // [tokens, layers·d_model]: estimate, then gradient of the loss with respect to it; wanted
	grad    *tensors.Tensor
	errors  []float64 // [layers·tokens] squared errors
	held    []*tensors.Tensor
}

// hostVar is a variable; trained ones have moments and a gradient.
type hostVar struct {
	shape   []int
	tensor  *tensors.Tensor // shares memory with v
	v       []float32
	m, s, g []float32
}

// sparseLayer is what a step knows of one layer.
type sparseLayer struct {
	wEnc, bEnc, wDec, bDec, log *hostVar // log is nil but for jumprelu
	idle                        *hostVar

	x     *tensors.Tensor
	reads []float32   // [tokens, d_model], memory of x
	h     []float32   // [tokens, features] pre-activations without bias
	dAct  []float32   // [tokens, features] gradient of the activations; jumprelu alone
	theta []float32   // [features]; jumprelu alone
	norm  []float32   // [features] of the decoder vectors to all targets together
	lists []entryList // by stretch of tokens

	start  []int32 // [features·stretches+1] where the entries of a feature and stretch begin
	token  []int32 // of the entries, by feature, then token
	value  []float32
	window []float32 // [features] sums of the gradients inside the threshold's window
	sparse []float64 // [features] sums of tanh
	dead   []float64 // [features] dead-feature losses
}

// entryList are the active features of a stretch of tokens, by token.
type entryList struct {
	token, feature []int32
	value          []float32
	count          []int32 // [features]
	row            []float32
}

func newSparse(b compute.Backend, cfg Config, tc TrainConfig) *sparse {
	return &sparse{cfg: cfg, tc: tc, backend: b, vars: map[string]*hostVar{}}
}

func (s *sparse) create(name string, values []float32, shape []int) error {
	if s.vars[name] != nil {
		return fmt.Errorf("clt: variable %s exists twice", name)
	}
	t, v, err := s.shared(shape)
	if err != nil {
		return fmt.Errorf("clt: variable %s: %w", name, err)
	}
	copy(v, values)
	s.vars[name], s.order = &hostVar{shape: shape, tensor: t, v: v}, append(s.order, name)
	return nil
}

// shared makes a tensor of zeros and gives its memory, which both sides see as
// long as the tensor lives.
func (s *sparse) shared(shape []int) (*tensors.Tensor, []float32, error) {
	t, err := tensors.FromShapeForBackend(s.backend, 0, shapes.Make(dtypes.Float32, shape...))
	if err != nil {
		return nil, nil, err
	}
	if !t.IsShared() {
		return nil, nil, fmt.Errorf("the backend does not share its memory")
	}
	var v []float32
	err = t.MutableFlatData(func(flat any) { v = flat.([]float32) })
	return t, v, err
}

func (s *sparse) names() []string { return s.order }

func (s *sparse) get(name string) ([]float32, []int, error) {
	v := s.vars[name]
	if v == nil {
		return nil, nil, fmt.Errorf("clt: training has no variable %s", name)
	}
	return append([]float32(nil), v.v...), v.shape, nil
}

func (s *sparse) set(name string, values []float32) error {
	v := s.vars[name]
	if v == nil || len(v.v) != len(values) {
		return fmt.Errorf("clt: variable %s cannot take %d values", name, len(values))
	}
	copy(v.v, values)
	return nil
}

func (s *sparse) ready(trained []string) error {
	for _, name := range trained {
		v := s.vars[name]
		v.g, v.m, v.s = make([]float32, len(v.v)), make([]float32, len(v.v)), make([]float32, len(v.v))
		for which, values := range map[string][]float32{"m": v.m, "v": v.s} {
			s.vars[optim.MomentName(name, which)] = &hostVar{shape: v.shape, v: values}
		}
		s.order = append(s.order, optim.MomentName(name, "m"), optim.MomentName(name, "v"))
		s.trained = append(s.trained, v)
	}
	for l := range s.cfg.Layers {
		at := func(format string) *hostVar { return s.vars[fmt.Sprintf(format, l)] }
		y := &sparseLayer{wEnc: at("clt/W_enc_%d"), bEnc: at("clt/b_enc_%d"), wDec: at("clt/W_dec_%d"), bDec: at("clt/b_dec_%d"),
			log: at("clt/" + logThreshold + "_%d"), idle: at(idleName)}
		y.norm, y.window = make([]float32, s.cfg.Features), make([]float32, s.cfg.Features)
		y.sparse, y.dead, y.theta = make([]float64, s.cfg.Features), make([]float64, s.cfg.Features), make([]float32, s.cfg.Features)
		s.layers = append(s.layers, y)
	}
	var err error
	if s.encode, err = graph.NewExec(s.backend, s.encodeGraph); err != nil {
		return fmt.Errorf("clt: training step: %w", err)
	}
	if s.cfg.Activation == ActJumpReLU {
		if s.back, err = graph.NewExec(s.backend, s.backGraph); err != nil {
			return fmt.Errorf("clt: training step: %w", err)
		}
	}
	return nil
}

// resize makes room for batches of so many tokens.
func (s *sparse) resize(tokens int) (err error) {
	if s.tokens == tokens {
		return nil
	}
	s.freeBatch()
	s.tokens = tokens
	width := s.cfg.Layers * s.cfg.DModel
	if s.grad, s.out, err = s.shared([]int{tokens, width}); err != nil {
		return fmt.Errorf("clt: training step: %w", err)
	}
	s.y, s.errors = make([]float32, tokens*width), make([]float64, s.cfg.Layers*tokens)
	stretches := max(1, min(runtime.GOMAXPROCS(0), tokens))
	for _, y := range s.layers {
		if y.x, y.reads, err = s.shared([]int{tokens, s.cfg.DModel}); err != nil {
			return fmt.Errorf("clt: training step: %w", err)
		}
		y.lists = make([]entryList, stretches)
		y.start = make([]int32, s.cfg.Features*stretches+1)
		for i := range y.lists {
			y.lists[i].count = make([]int32, s.cfg.Features)
		}
	}
	return nil
}

func (s *sparse) freeBatch() {
	if s.grad != nil {
		_ = s.grad.FinalizeAll()
		for _, y := range s.layers {
			_ = y.x.FinalizeAll()
		}
	}
}

func (s *sparse) free() {
	s.release()
	s.freeBatch()
	for _, e := range []*graph.Exec{s.encode, s.back} {
		if e != nil {
			e.Finalize()
		}
	}
	for _, v := range s.vars {
		if v.tensor != nil {
			_ = v.tensor.FinalizeAll()
		}
	}
}

// call runs a program and gives the memory of its results, which release frees.
func (s *sparse) call(e *graph.Exec, args []any) ([][]float32, error) {
	out, err := e.Call(args...)
	if err != nil {
		return nil, fmt.Errorf("clt: training step: %w", err)
	}
	var list [][]float32
	for _, t := range out {
		s.held = append(s.held, t)
		if err := t.ConstFlatData(func(flat any) { list = append(list, flat.([]float32)) }); err != nil {
			return nil, fmt.Errorf("clt: training step: %w", err)
		}
	}
	return list, nil
}

func (s *sparse) release() {
	for _, t := range s.held {
		_ = t.FinalizeAll()
	}
	s.held = s.held[:0]
}

// update is Adam with the gradient clipped; it returns the norm before.
func (s *sparse) update(lr, number float32, loss float64) (norm float64, finite bool) {
	const stretch = 1 << 16
	for _, v := range s.trained {
		parts := make([]float64, (len(v.g)+stretch-1)/stretch)
		vec.Each(len(parts), func(i int) { parts[i] = vec.Square(v.g[i*stretch : min((i+1)*stretch, len(v.g))]) })
		for _, p := range parts {
			norm += p
		}
	}
	norm = math.Sqrt(norm + 1e-30)
	if bad(norm) || bad(loss) {
		return norm, false
	}
	c1, c2 := 1-math.Pow(s.tc.Beta1, float64(number)), 1-math.Pow(s.tc.Beta2, float64(number))
	step := vec.AdamStep{Beta1: float32(s.tc.Beta1), Beta2: float32(s.tc.Beta2), Rate: float32(float64(lr) * math.Sqrt(c2) / c1),
		Epsilon: float32(s.tc.Epsilon * math.Sqrt(c2)), Factor: 1}
	if s.tc.ClipNorm > 0 {
		step.Factor = float32(min(1, s.tc.ClipNorm/norm))
	}
	for _, v := range s.trained {
		vec.Each((len(v.v)+stretch-1)/stretch, func(i int) {
			lo, hi := i*stretch, min((i+1)*stretch, len(v.v))
			vec.Adam(step, v.v[lo:hi], v.m[lo:hi], v.s[lo:hi], v.g[lo:hi])
		})
	}
	return norm, true
}

func bad(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }
