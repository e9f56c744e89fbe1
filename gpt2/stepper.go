package gpt2

import (
	"fmt"

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
	onHost bool              // the output head is applied here, not in the program
	logits []float64         // of the last step
}

// roomGrain is to what the cache's room is rounded up where shapes cost nothing, so
// that texts of similar lengths share programs.
const roomGrain = 64

func (m *Model) newStepper(p Program, length int) (*stepper, error) {
	room := m.Bucket(length)
	if !m.CompilesShapes() {
		room = min((length+roomGrain-1)/roomGrain*roomGrain, m.Config.Context)
	}
	return &stepper{m: m, p: p, room: room, onHost: m.headOnHost(), logits: make([]float64, m.Config.DVocab)}, nil
}

func (s *stepper) close() {
	for _, t := range s.cache {
		_ = t.FinalizeAll()
	}
	s.cache = nil
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
	if err != nil {
		return nil, fmt.Errorf("gpt2: generate: %w", err)
	}
	s.cache = out[1:]
	if err := s.read(out[0]); err != nil {
		return nil, fmt.Errorf("gpt2: generate: %w", err)
	}
	return s.logits, out[0].FinalizeAll()
}

func (s *stepper) head() headFn {
	if s.onHost {
		return normHead
	}
	return logitsHead
}

// prompt starts a text.
func (s *stepper) prompt(tokens []int32, _ int) ([]*tensors.Tensor, error) {
	s.close()
	padded := make([]int32, min(s.m.Bucket(len(tokens)), s.room))
	copy(padded, tokens)
	exec, err := Compiled(s.m, fmt.Sprintf("prompt|%d|%s", s.room, s.p.Key), promptGraph(s.m.Config, s.p, s.room, s.head()))
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
		// Given away: the Go backend writes in place, others free it when they are done.
		given, err := graph.DonateTensorBuffer(t, s.m.Backend, 0)
		if err != nil {
			return nil, err
		}
		args = append(args, given)
	}
	return s.call(exec, args...)
}

func (s *stepper) call(exec *model.Exec, args ...any) ([]*tensors.Tensor, error) {
	for _, t := range s.p.Inputs {
		args = append(args, t)
	}
	return exec.Call(args...)
}

// headOnHost says whether generation applies the output head itself, with all cores:
// the Go backend packs the matrix anew for each product with a single row.
func (m *Model) headOnHost() bool { return !m.CompilesShapes() && !m.Double }

// read takes the logits from a program's output.
func (s *stepper) read(out *tensors.Tensor) (err error) {
	a, err := FromTensor(out)
	if err != nil {
		return err
	}
	if !s.onHost {
		for i := range s.logits {
			s.logits[i] = a.At(i)
		}
		return nil
	}
	w, err := s.m.headWeight()
	if err != nil {
		return err
	}
	return tensors.ConstFlatData(w, func(rows []float32) {
		d := s.m.Config.DModel
		vec.Parallel(len(s.logits), 256, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				s.logits[i] = float64(vec.Dot(a.F32, rows[i*d:(i+1)*d]))
			}
		})
	})
}

// headWeight is the output head [d_vocab, d_model].
func (m *Model) headWeight() (*tensors.Tensor, error) {
	name := headName(m.Config)
	v := m.Store.GetVariable("/" + name)
	if v == nil {
		return nil, fmt.Errorf("weight %s is missing", name)
	}
	return v.Value()
}
