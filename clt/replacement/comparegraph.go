package replacement

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// constantHook sets every MLP output to a constant [d_model] by layer, position 0
// left alone; nil constants are zero.
func constantHook(positions *Node, dtype dtypes.DType, constants []*Node) gpt2.Hook {
	replaced := clt.NotFirst(positions, dtype)
	return func(name gpt2.HookName, x *Node) *Node {
		l, site, ok := name.Split()
		if !ok || site != gpt2.MLPOut {
			return x
		}
		if constants == nil {
			return Sub(x, Mul(replaced, x))
		}
		c := BroadcastToDims(ExpandLeftToRank(constants[l], 3), x.Shape().Dimensions...)
		return Add(x, Mul(replaced, Sub(c, x)))
	}
}

// compareGraph returns the [graph] function that holds the full replacement model
// and two baselines against the original on tokens [batch, pos]. Inputs: tokens,
// mean MLP output by layer [d_model], transcoder weights. Output: sums over the
// positions 1..pos-2 of cross-entropy (original, replaced, zero, mean), KL
// divergence of replaced from original, and equal top-1; then by layer the KL
// divergence with that layer's MLP output alone replaced, if asked: [6] or [6+layers].
func compareGraph(cfg gpt2.Config, c clt.Config, byLayer bool) func(*model.Scope, []*Node) *Node {
	return func(scope *model.Scope, in []*Node) *Node {
		tokens, means, weights := in[0], in[1:1+cfg.Layers], in[1+cfg.Layers:]
		pos := tokens.Shape().Dimensions[1]
		positions := Iota(tokens.Graph(), shapes.Make(dtypes.Int32, pos), 0)
		base := gpt2.Forward(scope, cfg, tokens, nil)
		dtype := base.DType()
		replaced := gpt2.Forward(scope, cfg, tokens, replaceHook(c, dtype)(positions, weights))
		zero := gpt2.Forward(scope, cfg, tokens, constantHook(positions, dtype, nil))
		mean := gpt2.Forward(scope, cfg, tokens, constantHook(positions, dtype, means))
		sums := []*Node{}
		for _, logits := range []*Node{base, replaced, zero, mean} {
			loss := gpt2.NextTokenLoss(logits, tokens) // [batch, pos-1]
			sums = append(sums, sumTokens(Slice(loss, AxisRange(), AxisRange(1, pos-1))))
		}
		cut := func(x *Node) *Node { return Slice(x, AxisRange(), AxisRange(1, pos-1)) }
		p, q := cut(LogSoftmax(base)), cut(LogSoftmax(replaced))
		kl := gpt2.KL(p, q)
		same := ConvertDType(Equal(ArgMax(p, -1), ArgMax(q, -1)), dtype)
		sums = append(sums, sumTokens(kl), sumTokens(same))
		for l := 0; byLayer && l < cfg.Layers; l++ {
			one := gpt2.Forward(scope, cfg, tokens, replaceSome(c, dtype, func(at int) bool { return at == l })(positions, weights))
			sums = append(sums, sumTokens(gpt2.KL(p, cut(LogSoftmax(one)))))
		}
		for i := range sums {
			sums[i] = Reshape(sums[i], 1)
		}
		return Concatenate(sums, 0)
	}
}

// sumTokens adds up [batch, pos], axis by axis: the Go backend's flat float32 sum
// loses digits.
func sumTokens(x *Node) *Node { return ReduceSum(ReduceSum(x, -1), -1) }
