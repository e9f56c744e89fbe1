package clt

import (
	. "github.com/gomlx/gomlx/core/graph"
)

// lossInputs are the nodes that a loss is computed from, in the scaled space of
// training. Slices are by layer.
type lossInputs struct {
	enc    []EncoderNodes // Threshold is theta, for jumprelu
	dec    []DecoderNodes
	x, y   []*Node // [tokens, d_model]: read and to be written
	idle   []*Node // [features]: batches since a feature last fired
	lambda *Node   // scalar, weight of the sparsity penalty
	start  *Node   // scalar, threshold of the batch before, for batchtopk
	count  *Node   // scalar added to the counters of features that did not fire: 1, or 0 for later parts of a batch
}

// lossOutputs are the terms of a loss. All are sums over layers and means over
// tokens; penalties come with their weights.
type lossOutputs struct {
	total, reconstruction, sparsity, dead, aux *Node // scalars

	errors, variance []*Node // [layer] scalars: mean ‖y-ŷ‖² and ‖y-mean(y)‖² of the batch
	fired            []*Node // [layer] [features]: tokens on which a feature fired
	idle             []*Node // [layer] [features]: the counters after this batch
	threshold        *Node   // scalar: threshold of this batch, for batchtopk
}

// loss builds the loss of a batch:
//
//	Σ_l ‖ŷ - y‖² + λ·Σ tanh(c·a·ν) + λ_P·Σ_dead relu(theta - h)·ν + aux
//
// with ν the norm of a feature's decoder vectors to all targets together.
// Gradients flow through ν and theta.
func (c Config) loss(tc TrainConfig, in lossInputs) lossOutputs {
	g, dtype := in.x[0].Graph(), in.x[0].DType()
	zero := Scalar(g, dtype, 0)
	out := lossOutputs{reconstruction: zero, sparsity: zero, dead: zero, aux: zero, threshold: zero}
	pre, act := c.trainingActivations(tc, in, &out)
	residuals := make([]*Node, c.Layers)
	for l, y := range c.DecodeNode(act, in.x, in.dec) {
		residuals[l] = Sub(in.y[l], y)
		out.errors = append(out.errors, perToken(Square(residuals[l])))
		out.variance = append(out.variance, perToken(Square(Sub(in.y[l], ReduceAndKeep(in.y[l], ReduceMean, 0)))))
		out.reconstruction = Add(out.reconstruction, out.errors[l])
	}
	penalised := c.Activation == ActReLU || c.Activation == ActJumpReLU
	dead := make([]*Node, c.Layers)
	for l := range act {
		fired := ReduceSum(ConvertDType(IsPositive(StopGradient(act[l])), dtype), 0)
		idle := Where(IsPositive(fired), ZerosLike(fired), Add(in.idle[l], in.count))
		out.fired, out.idle = append(out.fired, fired), append(out.idle, idle)
		dead[l] = ConvertDType(GreaterThan(idle, Scalar(g, dtype, float64(tc.DeadWindow))), dtype)
		norm := decoderNorm(in.dec[l].W)
		switch {
		case penalised && c.Activation == ActJumpReLU && tc.Penalty == PenaltyStep:
			out.sparsity = Add(out.sparsity, perToken(stepCount(pre[l], in.enc[l].Threshold, tc.Bandwidth)))
		case penalised:
			through := norm
			if tc.DetachNorm {
				through = StopGradient(norm)
			}
			scaled := Mul(act[l], ExpandLeftToRank(MulScalar(through, tc.TanhScale), 2))
			out.sparsity = Add(out.sparsity, perToken(Tanh(scaled)))
		}
		if tc.DeadPenalty > 0 && c.belowWhenIdle() {
			out.dead = Add(out.dead, deadPenalty(c, in, l, dead[l], norm, out.threshold))
		}
	}
	out.sparsity = Mul(in.lambda, out.sparsity)
	out.dead = MulScalar(out.dead, tc.DeadPenalty)
	if tc.AuxK > 0 {
		out.aux = MulScalar(c.auxLoss(tc, in, pre, dead, residuals), tc.AuxScale)
	}
	out.total = Add(Add(out.reconstruction, out.sparsity), Add(out.dead, out.aux))
	return out
}

// trainingActivations returns pre-activations and activations by layer, [tokens, features].
func (c Config) trainingActivations(tc TrainConfig, in lossInputs, out *lossOutputs) (pre, act []*Node) {
	tokens := in.x[0].Shape().Dimensions[0]
	for l := range c.Layers {
		pre = append(pre, c.PreActivationNode(in.x[l], in.enc[l]))
	}
	if c.Activation == ActBatchTopK {
		want := tokens * c.Layers * c.K
		out.threshold = batchThreshold(pre, want, want/1000, 16, in.start)
	}
	if c.Activation == ActTokenTopK {
		cut := rowThreshold(Concatenate(pre, 1), min(c.Layers*c.K, c.Layers*c.Features))
		for _, h := range pre {
			act = append(act, keep(h, GreaterThan(StopGradient(h), cut)))
		}
		return pre, act
	}
	for l, h := range pre {
		switch c.Activation {
		case ActJumpReLU:
			act = append(act, jumpReLU(h, in.enc[l].Threshold, tc.Bandwidth))
		case ActBatchTopK:
			act = append(act, keep(h, GreaterThan(StopGradient(h), out.threshold)))
		default:
			act = append(act, c.Activate(h, nil))
		}
	}
	return pre, act
}

// perToken sums [tokens, n] over n and takes the mean over tokens.
func perToken(x *Node) *Node { return ReduceAllSum(ReduceMean(x, 0)) }

// decoderNorm is the norm of each feature's decoder vectors to all targets
// together: [features, targets, d_model] gives [features].
func decoderNorm(w *Node) *Node {
	return Sqrt(AddScalar(ReduceSum(Square(w), 1, 2), 1e-12))
}

// belowWhenIdle says that a feature which does not fire is below its threshold,
// which is not so where others can displace it.
func (c Config) belowWhenIdle() bool { return c.Activation != ActTopK && c.Activation != ActTokenTopK }

// deadPenalty is the mean over tokens of Σ_dead relu(theta - h)·ν. A feature that
// counts as dead did not fire in this batch, so that all its h are below theta and
// the mean of relu(theta - h) is theta minus the mean of h, which needs no array
// of [tokens, features].
func deadPenalty(c Config, in lossInputs, l int, dead, norm, threshold *Node) *Node {
	mean := ReduceAndKeep(in.x[l], ReduceMean, 0) // [1, d_model]
	below := Neg(Squeeze(c.PreActivationNode(mean, in.enc[l]), 0))
	switch c.Activation {
	case ActJumpReLU:
		below = Add(below, in.enc[l].Threshold)
	case ActBatchTopK:
		below = Add(below, threshold)
	}
	return ReduceAllSum(Mul(dead, Mul(below, norm)))
}

// auxLoss lets the AuxK most active dead features of each layer explain what the
// reconstruction misses (Gao et al. 2024): mean over tokens of Σ_l ‖ê - e‖², 0
// while no feature is dead.
func (c Config) auxLoss(tc TrainConfig, in lossInputs, pre, dead, residuals []*Node) *Node {
	g, dtype := pre[0].Graph(), pre[0].DType()
	act := make([]*Node, c.Layers)
	any := Scalar(g, dtype, 0)
	for l, h := range pre {
		act[l] = topK(Mul(h, ExpandLeftToRank(dead[l], 2)), min(tc.AuxK, c.Features))
		any = Add(any, ReduceAllSum(dead[l]))
	}
	total := Scalar(g, dtype, 0)
	for t := range c.Layers {
		missing := StopGradient(residuals[t])
		for s := 0; s <= t; s++ {
			if k := t - s; k < c.Targets(s) {
				w := Squeeze(SliceAxis(in.dec[s].W, 1, AxisElem(k)), 1)
				missing = Sub(missing, Dot(act[s], w).Product())
			}
		}
		total = Add(total, perToken(Square(missing)))
	}
	return Where(IsPositive(any), total, Scalar(g, dtype, 0))
}
