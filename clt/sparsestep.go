package clt

import (
	"math"

	"github.com/etredal/cross-layer-transcoder/internal/vec"
)

// sums are the terms of a loss over the parts of a step.
type sums struct {
	reconstruction, sparsity, dead float64
	errors, variance, active       []float64 // [layer]
	threshold                      float32
}

// step is machine's.
func (s *sparse) step(lr, lambda, number float32, parts []Batch) ([]float32, error) {
	t := sums{errors: make([]float64, s.cfg.Layers), variance: make([]float64, s.cfg.Layers), active: make([]float64, s.cfg.Layers)}
	idle := make([][]float32, s.cfg.Layers)
	for l, y := range s.layers {
		idle[l] = append([]float32(nil), y.idle.v...)
		for f := range y.idle.v {
			y.idle.v[f]++
		}
	}
	running := s.vars[thresholdName]
	before := running.v[0]
	for i, b := range parts {
		err := s.part(lambda, 1/float32(len(parts)), i == 0, b, &t)
		s.release()
		if err != nil {
			return nil, err
		}
	}
	loss := t.reconstruction + t.sparsity + t.dead
	norm, finite := s.update(lr, number, loss)
	if !finite {
		running.v[0] = before
		for l, y := range s.layers {
			copy(y.idle.v, idle[l])
		}
	}
	v := []float32{float32(loss), float32(t.reconstruction), float32(t.sparsity), float32(t.dead), 0, float32(norm), running.v[0], 0}
	if finite {
		v[outFinite] = 1
	}
	for _, group := range [][]float64{t.errors, t.variance, t.active} {
		for _, x := range group {
			v = append(v, float32(x))
		}
	}
	for _, y := range s.layers {
		v = append(v, float32(s.deadCount(y))/float32(s.cfg.Features))
	}
	return v, nil
}

func (s *sparse) deadCount(y *sparseLayer) (n int) {
	for _, idle := range y.idle.v {
		if idle > float32(s.tc.DeadWindow) {
			n++
		}
	}
	return n
}

// part adds one batch's gradients, times share, to those of the step.
func (s *sparse) part(lambda, share float32, first bool, b Batch, t *sums) error {
	if err := s.resize(b.Tokens(s.cfg.DModel)); err != nil {
		return err
	}
	if err := s.forward(b, t); err != nil {
		return err
	}
	s.residual(share, t)
	args := []any{s.grad}
	for _, y := range s.layers {
		args = append(args, y.wDec.tensor)
	}
	if s.back != nil {
		grads, err := s.call(s.back, args)
		if err != nil {
			return err
		}
		for l, g := range grads {
			s.layers[l].dAct = g
		}
	}
	s.backward(lambda, share, first, t)
	return nil
}

// forward encodes, selects and decodes.
func (s *sparse) forward(b Batch, t *sums) error {
	d, width := s.cfg.DModel, s.cfg.Layers*s.cfg.DModel
	var args []any
	for l, y := range s.layers {
		copy(y.reads, b.In[l])
		args = append(args, y.x)
	}
	vec.Parallel(s.tokens, 64, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			for l := range s.layers {
				copy(s.y[i*width+l*d:][:d], b.Out[l][i*d:])
			}
		}
	})
	for _, y := range s.layers {
		args = append(args, y.wEnc.tensor)
	}
	pre, err := s.call(s.encode, args)
	if err != nil {
		return err
	}
	for l, h := range pre {
		y := s.layers[l]
		y.h = h
		if y.log != nil {
			for f, v := range y.log.v {
				y.theta[f] = float32(math.Exp(float64(v) * s.tc.ThresholdRate))
			}
		}
	}
	s.norms()
	s.selectActive(t)
	vec.Parallel(len(s.layers[0].lists), 1, func(lo, hi int) {
		for p := lo; p < hi; p++ {
			s.decode(p)
		}
	})
	return nil
}

// norms are needed where a penalty has them; dead features' are found when met.
func (s *sparse) norms() {
	if s.cfg.Activation != ActReLU && s.cfg.Activation != ActJumpReLU {
		return
	}
	for l, y := range s.layers {
		width := s.cfg.Targets(l) * s.cfg.DModel
		vec.Parallel(s.cfg.Features, 32, func(lo, hi int) {
			for f := lo; f < hi; f++ {
				y.norm[f] = rowNorm(y.wDec.v[f*width : (f+1)*width])
			}
		})
	}
}

func rowNorm(row []float32) float32 { return float32(math.Sqrt(vec.Square(row) + 1e-12)) }

// decode computes the estimates of one stretch of tokens, feature by feature, so
// that a decoder row is read once.
func (s *sparse) decode(p int) {
	d, all, stretches := s.cfg.DModel, s.cfg.Layers*s.cfg.DModel, len(s.layers[0].lists)
	for i := s.from(p); i < s.from(p+1); i++ {
		for l, y := range s.layers {
			copy(s.out[i*all+l*d:][:d], y.bDec.v)
		}
	}
	for l, y := range s.layers {
		width := s.cfg.Targets(l) * d
		for f := range s.cfg.Features {
			row := y.wDec.v[f*width : (f+1)*width]
			for e := y.start[f*stretches+p]; e < y.start[f*stretches+p+1]; e++ {
				vec.Axpy(y.value[e], row, s.out[int(y.token[e])*all+l*d:][:width])
			}
		}
	}
}

// from is the first token of a stretch.
func (s *sparse) from(p int) int { return p * s.tokens / len(s.layers[0].lists) }

// residual turns estimates into the gradient of the loss, 2(ŷ-y)/tokens·share,
// and adds up errors and variances.
func (s *sparse) residual(share float32, t *sums) {
	d, all, n := s.cfg.DModel, s.cfg.Layers*s.cfg.DModel, float64(s.tokens)
	by := 2 * share / float32(s.tokens)
	power := make([]float64, len(s.errors))
	vec.Parallel(s.tokens, 16, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			for l := range s.layers {
				out, y := s.out[i*all+l*d:][:d], s.y[i*all+l*d:][:d]
				vec.Axpy(-1, y, out)
				s.errors[l*s.tokens+i], power[l*s.tokens+i] = vec.Square(out), vec.Square(y)
				for j := range out {
					out[j] *= by
				}
			}
		}
	})
	mean := make([]float32, all)
	vec.Parallel(all, 64, func(lo, hi int) {
		for i := range s.tokens {
			vec.Axpy(1, s.y[i*all+lo:i*all+hi], mean[lo:hi])
		}
	})
	for l := range s.layers {
		e, p := 0.0, 0.0
		for i := range s.tokens {
			e, p = e+s.errors[l*s.tokens+i], p+power[l*s.tokens+i]
		}
		square := vec.Square(mean[l*d : (l+1)*d])
		t.errors[l] += e / n * float64(share)
		t.variance[l] += max(p/n-square/n/n, 0) * float64(share)
		t.reconstruction += e / n * float64(share)
	}
}
