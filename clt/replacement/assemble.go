package replacement

import (
	"sort"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
)

// unvisited picks the features whose rows come next under a cap: the most
// influential by the rows that are known, ties by order.
func (b *builder) unvisited() []int {
	seen := make([]bool, len(b.feature))
	for _, f := range b.visited {
		seen[f] = true
	}
	var next []int
	for f := range b.feature {
		if !seen[f] {
			next = append(next, f)
		}
	}
	influence := b.partialInfluence()
	sort.SliceStable(next, func(i, j int) bool { return influence[next[i]] > influence[next[j]] })
	n := min(b.cfg.MaxFeatures-len(b.visited), b.cfg.Interval*b.cfg.Batch, len(next))
	return next[:max(0, n)]
}

// partialInfluence is each active feature's influence on the targets by the known
// rows, in one pass from the top layer down. Positions and bias stay out of the
// shares, as in circuit-tracer.
func (b *builder) partialInfluence() []float64 {
	influence := make([]float64, len(b.Active))
	ranked := len(b.Active) + b.LM.Config.Layers*len(b.Tokens) + len(b.Tokens)
	spread := func(r attribution.Matrix, weight float64) {
		sum := 0.0
		for c := range ranked {
			sum += abs(r.At(0, c))
		}
		for f := range influence {
			influence[f] += weight * abs(r.At(0, f)) / max(sum, 1e-8)
		}
	}
	for i, t := range b.cfg.Targets {
		spread(b.rows[len(b.Active)+i], t.Prob)
	}
	order := append([]int{}, b.visited...)
	sort.SliceStable(order, func(i, j int) bool { return b.Active[order[i]].Layer > b.Active[order[j]].Layer })
	for _, f := range order {
		spread(b.rows[f], influence[f])
	}
	return influence
}

// graph lists the nodes and, without a cap, reserves the matrix in which the rows
// are written. keep lists the active features that become nodes.
func (b *builder) graph(keep []int) *attribution.Graph {
	layers, length := b.LM.Config.Layers, len(b.Tokens)
	g := &attribution.Graph{Tokens: b.LM.TokenTexts(b.Tokens), IDs: b.Tokens, CLT: b.ID,
		Model: attribution.Artifact{Name: b.LM.Name, SHA256: b.LM.SHA256}}
	add := func(id attribution.ID, label string) *attribution.Node {
		g.Nodes = append(g.Nodes, attribution.Node{ID: id, Label: label})
		return &g.Nodes[len(g.Nodes)-1]
	}
	for _, f := range keep {
		a := b.Active[f]
		n := add(attribution.ID{Kind: attribution.Feature, Layer: a.Layer, Pos: a.Pos, Index: a.Index}, "")
		n.Activation, n.Preactivation = a.Value, a.Preactivation
	}
	for l := range layers {
		for p := range length {
			add(attribution.ID{Kind: attribution.Error, Layer: l, Pos: p}, "")
		}
	}
	for p, id := range b.Tokens {
		add(attribution.ID{Kind: attribution.Token, Pos: p, Index: int(id)}, g.Tokens[p])
	}
	if b.cfg.Compat == "" {
		for p := range length {
			add(attribution.ID{Kind: attribution.Position, Pos: p}, "")
		}
		add(attribution.ID{Kind: attribution.Bias}, "")
	}
	for _, i := range b.targetOrder() {
		g.Nodes = append(g.Nodes, b.targetNode(i))
	}
	g.Weights = attribution.NewMatrix(len(g.Nodes), b.LM.Double)
	g.Settings = attribution.Settings{MaxLogits: b.cfg.MaxLogits, LogitProb: b.cfg.LogitProb, MaxFeatures: b.cfg.MaxFeatures,
		Active: len(b.Active), Batch: b.cfg.Batch, DType: dtypeName(b.LM.Double), Read: string(b.CLT.Read), Compat: b.cfg.Compat,
		Layers: layers, Backend: b.LM.Backend.Name()}
	for _, t := range g.Tokens {
		g.Prompt += t
	}
	return g
}

func dtypeName(double bool) string {
	if double {
		return "f64"
	}
	return "f32"
}

// targetOrder sorts the targets by descending probability, ties as given.
func (b *builder) targetOrder() []int {
	order := make([]int, len(b.target))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(i, j int) bool { return b.cfg.Targets[order[i]].Prob > b.cfg.Targets[order[j]].Prob })
	return order
}

func (b *builder) targetNode(i int) attribution.Node {
	t, r := b.cfg.Targets[i], b.target[i]
	n := attribution.Node{ID: attribution.ID{Kind: attribution.Logit, Layer: r.layer, Pos: r.pos, Index: b.LM.Config.DVocab + i},
		Prob: t.Prob, Label: t.Label, Preactivation: r.value}
	if len(t.Tokens) == 1 && t.Vector == nil && t.Demean && t.Tokens[0].Scale == 1 {
		n.Index = int(t.Tokens[0].ID)
	}
	return n
}

// pack copies the rows of a capped graph into its matrix. The edges of features
// without a row go to the error node of their layer and position, so that rows
// still add up; in compatibility mode they are dropped.
func (b *builder) pack(g *attribution.Graph) {
	active, kept, length := len(b.Active), len(b.visited), len(b.Tokens)
	column := make([]int, b.columns)
	for c := range column {
		column[c] = c - active + kept
	}
	for f, a := range b.Active {
		column[f] = -1
		if b.cfg.Compat == "" {
			column[f] = kept + a.Layer*length + a.Pos
		}
	}
	for i, f := range b.visited {
		column[f] = i
	}
	put := func(t int, r attribution.Matrix) {
		for c, n := range column {
			if n >= 0 {
				g.Weights.Set(t, n, g.Weight(t, n)+r.At(0, c))
			}
		}
	}
	for i, f := range b.visited {
		put(i, b.rows[f])
	}
	for rank, i := range b.targetOrder() {
		put(len(g.Nodes)-len(b.target)+rank, b.rows[active+i])
	}
}
