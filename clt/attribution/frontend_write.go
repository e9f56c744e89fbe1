package attribution

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// lineWriter collects JSON text and remembers the first error.
type lineWriter struct {
	w   io.Writer
	buf []byte
	err error
}

func (l *lineWriter) text(s string) {
	l.buf = append(l.buf, s...)
	if len(l.buf) >= 1<<16 {
		l.flush()
	}
}

func (l *lineWriter) part(before string, v any) {
	text, err := marshal(v)
	if l.err == nil {
		l.err = err
	}
	l.text(before)
	l.text(string(text))
}

func (l *lineWriter) flush() error {
	if l.err == nil {
		_, l.err = l.w.Write(l.buf)
	}
	l.buf = l.buf[:0]
	return l.err
}

func (g *Graph) number(v float64) number { return number{v, g.Weights.Double()} }

// cumulative is the stored ranking of the nodes, or one made now.
func (g *Graph) cumulative() ([]float64, error) {
	out := make([]float64, len(g.Nodes))
	ranked := false
	for i := range g.Nodes {
		out[i] = g.Nodes[i].Cumulative
		ranked = ranked || out[i] != 0
	}
	if ranked {
		return out, nil
	}
	infl, err := g.Influence()
	if err != nil {
		return nil, err
	}
	out, _ = rank(infl, 1)
	return out, nil
}

func (g *Graph) jsonMetadata(v View) jsonMetadata {
	prompt := strings.Join(g.Tokens, "")
	if prompt == "" {
		prompt = g.Prompt
	}
	m := jsonMetadata{
		Slug: v.Slug, Scan: v.Scan, Transcoders: orEmpty(v.Transcoders),
		PromptTokens: orEmpty(g.Tokens), Prompt: prompt, SchemaVersion: 1,
	}
	if m.Slug == "" {
		m.Slug = slug(prompt, "graph")
	}
	if m.Scan == "" {
		m.Scan = slug(g.CLT.Name, "clt")
	}
	if s := g.Settings; g.Cut() {
		m.NodeThreshold = &s.NodeCut
		m.Pruning = &jsonPruning{s.NodeCut, s.EdgeCut}
	}
	if v.Compat {
		return m
	}
	m.Info = &jsonInfo{Generator: jsonGenerator{"cross-layer-transcoder", "https://github.com/etredal/cross-layer-transcoder"}}
	m.Generation = &jsonGeneration{g.Settings.MaxLogits, g.Settings.LogitProb, g.Settings.Batch, g.Settings.MaxFeatures}
	m.Ours = &jsonOurs{FileFormat, g.Prompt, orEmpty(g.IDs), g.Model, g.CLT, g.Settings}
	return m
}

func (g *Graph) jsonQuery(v View) jsonQuery {
	q := jsonQuery{Pinned: []string{}, Supernodes: [][]any{}, LinkType: v.LinkType, Positions: v.Positions}
	if q.LinkType == "" {
		q.LinkType = "both"
	}
	if v.HasClicked {
		q.Clicked = nodeName(v.Clicked, v.Compat)
	}
	for _, n := range v.Pinned {
		q.Pinned = append(q.Pinned, nodeName(n, v.Compat))
	}
	for _, group := range v.Groups {
		row := []any{group.Label}
		for _, n := range group.Nodes {
			row = append(row, nodeName(n, v.Compat))
		}
		q.Supernodes = append(q.Supernodes, row)
	}
	return q
}

func (g *Graph) jsonNode(i int, top bool, cumulative float64, compat bool) jsonNode {
	n := &g.Nodes[i]
	feature, layer := int64(-1), strconv.Itoa(n.Layer)
	influence, value := g.number(cumulative), g.number(n.Activation)
	out := jsonNode{
		ID: nodeName(n.ID, compat), JSID: jsName(n.ID, compat), Pos: n.Pos,
		Type: typeOf[n.Kind], Prob: g.number(n.Prob), Influence: &influence,
	}
	switch n.Kind {
	case Feature:
		feature, out.Activation, out.Clerp = cantor(n.Layer, n.Index), &value, n.Label
	case Token, Position:
		feature, layer = int64(n.Pos), "E"
	case Bias:
		if n.Layer == 0 { // one for the whole model
			layer = "E"
		}
	case Logit:
		feature, layer = int64(n.Index), strconv.Itoa(n.Layer+1)
		out.Influence, out.IsTarget, out.Clerp = nil, top, logitClerp(n)
	}
	if n.Kind.IsTarget() && n.Preactivation != 0 && !compat {
		preactivation := g.number(n.Preactivation)
		out.Preactivation = &preactivation
	}
	out.Layer = json.RawMessage(strconv.Quote(layer))
	if n.Kind != Feature || n.Layer+n.Index < maxCantor { // else the name alone tells
		number := json.Number(strconv.FormatInt(feature, 10))
		out.Feature = &number
	}
	return out
}

// logitClerp is the text from which the viewers read the token and its
// probability.
func logitClerp(n *Node) string {
	return fmt.Sprintf("Output \"%s\" (p=%.3f)", n.Label, n.Prob)
}

// logitLabel inverts logitClerp, and what attribute writes; other texts are labels as
// they are.
func logitLabel(clerp string) string {
	rest, ok := strings.CutPrefix(clerp, "Output \"")
	if !ok {
		rest, ok = strings.CutPrefix(clerp, "output: \"")
	}
	if at := strings.LastIndex(rest, "\" (p="); ok && at >= 0 {
		return rest[:at]
	}
	return clerp
}
