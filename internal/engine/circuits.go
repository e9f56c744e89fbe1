package engine

import (
	"cmp"
	"context"
	"math"
	"slices"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/clt/replacement"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// Heads splits the edges into targets by attention head.
func (s *Service) Heads(ctx context.Context, req wire.HeadsRequest, report func(wire.Progress)) (out wire.HeadsResponse, err error) {
	local, err := s.local(req.Setup, req.Prompt)
	if err != nil {
		return out, err
	}
	if req.Top == 0 {
		req.Top = 10
	}
	most, prob, list, err := targets(local, req.Targets, req.MaxLogits, req.LogitProb)
	if err != nil {
		return out, err
	}
	if len(list) == 0 {
		list = local.TopTargets(most, prob)
	}
	out = wire.HeadsResponse{TokensResponse: tokensOf(local.LM, local.Tokens), Warned: s.warnings(local)}
	splits, err := local.Heads(ctx, list...)
	if err != nil {
		return out, err
	}
	for i, t := range list {
		target, err := headTarget(local, &splits[i], t.Label, req.Top)
		if err != nil {
			return out, err
		}
		out.Targets = append(out.Targets, target)
	}
	return out, nil
}

func headTarget(local *replacement.Local, s *replacement.HeadSplit, label string, top int) (wire.HeadTarget, error) {
	h := wire.HeadTarget{Target: nodeOf(local, s.Target), Label: label, Edges: []wire.HeadEdge{}, Heads: headSums(s)}
	for _, i := range strongest(s.Edges, top) {
		parts, err := s.Through(s.Sources[i])
		if err != nil {
			return h, err
		}
		e := wire.HeadEdge{Source: nodeOf(local, s.Sources[i]), Weight: s.Edges[i]}
		for _, p := range parts {
			e.Parts = append(e.Parts, wire.HeadShare{Layer: p.Layer, Head: p.Head, Weight: p.Weight})
		}
		h.Edges = append(h.Edges, e)
	}
	return h, nil
}

// headSums adds up all edges by head, without what is zero.
func headSums(s *replacement.HeadSplit) []wire.HeadShare {
	list := []wire.HeadShare{}
	add := func(layer, head int, weights []float64) {
		h := wire.HeadShare{Layer: layer, Head: head}
		for _, w := range weights {
			h.Weight, h.Abs = h.Weight+w, h.Abs+math.Abs(w)
		}
		if h.Abs > 0 {
			list = append(list, h)
		}
	}
	add(-1, -1, s.Residual)
	for _, h := range s.Heads {
		add(h.Layer, h.Head, h.Weights)
	}
	slices.SortStableFunc(list, func(a, b wire.HeadShare) int { return cmp.Compare(b.Abs, a.Abs) })
	return list
}

// strongest are the indices of the n values of largest size that are not zero.
func strongest(v []float64, n int) []int {
	var order []int
	for i, x := range v {
		if x != 0 {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(math.Abs(v[b]), math.Abs(v[a])) })
	return order[:min(n, len(order))]
}

// nodeOf names a node for people.
func nodeOf(local *replacement.Local, id attribution.ID) wire.Node {
	n := wire.Node{ID: id.String(), Kind: id.Kind.String(), Layer: id.Layer, Pos: id.Pos, Index: id.Index}
	switch {
	case id.Kind == attribution.Logit && id.Index < local.LM.Config.DVocab:
		n.Token = local.LM.TokenText(int32(id.Index))
	case id.Kind != attribution.Bias && id.Kind != attribution.Logit:
		n.Token = local.LM.TokenText(local.Tokens[id.Pos])
	}
	return n
}

// QK attributes an attention score to pairs of sources.
func (s *Service) QK(ctx context.Context, req wire.QKRequest, report func(wire.Progress)) (out wire.QKResponse, err error) {
	local, err := s.local(req.Setup, req.Prompt)
	if err != nil {
		return out, err
	}
	if req.Top == 0 {
		req.Top = 20
	}
	n := len(local.Tokens)
	query := n - 1
	if req.Query != nil {
		if query = *req.Query; query < 0 {
			query += n
		}
	}
	pattern, err := local.Pattern(req.Layer, req.Head, query)
	if err != nil {
		return out, err
	}
	key := slices.Index(pattern, slices.Max(pattern))
	if req.Key != nil {
		if key = *req.Key; key < 0 {
			key += n
		}
	}
	if key < 0 || key > query {
		return out, badRequest("qk: key %d of query %d; a query sees keys 0..%d", key, query, query)
	}
	a, err := local.AttributeScore(ctx, req.Layer, req.Head, query, key)
	if err != nil {
		return out, err
	}
	out = wire.QKResponse{TokensResponse: tokensOf(local.LM, local.Tokens), Warned: s.warnings(local), Layer: req.Layer, Head: req.Head, Query: query, Key: key,
		Score: a.Score, Prob: pattern[key], Pattern: pattern, Pairs: []wire.QKPair{}, Kinds: []wire.QKKinds{}}
	for _, p := range a.Top(req.Top) {
		out.Pairs = append(out.Pairs, wire.QKPair{Query: nodeOf(local, p.Query), Key: nodeOf(local, p.Key), Weight: p.Weight})
	}
	sides := a.Sides()
	for side, list := range []*[]wire.QKSide{&out.QuerySide, &out.KeySide} {
		for _, i := range strongest(sides[side], req.Top) {
			*list = append(*list, wire.QKSide{Source: nodeOf(local, a.Sources[i]), Weight: sides[side][i]})
		}
	}
	kinds := a.ByKind()
	for q := attribution.Feature; q < attribution.Logit; q++ {
		for k := attribution.Feature; k < attribution.Logit; k++ {
			w := kinds[[2]attribution.Kind{q, k}]
			out.Sum += w
			out.Kinds = append(out.Kinds, wire.QKKinds{Query: q.String(), Key: k.String(), Weight: w})
		}
	}
	return out, nil
}
