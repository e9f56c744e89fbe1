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

// trainGraph returns the [graph] function of one Adam step. Inputs: tokens
// [batch, pos], learning rate [], step []. Outputs: mean loss [], gradient norm [].
func trainGraph(cfg Config, adam optim.Adam, vars []*model.Variable) func(*model.Scope, []*Node) []*Node {
	return func(scope *model.Scope, in []*Node) []*Node {
		tokens, lr, step := in[0], in[1], in[2]
		loss := ReduceAllMean(NextTokenLoss(Forward(scope, cfg, tokens, nil), tokens))
		lr = ConvertDType(lr, loss.DType())
		norm := adam.Update(scope.Store(), vars, loss, lr, ConvertDType(step, dtypes.Float32))
		return []*Node{loss, norm}
	}
}
