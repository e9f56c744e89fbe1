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
// and the baselines against the original on tokens [batch, pos]. Inputs: tokens,
// mean MLP output by layer [d_model], the neurons' thresholds [layers] if asked,
// transcoder weights. Output: sums over the positions 1..pos-2 of cross-entropy
// (original, replaced, zero, mean), KL divergence of replaced from original, equal
// top-1, cosine of the centred logits, mean squared difference of the logits: [8].
// Then, if asked, cross-entropy with thresholded neurons, and by layer the KL
// divergence with that layer's MLP output alone replaced.
func compareGraph(cfg gpt2.Config, c clt.Config, neurons, byLayer bool) func(*model.Scope, []*Node) *Node {
	return func(scope *model.Scope, in []*Node) *Node {
		tokens, means, weights := in[0], in[1:1+cfg.Layers], in[1+cfg.Layers:]
		pos := tokens.Shape().Dimensions[1]
		positions := Iota(tokens.Graph(), shapes.Make(dtypes.Int32, pos), 0)
		base := gpt2.Forward(scope, cfg, tokens, nil)
		dtype := base.DType()
		cut := func(x *Node) *Node { return Slice(x, AxisRange(), AxisRange(1, pos-1)) }
		loss := func(logits *Node) *Node { return sumTokens(cut(gpt2.NextTokenLoss(logits, tokens))) }
		var thresholded *Node
		if neurons {
			thresholded = loss(gpt2.Forward(scope, cfg, tokens, neuronHook(positions, dtype, weights[0])))
			weights = weights[1:]
		}
		replaced := gpt2.Forward(scope, cfg, tokens, replaceHook(c, dtype)(positions, weights))
		zero := gpt2.Forward(scope, cfg, tokens, constantHook(positions, dtype, nil))
		mean := gpt2.Forward(scope, cfg, tokens, constantHook(positions, dtype, means))
		sums := []*Node{loss(base), loss(replaced), loss(zero), loss(mean)}
		p, q := cut(LogSoftmax(base)), cut(LogSoftmax(replaced))
		kl := gpt2.KL(p, q)
		same := ConvertDType(Equal(ArgMax(p, -1), ArgMax(q, -1)), dtype)
		x, y := cut(base), cut(replaced)
		sums = append(sums, sumTokens(kl), sumTokens(same), sumTokens(centredCosine(x, y)), sumTokens(ReduceMean(Square(Sub(x, y)), -1)))
		if neurons {
			sums = append(sums, thresholded)
		}
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

// centredCosine is the cosine over the last axis of vectors less their means; GPT-2's
// logits share an offset that would bring any two close to 1.
func centredCosine(x, y *Node) *Node {
	centred := func(v *Node) *Node { return Sub(v, ReduceAndKeep(v, ReduceMean, -1)) }
	dot := func(a, b *Node) *Node { return ReduceSum(Mul(a, b), -1) }
	x, y = centred(x), centred(y)
	return Div(dot(x, y), Sqrt(MaxScalar(Mul(dot(x, x), dot(y, y)), 1e-30)))
}

// sumTokens adds up [batch, pos], axis by axis: the Go backend's flat float32 sum
// loses digits.
func sumTokens(x *Node) *Node { return ReduceSum(ReduceSum(x, -1), -1) }
