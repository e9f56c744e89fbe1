package replacement

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// editor applies edit tables inside a graph.
type editor struct {
	rows       *Node // [pos] int32: the table row of each position
	scale, add []*Node
}

// newEditor reads 2·layers tables [rows, features] and returns what follows them.
func newEditor(layers int, positions *Node, in []*Node) (editor, []*Node) {
	last := in[0].Shape().Dimensions[0] - 1
	e := editor{rows: Min(positions, Scalar(positions.Graph(), positions.DType(), last)), scale: in[:layers], add: in[layers : 2*layers]}
	return e, in[2*layers:]
}

// apply edits activations [batch, pos, features].
func (e editor) apply(l int, act *Node) *Node {
	at := func(table *Node) *Node { return InsertAxes(Gather(table, InsertAxes(e.rows, -1)), 0) }
	return Add(Mul(act, at(e.scale[l])), at(e.add[l]))
}

// addVectors adds vectors to activations [batch, pos, d_model] by hook, each from
// a table [rows, d_model]. What is added to the stream comes before everything
// else at its hook, so that it is read there; what is added to MLP outputs comes
// after whatever a mode puts there.
func addVectors(names []gpt2.HookName, positions *Node, tables []*Node) (before, after gpt2.Hook) {
	if len(names) == 0 {
		return nil, nil
	}
	add := func(mlp bool) gpt2.Hook {
		return func(name gpt2.HookName, x *Node) *Node {
			_, site, _ := name.Split()
			k := slices.Index(names, name)
			if k < 0 || (site == gpt2.MLPOut) != mlp {
				return x
			}
			last := tables[k].Shape().Dimensions[0] - 1
			rows := Min(positions, Scalar(positions.Graph(), positions.DType(), last))
			return Add(x, InsertAxes(Gather(tables[k], InsertAxes(rows, -1)), 0))
		}
	}
	return add(false), add(true)
}

// liveHook adds, on top of the live MLP outputs, what the edits change in the
// features of this very run: (edited - current activation) · W_dec at every layer
// that the feature writes to, and the vectors that edits add. Inputs: edit tables,
// tables of vectors, transcoder weights.
func liveHook(c clt.Config, names []gpt2.HookName) func(*Node, []*Node) gpt2.Hook {
	return func(positions *Node, in []*Node) gpt2.Hook {
		edits, rest := newEditor(c.Layers, positions, in)
		before, after := addVectors(names, positions, rest[:len(names)])
		enc, dec, _ := c.UnpackNodes(rest[len(names):])
		return gpt2.Chain(before, liveEdits(c, positions, edits, enc, dec, nil), after)
	}
}

func liveEdits(c clt.Config, positions *Node, edits editor, enc []clt.EncoderNodes, dec []clt.DecoderNodes, pres []*Node) gpt2.Hook {
	sums := make([]*Node, c.Layers)
	return func(name gpt2.HookName, x *Node) *Node {
		l, site, ok := name.Split()
		switch {
		case ok && site == c.Read:
			pre, act := c.EncodeNode(x, enc[l])
			if pres != nil {
				pres[l] = pre
			}
			act = Mul(act, clt.NotFirst(positions, x.DType()))
			out := c.WriteNode(l, Sub(edits.apply(l, act), act), dec[l].W) // [batch, pos, targets, d_model]
			for k := range c.Targets(l) {
				part := Squeeze(SliceAxis(out, 2, AxisElem(k)), 2)
				if sums[l+k] == nil {
					sums[l+k] = part
				} else {
					sums[l+k] = Add(sums[l+k], part)
				}
			}
		case ok && site == gpt2.MLPOut:
			return Add(x, sums[l])
		}
		return x
	}
}

// iterativeEdits re-encodes, edits and re-decodes the features inside a range of
// layers and adds the clean errors: the live local replacement model of the range.
func iterativeEdits(c clt.Config, positions *Node, from, to int, edits editor, errors []*Node, enc []clt.EncoderNodes, dec []clt.DecoderNodes, pres []*Node) gpt2.Hook {
	features := func(l int, pre, act *Node) *Node {
		pres[l] = pre
		act = Mul(act, clt.NotFirst(positions, act.DType()))
		if l < to {
			act = edits.apply(l, act)
		}
		return act
	}
	return c.RewriteHook(enc, dec, features, func(l int, x *Node, decoded func() *Node) *Node {
		if l < from || l >= to {
			return x
		}
		return Add(decoded(), errors[l])
	})
}

// clampOutputs sets the MLP outputs of a range of layers and watches features. A
// skip is linear and stays live: the outputs are given without it.
func clampOutputs(c clt.Config, from, to int, outputs []*Node, enc []clt.EncoderNodes, dec []clt.DecoderNodes, pres []*Node) gpt2.Hook {
	var skip *Node
	return func(name gpt2.HookName, x *Node) *Node {
		l, site, ok := name.Split()
		switch {
		case ok && site == c.Read:
			pres[l] = c.PreActivationNode(x, enc[l])
			if c.Skip {
				skip = skipNode(x, dec[l].Skip)
			}
		case ok && site == gpt2.MLPOut && l >= from && l < to:
			if c.Skip {
				return Add(outputs[l], skip)
			}
			return outputs[l]
		}
		return x
	}
}

// keepStreams notes the MLP outputs and hook_resid_post by layer.
func keepStreams(mlps, streams []*Node) gpt2.Hook {
	return func(name gpt2.HookName, x *Node) *Node {
		switch l, site, ok := name.Split(); {
		case ok && site == gpt2.MLPOut:
			mlps[l] = x
		case ok && site == gpt2.ResidPost:
			streams[l] = x
		}
		return x
	}
}

// interveneGraph returns the [graph] function of one intervention that adds
// vectors at the named hooks. Inputs: frozen part, tokens [1, pos], tables of
// vectors, then by mode: edit tables (live), edit tables and errors by layer
// (iterative), MLP outputs by layer (constrained); transcoder weights. Outputs:
// logits, pre-activations by layer, and with Streams MLP outputs and hook_resid_post
// by layer.
func interveneGraph(cfg gpt2.Config, c clt.Config, iv InterveneConfig, names []gpt2.HookName) func(*model.Scope, []*Node) []*Node {
	return func(scope *model.Scope, in []*Node) []*Node {
		f, rest := unpackFrozen(cfg.Layers, in)
		tokens, tables, rest := rest[0], rest[1:1+len(names)], rest[1+len(names):]
		positions := Iota(tokens.Graph(), shapes.Make(dtypes.Int32, tokens.Shape().Dimensions[1]), 0)
		before, after := addVectors(names, positions, tables)
		pres := make([]*Node, cfg.Layers)
		var hook gpt2.Hook
		switch iv.Mode {
		case Live:
			edits, rest := newEditor(cfg.Layers, positions, rest)
			enc, dec, _ := c.UnpackNodes(rest)
			hook = liveEdits(c, positions, edits, enc, dec, pres)
		case Iterative:
			edits, rest := newEditor(cfg.Layers, positions, rest)
			enc, dec, _ := c.UnpackNodes(rest[cfg.Layers:])
			hook = iterativeEdits(c, positions, iv.From, iv.To, edits, rest[:cfg.Layers], enc, dec, pres)
		case Constrained:
			enc, dec, _ := c.UnpackNodes(rest[cfg.Layers:])
			hook = clampOutputs(c, iv.From, iv.To, rest[:cfg.Layers], enc, dec, pres)
		default:
			panic(fmt.Errorf("replacement: mode %q is not known", iv.Mode))
		}
		mlps, streams := make([]*Node, cfg.Layers), make([]*Node, cfg.Layers)
		logits := gpt2.Forward(scope, cfg, tokens, gpt2.Chain(f.hook(iv.FreezeAttention, iv.FreezeLN), before, hook, after, keepStreams(mlps, streams)))
		out := append([]*Node{logits}, pres...)
		if iv.Streams {
			out = append(append(out, mlps...), streams...)
		}
		return out
	}
}
