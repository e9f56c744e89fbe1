package clt

import (
	"math"

	"github.com/etredal/cross-layer-transcoder/internal/vec"
)

// featureGrain is how many features a core takes at a time.
const featureGrain = 32

// gradient is one layer's backward pass over a part of a step.
type gradient struct {
	s             *sparse
	y             *sparseLayer
	layer         int
	first         bool
	weight, share float32 // λ·share/tokens and share
	step          bool    // the penalty counts
	threshold     float32 // of the batch, for batchtopk
	mean          []float32
}

// backward computes all gradients from that of the outputs.
func (s *sparse) backward(lambda, share float32, first bool, t *sums) {
	d, all := s.cfg.DModel, s.cfg.Layers*s.cfg.DModel
	for l, y := range s.layers {
		g := gradient{s: s, y: y, layer: l, first: first, weight: lambda * share / float32(s.tokens), share: share, threshold: t.threshold,
			step: s.cfg.Activation == ActJumpReLU && s.tc.Penalty == PenaltyStep}
		if s.tc.DeadPenalty > 0 && s.cfg.belowWhenIdle() && s.deadCount(y) > 0 {
			g.mean = s.meanRead(y)
		}
		if first {
			clear(y.bDec.g)
		}
		vec.Parallel(d, 32, func(lo, hi int) {
			for i := range s.tokens {
				vec.Axpy(1, s.out[i*all+l*d+lo:i*all+l*d+hi], y.bDec.g[lo:hi])
			}
		})
		vec.Each((s.cfg.Features+featureGrain-1)/featureGrain, func(i int) {
			lo, hi := i*featureGrain, min((i+1)*featureGrain, s.cfg.Features)
			if s.cfg.Activation == ActJumpReLU {
				g.windows(lo, hi)
			}
			for f := lo; f < hi; f++ {
				g.feature(f)
			}
		})
		for f := range s.cfg.Features {
			t.sparsity += float64(g.weight) * y.sparse[f]
			t.dead += float64(share) * y.dead[f]
		}
	}
}

func (s *sparse) meanRead(y *sparseLayer) []float32 {
	mean := make([]float32, s.cfg.DModel)
	for i := range s.tokens {
		vec.Axpy(1/float32(s.tokens), y.reads[i*s.cfg.DModel:(i+1)*s.cfg.DModel], mean)
	}
	return mean
}

// windows adds up, for some features, the gradients of the activations of tokens
// inside the window of the threshold; a penalty that counts adds λ/(theta·tokens),
// because the sum is later multiplied by -theta/bandwidth.
func (g *gradient) windows(lo, hi int) {
	y, n, half := g.y, g.s.cfg.Features, float32(g.s.tc.Bandwidth/2)
	c := float32(g.s.tc.TanhScale)
	sum, bias, theta, norm := y.window[lo:hi], y.bEnc.v[lo:hi], y.theta[lo:hi], y.norm[lo:hi]
	clear(sum)
	for i := range g.s.tokens {
		h, dAct := y.h[i*n+lo:i*n+hi], y.dAct[i*n+lo:i*n+hi]
		for f := range sum {
			a := h[f] + bias[f]
			distance := a - theta[f]
			switch {
			case distance <= -half || distance >= half:
			case g.step:
				sum[f] += dAct[f] + g.weight/theta[f]
			case distance > 0:
				u := tanh(c * a * norm[f])
				sum[f] += dAct[f] + g.weight*c*norm[f]*(1-u*u)
			default:
				sum[f] += dAct[f] + g.weight*c*norm[f]
			}
		}
	}
}

func tanh(x float32) float32 { return float32(math.Tanh(float64(x))) }

// feature computes the gradients of one feature's weights.
func (g *gradient) feature(f int) {
	s, y := g.s, g.y
	d, all, width, stretches := s.cfg.DModel, s.cfg.Layers*s.cfg.DModel, s.cfg.Targets(g.layer)*s.cfg.DModel, len(y.lists)
	row, rowGrad := y.wDec.v[f*width:(f+1)*width], y.wDec.g[f*width:(f+1)*width]
	encGrad := y.wEnc.g[f*d : (f+1)*d]
	if g.first {
		clear(rowGrad)
		clear(encGrad)
		y.bEnc.g[f] = 0
	}
	penalised, c, norm := s.cfg.Activation == ActReLU || s.cfg.Activation == ActJumpReLU, float32(s.tc.TanhScale), y.norm[f]
	var bias, throughNorm float32
	y.sparse[f], y.dead[f] = 0, 0
	for e := y.start[f*stretches]; e < y.start[(f+1)*stretches]; e++ {
		i, a := int(y.token[e]), y.value[e]
		out := s.out[i*all+g.layer*d:][:width]
		var dAct float32
		if y.log != nil {
			dAct = y.dAct[i*s.cfg.Features+f]
			vec.Axpy(a, out, rowGrad)
		} else {
			dAct = vec.DotAxpy(a, out, row, rowGrad)
		}
		switch {
		case g.step:
			y.sparse[f]++
		case penalised:
			u := tanh(c * a * norm)
			q := g.weight * c * (1 - u*u)
			dAct += q * norm
			if !s.tc.DetachNorm {
				throughNorm += q * a
			}
			y.sparse[f] += float64(u)
		}
		vec.Axpy(dAct, y.reads[i*d:(i+1)*d], encGrad)
		bias += dAct
	}
	threshold := float32(0)
	if y.log != nil {
		threshold = -y.theta[f] / float32(s.tc.Bandwidth) * y.window[f]
	}
	if g.mean != nil && y.idle.v[f] > float32(s.tc.DeadWindow) {
		b, n := g.deadFeature(f, row, encGrad)
		bias -= n
		threshold += n
		norm = rowNorm(row)
		throughNorm += b
	}
	if throughNorm != 0 {
		vec.Axpy(throughNorm/norm, row, rowGrad)
	}
	y.bEnc.g[f] += bias
	if y.log != nil {
		if g.first {
			y.log.g[f] = 0
		}
		y.log.g[f] += threshold * y.theta[f] * float32(s.tc.ThresholdRate)
	}
}

// deadFeature adds the gradient of weight·(theta - mean h)·ν of a dead feature to
// that of its encoder, and returns its derivatives by ν and by theta.
func (g *gradient) deadFeature(f int, row, encGrad []float32) (byNorm, byTheta float32) {
	s, y, d := g.s, g.y, g.s.cfg.DModel
	below := g.threshold - vec.Dot(y.wEnc.v[f*d:(f+1)*d], g.mean) - y.bEnc.v[f]
	if y.log != nil {
		below += y.theta[f]
	}
	norm := rowNorm(row)
	weight := float32(s.tc.DeadPenalty)
	y.dead[f] = float64(weight * below * norm)
	vec.Axpy(-weight*g.share*norm, g.mean, encGrad)
	return weight * g.share * below, weight * g.share * norm
}
