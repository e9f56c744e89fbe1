package replacement

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// HeadSplit is the row of one target with every edge split by the way it takes.
//
// An edge sums over all paths through the residual stream and attention. Each path
// is counted at the attention hop that is nearest to the target: the one part of
// the edge whose last hop is head h of layer l, and the part that never crosses
// attention. Every path has exactly one such place, so that the parts add up to the
// edge. Below its last hop a path may cross any heads: Heads answers "through which
// head does this arrive?", not "through which heads did it ever go". A layer's skip,
// if the transcoder has one, is part of the residual path. The bias is no path and
// is left out.
type HeadSplit struct {
	Target   attribution.ID
	Sources  []attribution.ID
	Edges    []float64  // by source, as in the graph
	Residual []float64  // by source: never through attention
	Heads    []HeadPart // from the target's side: top layer first, heads in order
}

// HeadPart is what arrives through one head, by source.
type HeadPart struct {
	Layer, Head int
	Weights     []float64
}

// HeadShare is one part of one edge.
type HeadShare struct {
	Layer, Head int // -1 and -1 for the residual path
	Weight      float64
}

// String is "L3/H2", or "residual".
func (h HeadShare) String() string {
	if h.Layer < 0 {
		return "residual"
	}
	return fmt.Sprintf("L%d/H%d", h.Layer, h.Head)
}

// Through lists the parts of the edge from a source that are not zero, strongest
// first.
func (s *HeadSplit) Through(source attribution.ID) ([]HeadShare, error) {
	at := slices.Index(s.Sources, source)
	if at < 0 {
		return nil, refused("heads: %v is no source of this prompt; give a feature that is active, an error, token or position", source)
	}
	list := []HeadShare{{-1, -1, s.Residual[at]}}
	for _, h := range s.Heads {
		list = append(list, HeadShare{h.Layer, h.Head, h.Weights[at]})
	}
	list = slices.DeleteFunc(list, func(h HeadShare) bool { return h.Weight == 0 })
	slices.SortStableFunc(list, func(a, b HeadShare) int {
		switch x, y := math.Abs(a.Weight), math.Abs(b.Weight); {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	return list, nil
}

// TargetOf is the target that a node of a graph stands for: a feature's
// pre-activation or a token's centred logit.
func (l *Local) TargetOf(id attribution.ID) (Target, error) {
	switch {
	case id.Pos < 0 || id.Pos >= len(l.Tokens):
	case id.Kind == attribution.Feature:
		return l.featureTarget(id.String(), fmt.Sprintf("%d/%d", id.Layer, id.Index), id.Pos)
	case id.Kind == attribution.Logit && id.Index >= 0 && id.Index < l.LM.Config.DVocab:
		prob := math.Exp(gpt2.LogProbs(l.logitRow(id.Pos))[id.Index])
		return l.tokenTarget(int32(id.Index), prob, id.Pos), nil
	}
	return Target{}, refused("%v is no target of this prompt; give a feature or the logit of a token", id)
}

// Heads splits every edge of the targets by head. It fails if the parts of an edge
// miss it by more than 1e-5 of max(1, the row's largest edge).
func (l *Local) Heads(ctx context.Context, targets ...Target) ([]HeadSplit, error) {
	if len(targets) == 0 {
		return nil, refused("heads: no targets; give a feature or a token")
	}
	cfg := DefaultAttributeConfig()
	cfg.Targets, cfg.Batch = targets, max(8, len(targets))
	b, err := l.newBuilder(cfg)
	if err != nil {
		return nil, err
	}
	splits := make([]HeadSplit, len(targets))
	vecs := make([][]float64, len(targets))
	err = b.sweepAll(ctx, b.target, func(i int, edges, embed gpt2.Array, at, pos int) {
		splits[i].Edges = b.sourceRow(at, pos, edges, embed)
	}, nil)
	if err != nil {
		return nil, err
	}
	ids := b.sourceIDs()
	for i, r := range b.target {
		s := &splits[i]
		s.Target, s.Sources, s.Residual = b.targetNode(i).ID, ids, make([]float64, len(ids))
		if f := targets[i].Feature; f != nil {
			s.Target = attribution.ID{Kind: attribution.Feature, Layer: f.Layer, Pos: r.pos, Index: f.Index}
		}
		vecs[i] = slices.Clone(r.vec)
	}
	if err := b.splitLayers(ctx, splits, vecs); err != nil {
		return nil, err
	}
	for i := range splits {
		if err := splits[i].check(); err != nil {
			return nil, err
		}
	}
	return splits, nil
}

// splitLayers goes down the layers with the targets' vectors, which never cross
// attention, and sends off what each head takes of them.
func (b *builder) splitLayers(ctx context.Context, splits []HeadSplit, vecs [][]float64) error {
	for l := b.LM.Config.Layers - 1; l >= 0; l-- {
		w, err := b.hostHeads(l)
		if err != nil {
			return err
		}
		for i, r := range b.target {
			s := &splits[i]
			if l < r.layer {
				b.meetResidual(l, r.pos, vecs[i], s.Residual)
				if b.CLT.Skip {
					b.addSkip(w, l, r.pos, vecs[i])
				}
			}
			if l > r.layer {
				continue
			}
			edges, embed, err := b.carry(ctx, b.headStreams(w, l, r.pos, vecs[i]), l-1)
			if err != nil {
				return err
			}
			for h := range b.LM.Config.Heads {
				s.Heads = append(s.Heads, HeadPart{l, h, b.sourceRow(h, edges.Shape[1], edges, embed)})
			}
		}
	}
	for i, r := range b.target {
		token := len(b.Active) + b.LM.Config.Layers*len(b.Tokens) + r.pos
		for j, v := range vecs[i] {
			splits[i].Residual[token] += v * b.Local.embed.At(r.pos*b.CLT.DModel+j)
			splits[i].Residual[token+len(b.Tokens)] += v * b.posEmb.At(r.pos*b.CLT.DModel+j)
		}
	}
	return nil
}

// meetResidual adds what a vector at one position meets at the MLP output of a
// layer: features and the error.
func (b *builder) meetResidual(l, pos int, vec []float64, residual []float64) {
	d := b.CLT.DModel
	for i, a := range b.Active {
		targets := b.CLT.Targets(a.Layer)
		if k := l - a.Layer; a.Pos == pos && k >= 0 && k < targets {
			for j, w := range b.CLT.Decoder(a.Layer, a.Index)[k*d:][:d] {
				residual[i] += a.Value * vec[j] * float64(w)
			}
		}
	}
	at := len(b.Active) + l*len(b.Tokens) + pos
	for j, v := range vec {
		residual[at] += v * b.errors[l].At(pos*d+j)
	}
}

// check compares the parts with the edges.
func (s *HeadSplit) check() error {
	worst, scale, at := 0.0, 1.0, 0
	for i, e := range s.Edges {
		sum := s.Residual[i]
		for _, h := range s.Heads {
			sum += h.Weights[i]
		}
		scale = max(scale, math.Abs(e))
		if d := math.Abs(sum - e); !(d <= worst) {
			worst, at = d, i
		}
	}
	if !(worst <= 1e-5*scale) {
		return fmt.Errorf("replacement: heads: the parts of %v -> %v miss the edge by %.3g; report this with the prompt", s.Sources[at], s.Target, worst)
	}
	return nil
}
