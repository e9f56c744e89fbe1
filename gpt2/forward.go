package gpt2

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// Forward runs the model on tokens [batch, pos] (int32) and returns logits
// [batch, pos, d_vocab]. Its hook is called at every named point, in the order
// of HookNames, and the pass goes on with what the hook returns; nil changes
// nothing. Weights are read from the scope; their type decides that of the
// computation. Token ids must have been checked: Gather clamps bad ones.
func Forward(scope *model.Scope, cfg Config, tokens *Node, hook Hook) (logits *Node) {
	return forward(scope, cfg, tokens, hook, unknown(hook))
}

// forward is Forward for a program that knows what it reads.
func forward(scope *model.Scope, cfg Config, tokens *Node, hook Hook, read func(HookName) bool) (logits *Node) {
	x, pass := forwardBlocks(scope, cfg, tokens, positionsOf(tokens), hook, reading{read: read, fromStart: true})
	return pass.unembed(pass.finalNorm(x))
}

// reading is what a pass may rely on to save work.
type reading struct {
	// read names the activations that are results of the program, so that they are
	// computed in any case. What is neither read nor changed by the hook may be
	// skipped by a fused operation. Nil if the hook may do anything with what it sees,
	// such as take gradients by it.
	read      func(HookName) bool
	fromStart bool  // tokens stand at positions 0, 1, …
	past      *past // keys and values of the tokens before, nil for none
}

// unknown is what must be taken as read when only the hook is known.
func unknown(hook Hook) func(HookName) bool {
	if hook == nil {
		return nothing
	}
	return nil
}

// forwardBlocks is the pass up to the last block's hook_resid_post.
func forwardBlocks(scope *model.Scope, cfg Config, tokens, positions *Node, hook Hook, r reading) (x *Node, p *pass) {
	tokens.AssertRank(2)
	positions.AssertDims(tokens.Shape().Dimensions[1])
	p = &pass{scope: scope, cfg: cfg, g: tokens.Graph(), hook: hook, reading: r}
	if hook == nil {
		p.hook = func(_ HookName, x *Node) *Node { return x }
	}
	x = p.embed(tokens, positions)
	for l := range cfg.Layers {
		x = p.block(l, x, positions)
	}
	return x, p
}

// pass is one forward pass being built.
type pass struct {
	scope *model.Scope
	cfg   Config
	g     *Graph
	hook  Hook
	reading
}

// free says whether an activation is neither read nor changed: given is what the
// hook saw, taken what it returned.
func (p *pass) free(name HookName, given, taken *Node) bool {
	return p.unchanged(given, taken) && !p.read(name)
}

// unchanged says whether the hook did nothing with an activation but read its values.
func (p *pass) unchanged(given, taken *Node) bool { return given == taken && p.read != nil }

// weight returns a checkpoint tensor as a node, in the type it is stored in.
func (p *pass) weight(name string) *Node {
	return stored(p.scope, p.g, name)
}

// Weight returns the checkpoint tensor of that name as a node in the type of the
// activations. It panics with an error that names the tensor if the scope does not
// have it.
func Weight(scope *model.Scope, g *Graph, name string) *Node {
	return widened(stored(scope, g, name))
}

// widened is a node in float32 if it is in bfloat16.
func widened(x *Node) *Node {
	if x.DType() == dtypes.BFloat16 {
		return ConvertDType(x, dtypes.Float32)
	}
	return x
}

func stored(scope *model.Scope, g *Graph, name string) *Node {
	v := scope.GetVariable(name)
	if v == nil {
		panic(fmt.Errorf("gpt2: weight %q is missing in scope %q", name, scope.Scope()))
	}
	return v.NodeValue(g)
}

func (p *pass) layerWeight(l int, name string) *Node {
	return p.weight(fmt.Sprintf("h.%d.%s", l, name))
}

// embed is wte[token] + wpe[position]: [batch, pos, d_model].
func (p *pass) embed(tokens, positions *Node) *Node {
	batch, pos, d := tokens.Shape().Dimensions[0], tokens.Shape().Dimensions[1], p.cfg.DModel
	wte, wpe := p.weight("wte.weight"), p.weight("wpe.weight")
	wte.AssertDims(p.cfg.DVocab, d)
	wpe.AssertDims(p.cfg.Context, d)
	e := p.hook(HookEmbed, widened(Gather(wte, InsertAxes(tokens, -1))))
	pe := widened(Gather(wpe, InsertAxes(positions, -1))) // [pos, d_model]
	pe = p.hook(HookPosEmbed, BroadcastToDims(InsertAxes(pe, 0), batch, pos, d))
	return Add(e, pe)
}

// block is one layer, from hook_resid_pre to hook_resid_post.
func (p *pass) block(l int, x, positions *Node) *Node {
	at := func(s Site, n *Node) *Node { return p.hook(s.At(l), n) }
	x = at(ResidPre, x)
	x = at(ResidMid, Add(x, p.attention(l, x, positions)))
	return at(ResidPost, Add(x, p.mlp(l, x)))
}

// finalNorm is ln_f: [batch, pos, d_model].
func (p *pass) finalNorm(x *Node) *Node {
	y := p.layerNorm(x, "ln_f", HookLnFinalScale, HookLnFinalNormalize)
	return p.hook(HookUnembedPre, y)
}

// headName is the output head's tensor [d_vocab, d_model].
func headName(cfg Config) string {
	if cfg.TieEmbeddings {
		return "wte.weight"
	}
	return "lm_head.weight"
}

// unembed multiplies by the output head, wte itself when tied.
func (p *pass) unembed(x *Node) *Node {
	w := p.weight(headName(p.cfg))
	if !narrow(w, x) {
		return Einsum("btd,vd->btv", x, w)
	}
	return ConvertDType(Einsum("btd,vd->btv", ConvertDType(x, w.DType()), w), x.DType())
}
