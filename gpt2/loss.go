package gpt2

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/etredal/cross-layer-transcoder/internal/optim"
)

// NextTokenLoss is the cross-entropy of predicting tokens [batch, pos] each from
// those before, in nats per token: [batch, pos-1].
func NextTokenLoss(logits, tokens *Node) *Node {
	dims := logits.Shape().Dimensions // [batch, pos, d_vocab]
	pos := dims[1]
	logits = Slice(logits, AxisRange(), AxisRange(0, pos-1), AxisRange())
	next := Slice(tokens, AxisRange(), AxisRange(1, pos))
	top := StopGradient(ReduceAndKeep(logits, ReduceMax, -1))
	shifted := Sub(logits, top)
	logSum := Log(ReduceSum(Exp(shifted), -1))
	picked := ReduceSum(Mul(shifted, OneHot(next, dims[2], logits.DType())), -1)
	return Sub(logSum, picked)
}

// KL is the divergence KL(p ‖ q) = Σ p·(ln p - ln q) over the last axis, in nats,
// from log-probabilities.
func KL(p, q *Node) *Node { return ReduceSum(Mul(Exp(p), Sub(p, q)), -1) }

// trainGraph returns the [graph] function of one step. Inputs: tokens [batch, pos],
// learning rate [], step []. Outputs: mean loss [], gradient norm [].
func trainGraph(cfg Config, adam optim.Adam, vars []*model.Variable) func(*model.Scope, []*Node) []*Node {
	return func(scope *model.Scope, in []*Node) []*Node {
		loss := meanLoss(scope, cfg, in[0])
		norm := adam.Update(scope.Store(), vars, loss, ConvertDType(in[1], loss.DType()), ConvertDType(in[2], dtypes.Float32))
		return []*Node{loss, norm}
	}
}

// collectGraph returns the [graph] function that adds the gradients of one of parts
// equal parts of a batch to their sums. Input: tokens [batch/parts, pos]. Output:
// mean loss [].
func collectGraph(cfg Config, vars []*model.Variable, parts int) func(*model.Scope, *Node) *Node {
	return func(scope *model.Scope, tokens *Node) *Node {
		loss := meanLoss(scope, cfg, tokens)
		optim.Collect(scope.Store(), vars, loss, parts)
		return loss
	}
}

// applyGraph returns the [graph] function of a step on the gradients so collected.
// Inputs: learning rate [], step []. Output: gradient norm [].
func applyGraph(adam optim.Adam, vars []*model.Variable) func(*model.Scope, *Node, *Node) *Node {
	return func(scope *model.Scope, lr, step *Node) *Node {
		grads := optim.Flush(scope.Store(), vars, lr.Graph())
		return adam.Apply(scope.Store(), vars, grads, ConvertDType(lr, grads[0].DType()), step)
	}
}

// lossGraph returns the [graph] function that gives each window of tokens [batch,
// pos] its mean loss [batch].
func lossGraph(cfg Config) func(*model.Scope, *Node) *Node {
	return func(scope *model.Scope, tokens *Node) *Node {
		return ReduceMean(NextTokenLoss(Forward(scope, cfg, tokens, nil), tokens), -1)
	}
}

// meanLoss is the mean next-token loss of tokens [batch, pos]: [].
func meanLoss(scope *model.Scope, cfg Config, tokens *Node) *Node {
	return ReduceAllMean(NextTokenLoss(Forward(scope, cfg, tokens, nil), tokens))
}
