package lab

import (
	"fmt"
	"strings"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
	"github.com/etredal/cross-layer-transcoder/viz"
)

// Why says through which attention heads the edges into a token's logit come, or
// into another target as Graph takes it ("feature:L/F@P"); "" means the likeliest
// next token.
func (s *Session) Why(prompt, target string) *Heads {
	req := wire.HeadsRequest{Setup: s.on(), Prompt: wire.Prompt{Text: prompt}, MaxLogits: 1, Top: 12}
	if target != "" {
		req.Targets = []string{target}
	}
	h := &Heads{}
	s.do("heads", req, &h.HeadsResponse, nil)
	return h
}

// Heads splits the edges into a target by head.
type Heads struct{ wire.HeadsResponse }

// Output is the strongest edges with their parts, and all edges by head.
func (h *Heads) Output() viz.Output {
	var outs []viz.Output
	for _, t := range h.Targets {
		var rows [][]string
		for _, e := range t.Edges {
			var parts []string
			for _, p := range e.Parts[:min(3, len(e.Parts))] {
				parts = append(parts, fmt.Sprintf("%s %+.3f", headName(p), p.Weight))
			}
			if more := len(e.Parts) - len(parts); more > 0 {
				parts = append(parts, fmt.Sprintf("%d more", more))
			}
			rows = append(rows, []string{nodeName(e.Source), fmt.Sprintf("%+.3f", e.Weight), strings.Join(parts, ", ")})
		}
		outs = append(outs, viz.Table("Why “"+strings.TrimSpace(t.Label)+"”: the strongest edges, and the last head that each part crosses", []string{"source", "edge", "parts"}, rows),
			headMap(t))
	}
	return withWarnings("heads", h.Warnings, outs...)
}

// headMap is what each head brings into a target, signed.
func headMap(t wire.HeadTarget) viz.Output {
	layers, heads := 0, 0
	for _, h := range t.Heads {
		layers, heads = max(layers, h.Layer+1), max(heads, h.Head+1)
	}
	m, xs, ys := make([][]float64, layers), make([]string, heads), make([]string, layers)
	for l := range m {
		m[l], ys[l] = make([]float64, heads), fmt.Sprintf("layer %d", l)
	}
	for i := range xs {
		xs[i] = fmt.Sprintf("head %d", i)
	}
	residual := 0.0
	for _, h := range t.Heads {
		if h.Layer < 0 {
			residual = h.Weight
			continue
		}
		m[h.Layer][h.Head] = h.Weight
	}
	return viz.Heat(fmt.Sprintf("Sum of all edges into “%s” by head; %+.3f never crosses attention", strings.TrimSpace(t.Label), residual), m, xs, ys, viz.HeatOptions{Signed: true, BottomUp: true})
}

func headName(h wire.HeadShare) string {
	if h.Layer < 0 {
		return "residual"
	}
	return fmt.Sprintf("L%d/H%d", h.Layer, h.Head)
}

// nodeName is a node for people.
func nodeName(n wire.Node) string {
	token := "“" + strings.TrimSpace(n.Token) + "”"
	switch n.Kind {
	case "feature":
		return fmt.Sprintf("L%d/F%d at %d %s", n.Layer, n.Index, n.Pos, token)
	case "error":
		return fmt.Sprintf("error of L%d at %d %s", n.Layer, n.Pos, token)
	case "token":
		return fmt.Sprintf("token %d %s", n.Pos, token)
	case "position":
		return fmt.Sprintf("position %d", n.Pos)
	case "logit":
		return "logit " + token
	}
	return n.Kind
}

// QK attributes the attention score of a head between two positions to pairs of
// sources. Negative positions count from the end. The pairs add up to the score;
// they say what it is made of, not what the softmax would do without them.
func (s *Session) QK(prompt string, layer, head, query, key int) *QK {
	q := &QK{}
	s.do("qk", wire.QKRequest{Setup: s.on(), Prompt: wire.Prompt{Text: prompt}, Layer: layer, Head: head, Query: &query, Key: &key, Top: 12}, &q.QKResponse, nil)
	return q
}

// QK is an attention score and what it is made of.
type QK struct{ wire.QKResponse }

// Output is the strongest pairs, the sources of either side, and the sums by kind.
func (q *QK) Output() viz.Output {
	var rows [][]string
	for _, p := range q.Pairs {
		rows = append(rows, []string{nodeName(p.Query), nodeName(p.Key), fmt.Sprintf("%+.3f", p.Weight)})
	}
	tokens := q.TokensResponse.Tokens
	pairs := viz.Table(fmt.Sprintf("Layer %d, head %d: “%s” at %d looks at “%s” at %d with score %.3f, attention %.3f", q.Layer, q.Head,
		strings.TrimSpace(tokens[q.Query]), q.Query, strings.TrimSpace(tokens[q.Key]), q.Key, q.Score, q.Prob), []string{"query side", "key side", "part of the score"}, rows)
	rows = nil
	for i := range min(8, max(len(q.QuerySide), len(q.KeySide))) {
		row := []string{"", "", "", ""}
		if i < len(q.QuerySide) {
			row[0], row[1] = nodeName(q.QuerySide[i].Source), fmt.Sprintf("%+.3f", q.QuerySide[i].Weight)
		}
		if i < len(q.KeySide) {
			row[2], row[3] = nodeName(q.KeySide[i].Source), fmt.Sprintf("%+.3f", q.KeySide[i].Weight)
		}
		rows = append(rows, row)
	}
	sides := viz.Table("Each source with everything on the other side", []string{"query side", "part", "key side", "part "}, rows)
	return withWarnings("qk", q.Warnings, pairs, sides, q.kinds())
}

// kinds is the score by kind of source.
func (q *QK) kinds() viz.Output {
	var names []string
	at := map[string]int{}
	for _, k := range q.Kinds {
		if _, ok := at[k.Query]; !ok {
			at[k.Query] = len(names)
			names = append(names, k.Query)
		}
	}
	m := make([][]float64, len(names))
	for i := range m {
		m[i] = make([]float64, len(names))
	}
	for _, k := range q.Kinds {
		m[at[k.Query]][at[k.Key]] = k.Weight
	}
	return viz.Heat(fmt.Sprintf("The score %.3f by kind of source", q.Score), m, names, names, viz.HeatOptions{Signed: true, XLabel: "key side", YLabel: "query side"})
}

// Weights lists the virtual weights of a feature, which no prompt changes: from and
// to other features, token embeddings and logits. On the pocket model they are also
// weighed by how features are active together in its world (ERA and TWERA). Each list
// has ten entries, or as many as asked for; 0 for all.
func (s *Session) Weights(layer, index int, top ...int) *Weights {
	w, n := &Weights{}, 10
	if len(top) > 0 {
		n = top[0]
	}
	s.do("weights", wire.WeightsRequest{Setup: s.on(), Layer: layer, Index: index, World: s.setup.Model == "" || s.setup.Model == "pocket", Tokens: 8000, Top: n}, &w.WeightsResponse, nil)
	return w
}

// TokenWeight is the weight between a feature and a token.
type TokenWeight = wire.TokenWeight

// Weights are a feature's virtual weights.
type Weights struct{ wire.WeightsResponse }

// Output is four tables.
func (w *Weights) Output() viz.Output {
	name := fmt.Sprintf("L%d/F%d", w.Layer, w.Index)
	head := []string{"feature", "virtual weight"}
	if w.Seen > 0 {
		head = append(head, "ERA", "TWERA")
	}
	features := func(title string, list []wire.VirtualWeight) viz.Output {
		var rows [][]string
		for _, v := range list {
			row := []string{fmt.Sprintf("L%d/F%d", v.Layer, v.Index), fmt.Sprintf("%+.4f", v.Virtual)}
			if w.Seen > 0 {
				row = append(row, fmt.Sprintf("%+.4f", v.ERA), fmt.Sprintf("%+.4f", v.TWERA))
			}
			rows = append(rows, row)
		}
		return viz.Table(title, head, rows)
	}
	tokens := func(title string, list []wire.TokenWeight) viz.Output {
		var rows [][]string
		for _, t := range list {
			rows = append(rows, []string{t.Token, fmt.Sprintf("%+.4f", t.Weight)})
		}
		return viz.Table(title, []string{"token", "weight"}, rows)
	}
	return withWarnings("weights", w.Warnings, features("From features of earlier layers to "+name, w.Inputs), features("From "+name+" to features of later layers", w.Outputs),
		tokens("From token embeddings to "+name, w.Tokens), tokens("From "+name+" to logits, relative to their mean", w.Logits))
}

// Residual is the part of an edge that never crosses attention: from a source into a
// target as Graph takes it ("feature:L/F@P"; "" for the likeliest next token).
func (s *Session) Residual(prompt, target string, source attribution.ID) float64 {
	req := wire.HeadsRequest{Setup: s.on(), Prompt: wire.Prompt{Text: prompt}, MaxLogits: 1, Top: 1 << 20}
	if target != "" {
		req.Targets = []string{target}
	}
	var r wire.HeadsResponse
	s.do("heads", req, &r, nil)
	for _, e := range r.Targets[0].Edges {
		if e.Source.ID != source.String() {
			continue
		}
		for _, p := range e.Parts {
			if p.Layer < 0 {
				return p.Weight
			}
		}
	}
	return 0
}
