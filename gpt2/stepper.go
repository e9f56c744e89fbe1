package gpt2

import (
	"fmt"

	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/etredal/cross-layer-transcoder/internal/vec"
)

// stepper runs a program token by token on a KV cache that it owns.
type stepper struct {
	m      *Model
	p      Program
	room   int               // keys that the cache can hold
	cache  []*tensors.Tensor // keys by layer, then values by layer: [head, key, d_head]
	shared bool              // the host writes into the cache where it is
	onHost bool              // the output head is applied here, not in the program
	logits []float64         // of the last step
}

// roomGrain is to what the cache's room is rounded up where shapes cost nothing, so
// that texts of similar lengths share programs. Where each shape is compiled, for a
// second or more, the room is at least that, and prompts are padded to leastPrompt.
const (
	roomGrain   = 64
	leastPrompt = 32
)

func (m *Model) newStepper(p Program, length int) (*stepper, error) {
	room := m.Bucket(max(length, roomGrain))
	if !m.CompilesShapes() {
		room = min((length+roomGrain-1)/roomGrain*roomGrain, m.Config.Context)
	}
	s := &stepper{m: m, p: p, room: room, shared: m.Backend.HasSharedBuffers(), onHost: m.headOnHost(),
		logits: make([]float64, m.Config.DVocab)}
	shape := shapes.Make(m.DType(), m.Config.Heads, room, m.Config.DHead())
	for range 2 * m.Config.Layers {
		t, err := tensors.FromShapeForBackend(m.Backend, 0, shape)
		if err != nil {
			s.close()
			return nil, fmt.Errorf("gpt2: generate: a cache of %d keys: %w", room, err)
		}
		s.cache = append(s.cache, t)
	}
	return s, nil
}

func (s *stepper) close() {
	for _, t := range s.cache {
		_ = t.FinalizeAll()
	}
}

// step feeds tokens that stand at start, start+1, … and returns the logits after
// the last of them, valid until the next step. From start 0 on it is a new text;
// later tokens come one by one.
func (s *stepper) step(tokens []int32, start int) ([]float64, error) {
	run := s.further
	if start == 0 {
		run = s.prompt
	}
	out, err := run(tokens, start)
	if err == nil {
		err = s.read(out[0])
	}
	if err == nil {
		err = s.keep(out[1], len(tokens), start)
	}
	if err != nil {
		return nil, fmt.Errorf("gpt2: generate: %w", err)
	}
	return s.logits, nil
}

func (s *stepper) head() headFn {
	if s.onHost {
		return normHead
	}
	return logitsHead
}

// prompt starts a text.
func (s *stepper) prompt(tokens []int32, _ int) ([]*tensors.Tensor, error) {
	length := len(tokens)
	if s.m.CompilesShapes() {
		length = s.m.Bucket(max(length, leastPrompt))
	}
	padded := make([]int32, min(length, s.room))
	copy(padded, tokens)
	exec, err := Compiled(s.m, "prompt|"+s.p.Key, promptGraph(s.m.Config, s.p, s.head()))
	if err != nil {
		return nil, err
	}
	return s.call(exec, tensors.FromFlatDataAndDimensions(padded, 1, len(padded)),
		tensors.FromFlatDataAndDimensions([]int32{int32(len(tokens) - 1)}, 1))
}

// further reads one more token.
func (s *stepper) further(tokens []int32, start int) ([]*tensors.Tensor, error) {
	exec, err := Compiled(s.m, "step|"+s.p.Key, stepGraph(s.m.Config, s.p, s.head()))
	if err != nil {
		return nil, err
	}
	args := []any{tensors.FromFlatDataAndDimensions(tokens[:1], 1, 1), tensors.FromFlatDataAndDimensions([]int32{int32(start)}, 1)}
	for _, t := range s.cache {
		args = append(args, t)
	}
	return s.call(exec, args...)
}

func (s *stepper) call(exec *model.Exec, args ...any) ([]*tensors.Tensor, error) {
	for _, t := range s.p.Inputs {
		args = append(args, t)
	}
	return exec.Call(args...)
}

// keep adds the keys and values of n tokens [2·layer, head, ≥ n, d_head] to the cache
// from position start on, and frees them.
func (s *stepper) keep(fresh *tensors.Tensor, n, start int) error {
	if !s.shared {
		return s.keepOnDevice(fresh, start)
	}
	dims := fresh.Shape().Dimensions // what is behind the first n is padding
	heads, row := dims[1], dims[3]*fresh.DType().Size()
	from, to := dims[2]*row, s.room*row // bytes of one head
	err := fresh.ConstBytes(func(src []byte) {
		for _, t := range s.cache {
			_ = t.MutableBytes(func(dst []byte) { // shared, hence always there
				for h := range heads {
					copy(dst[h*to+start*row:][:n*row], src[h*from:])
				}
			})
			src = src[heads*from:]
		}
	})
	if err != nil {
		return err
	}
	return fresh.FinalizeAll()
}

// keepOnDevice is keep for devices with memory of their own. Padding behind a prompt
// goes in as well: it is masked until it is overwritten.
func (s *stepper) keepOnDevice(fresh *tensors.Tensor, start int) error {
	exec, err := Plain(s.m, "append", appendGraph)
	if err != nil {
		return err
	}
	args := []any{fresh, tensors.FromFlatDataAndDimensions([]int32{int32(start)}, 1)}
	for _, t := range s.cache {
		given, err := graph.DonateTensorBuffer(t, s.m.Backend, 0) // freed by the call
		if err != nil {
			return err
		}
		args = append(args, given)
	}
	if s.cache, err = exec.Call(args...); err != nil {
		return err
	}
	return fresh.FinalizeAll()
}

// headOnHost says whether generation applies the output head itself, with all cores:
// the Go backend packs the matrix anew for each product with a single row.
func (m *Model) headOnHost() bool { return !m.CompilesShapes() && !m.Double }

// read takes the logits from a program's output, which it frees.
func (s *stepper) read(out *tensors.Tensor) error {
	var err error
	switch {
	case s.onHost:
		err = s.readNormed(out)
	case s.m.Double:
		err = tensors.ConstFlatData(out, func(v []float64) { copy(s.logits, v) })
	default:
		err = tensors.ConstFlatData(out, func(v []float32) {
			for i, x := range v {
				s.logits[i] = float64(x)
			}
		})
	}
	if err != nil {
		return err
	}
	return out.FinalizeAll()
}

// readNormed applies the output head to unembed.hook_pre [d_model].
func (s *stepper) readNormed(out *tensors.Tensor) error {
	x, err := tensors.CopyFlatData[float32](out)
	if err != nil {
		return err
	}
	name := headName(s.m.Config)
	v := s.m.Store.GetVariable("/" + name)
	if v == nil {
		return fmt.Errorf("weight %s is missing", name)
	}
	w, err := v.Value()
	if err != nil {
		return fmt.Errorf("weight %s: %w", name, err)
	}
	return tensors.ConstFlatData(w, func(rows []float32) {
		vec.Parallel(len(s.logits), 256, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				s.logits[i] = float64(vec.Dot(x, rows[i*len(x):(i+1)*len(x)]))
			}
		})
	})
}
