package replacement

import (
	"context"
	"fmt"
	"sort"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// row is one target of the sweep.
type row struct {
	vec   []float64 // [d_model] in the residual stream
	layer int       // injected at hook_resid_mid of this layer; Layers for the final stream
	pos   int
	bias  float64
	value float64 // what the row must add up to
}

// builder assembles a graph: rows of edges for features and targets.
type builder struct {
	*Local
	cfg     AttributeConfig
	exec    *model.Exec
	inputs  []any
	feature []row // one for each active feature
	target  []row // one for each target
	slot    []int // active feature -> its slot at its position
	slots   int   // per position, errors included
	columns int   // active features + errors + tokens + positions + bias
	rows    map[int][]float64
	visited []int // active features with a row, ascending
}

func (l *Local) newBuilder(cfg AttributeConfig) (*builder, error) {
	b := &builder{Local: l, cfg: cfg, rows: map[int][]float64{}}
	layers, length := l.LM.Config.Layers, len(l.Tokens)
	b.columns = len(l.Active) + layers*length + 2*length + 1
	var err error
	if b.exec, err = gpt2.Compiled(l.LM, "sweep|"+l.key, sweepGraph(l.LM.Config, l.CLT.Config)); err != nil {
		return nil, err
	}
	if err := b.makeSources(); err != nil {
		return nil, err
	}
	return b, b.makeRows()
}

// makeSources lays out what every source writes: features by position in slots,
// one error slot a layer, token and position embeddings.
func (b *builder) makeSources() error {
	d, layers, length := b.CLT.DModel, b.LM.Config.Layers, b.length()
	count := make([]int, length)
	b.slot = make([]int, len(b.Active))
	for i, a := range b.Active {
		b.slot[i] = count[a.Pos]
		count[a.Pos]++
	}
	features := 0
	for _, n := range count {
		features = max(features, n)
	}
	if b.LM.CompilesShapes() {
		features = (features + 31) / 32 * 32 // fewer shapes to compile
	}
	b.slots = features + layers
	b.inputs = nil
	sources := make([]gpt2.Array, layers)
	for l := range layers {
		sources[l] = gpt2.NewArray([]int{length, b.slots, d}, b.LM.Double)
		for p := range b.Tokens {
			copyRow(sources[l], (p*b.slots+features+l)*d, b.errors[l], p*d, d)
		}
	}
	for i, a := range b.Active {
		targets := b.CLT.Targets(a.Layer)
		for k := range targets {
			w := b.CLT.WDec[a.Layer][(a.Index*targets+k)*d:][:d]
			addScaled(sources[a.Layer+k], (a.Pos*b.slots+b.slot[i])*d, w, a.Value)
		}
	}
	embed, err := b.embedSources(length)
	if err != nil {
		return err
	}
	frozen := b.frozenInputs()
	for _, t := range frozen {
		b.inputs = append(b.inputs, t)
	}
	b.inputs = append(b.inputs, nil, nil, nil) // vec, layer, pos of each batch
	for _, s := range sources {
		b.inputs = append(b.inputs, s.Tensor(b.LM.Double))
	}
	b.inputs = append(b.inputs, embed)
	for _, t := range b.skipTensors() {
		b.inputs = append(b.inputs, t)
	}
	return nil
}

// embedSources is [pos, 2, d_model]: token and position embeddings.
func (b *builder) embedSources(length int) (*tensors.Tensor, error) {
	d := b.CLT.DModel
	c, err := b.LM.RunWithCache(b.Tokens, gpt2.HookEmbed, gpt2.HookPosEmbed)
	if err != nil {
		return nil, err
	}
	a := gpt2.NewArray([]int{length, 2, d}, b.LM.Double)
	for p := range b.Tokens {
		copyRow(a, 2*p*d, c.Hooks[gpt2.HookEmbed], p*d, d)
		copyRow(a, (2*p+1)*d, c.Hooks[gpt2.HookPosEmbed], p*d, d)
	}
	return a.Tensor(b.LM.Double), nil
}

func copyRow(dst gpt2.Array, at int, src gpt2.Array, from, n int) {
	if dst.F64 != nil {
		copy(dst.F64[at:at+n], src.F64[from:from+n])
	} else {
		copy(dst.F32[at:at+n], src.F32[from:from+n])
	}
}

func addScaled(dst gpt2.Array, at int, w []float32, scale float64) {
	if dst.F64 != nil {
		for i, v := range w {
			dst.F64[at+i] += scale * float64(v)
		}
		return
	}
	s := float32(scale)
	for i, v := range w {
		dst.F32[at+i] += s * v
	}
}

// fill computes all rows, or with a cap those of the most influential features.
func (b *builder) fill(ctx context.Context, report func(done, total int)) error {
	total := len(b.target) + len(b.feature)
	limit := b.cfg.MaxFeatures
	if limit > 0 {
		total = len(b.target) + min(limit, len(b.feature))
	}
	done := 0
	run := func(keys []int, rows []row) error {
		for i := 0; i < len(keys); i += b.cfg.Batch {
			if err := ctx.Err(); err != nil {
				return err
			}
			n := min(b.cfg.Batch, len(keys)-i)
			if err := b.sweep(keys[i:i+n], rows[i:i+n]); err != nil {
				return err
			}
			done += n
			if report != nil {
				report(done, total)
			}
		}
		return nil
	}
	keys := make([]int, len(b.target))
	for i := range keys {
		keys[i] = len(b.Active) + i
	}
	if err := run(keys, b.target); err != nil {
		return err
	}
	for {
		next := b.unvisited(limit)
		if len(next) == 0 {
			sort.Ints(b.visited)
			return nil
		}
		rows := make([]row, len(next))
		for i, f := range next {
			rows[i] = b.feature[f]
		}
		if err := run(next, rows); err != nil {
			return err
		}
		b.visited = append(b.visited, next...)
	}
}

// updateInterval is how many batches are computed between two rankings when the
// number of features is capped.
const updateInterval = 4

// unvisited picks the features whose rows come next: all of them without a cap,
// otherwise the most influential by the rows that are known, ties by order.
func (b *builder) unvisited(limit int) []int {
	seen := make(map[int]bool, len(b.visited))
	for _, f := range b.visited {
		seen[f] = true
	}
	var next []int
	for f := range b.feature {
		if !seen[f] {
			next = append(next, f)
		}
	}
	if limit <= 0 || limit >= len(b.feature) {
		return next
	}
	influence := b.partialInfluence()
	sort.SliceStable(next, func(i, j int) bool { return influence[next[i]] > influence[next[j]] })
	n := min(limit-len(b.visited), updateInterval*b.cfg.Batch, len(next))
	return next[:max(0, n)]
}

// partialInfluence is each active feature's influence on the targets by the
// known rows, in one pass from the top layer down.
func (b *builder) partialInfluence() []float64 {
	influence := make([]float64, len(b.Active))
	spread := func(r []float64, weight float64) {
		sum := 0.0
		for _, v := range r[:b.columns-len(b.Tokens)-1] {
			sum += abs(v)
		}
		for f := range influence {
			if r[f] != 0 {
				influence[f] += weight * abs(r[f]) / max(sum, 1e-8)
			}
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

// sweep computes the rows of one batch and stores them under their keys.
func (b *builder) sweep(keys []int, rows []row) error {
	d, n := b.CLT.DModel, b.cfg.Batch
	vec := gpt2.NewArray([]int{n, d}, b.LM.Double)
	layer, pos := make([]int32, n), make([]int32, n)
	for i := range layer {
		layer[i] = -1
	}
	for i, r := range rows {
		layer[i], pos[i] = int32(r.layer), int32(r.pos)
		for j, v := range r.vec {
			if vec.F64 != nil {
				vec.F64[i*d+j] = v
			} else {
				vec.F32[i*d+j] = float32(v)
			}
		}
	}
	at := 1 + 3*b.LM.Config.Layers
	b.inputs[at] = vec.Tensor(b.LM.Double)
	b.inputs[at+1] = tensors.FromFlatDataAndDimensions(layer, n)
	b.inputs[at+2] = tensors.FromFlatDataAndDimensions(pos, n)
	out, err := b.exec.Call(b.inputs...)
	if err != nil {
		return fmt.Errorf("replacement: attribute: %w", err)
	}
	written, err := gpt2.FromTensor(out[0])
	if err != nil {
		return err
	}
	embed, err := gpt2.FromTensor(out[1])
	if err != nil {
		return err
	}
	for _, t := range out {
		_ = t.FinalizeAll()
	}
	for i, r := range rows {
		b.rows[keys[i]] = b.unpack(i, r, written, embed)
	}
	return nil
}

// unpack sorts one target's slots into columns: active features, errors by
// (layer, pos), tokens, positions, bias.
func (b *builder) unpack(i int, r row, written, embed gpt2.Array) []float64 {
	length, layers := b.length(), b.LM.Config.Layers
	out := make([]float64, 0, b.columns)
	for f, a := range b.Active {
		out = append(out, written.At((i*length+a.Pos)*b.slots+b.slot[f]))
	}
	for l := range layers {
		for p := range b.Tokens {
			out = append(out, written.At((i*length+p)*b.slots+b.slots-layers+l))
		}
	}
	for k := range 2 {
		for p := range b.Tokens {
			out = append(out, embed.At((i*length+p)*2+k))
		}
	}
	return append(out, r.bias)
}

// graph packs the rows, without the columns of features that have no row: their
// edges go to the error node of their layer and position, so that rows still add up.
func (b *builder) graph() *attribution.Graph {
	layers, length := b.LM.Config.Layers, len(b.Tokens)
	compat := b.cfg.Compat != ""
	g := &attribution.Graph{Tokens: b.LM.TokenTexts(b.Tokens), IDs: b.Tokens, CLT: b.ID,
		Model: attribution.Artifact{Name: b.LM.Name, SHA256: b.LM.SHA256}}
	column := make([]int, b.columns) // column of a row -> node, -1 for none
	add := func(c int, n attribution.Node) {
		column[c] = len(g.Nodes)
		g.Nodes = append(g.Nodes, n)
	}
	for c := range column {
		column[c] = -1
	}
	for _, f := range b.visited {
		a := b.Active[f]
		add(f, attribution.Node{ID: attribution.ID{Kind: attribution.Feature, Layer: a.Layer, Pos: a.Pos, Index: a.Index},
			Activation: a.Value, Preactivation: a.Preactivation})
	}
	c := len(b.Active)
	for l := range layers {
		for p := range length {
			add(c, attribution.Node{ID: attribution.ID{Kind: attribution.Error, Layer: l, Pos: p}})
			c++
		}
	}
	for p, id := range b.Tokens {
		add(c, attribution.Node{ID: attribution.ID{Kind: attribution.Token, Pos: p, Index: int(id)}, Label: g.Tokens[p]})
		c++
	}
	for p := range length {
		if !compat {
			add(c, attribution.Node{ID: attribution.ID{Kind: attribution.Position, Pos: p}})
		}
		c++
	}
	if !compat {
		add(c, attribution.Node{ID: attribution.ID{Kind: attribution.Bias}})
	}
	order := b.targetOrder()
	for _, i := range order {
		g.Nodes = append(g.Nodes, b.targetNode(i))
	}
	b.weights(g, column, order)
	g.Settings = attribution.Settings{MaxLogits: b.cfg.MaxLogits, LogitProb: b.cfg.LogitProb, MaxFeatures: b.cfg.MaxFeatures,
		Active: len(b.Active), Batch: b.cfg.Batch, DType: dtypeName(b.LM.Double), Read: string(b.CLT.Read), Compat: b.cfg.Compat,
		Layers: layers, Backend: b.LM.Backend.Name()}
	g.Prompt = promptText(g.Tokens)
	return g
}

func dtypeName(double bool) string {
	if double {
		return "f64"
	}
	return "f32"
}

func promptText(tokens []string) string {
	s := ""
	for _, t := range tokens {
		s += t
	}
	return s
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
	if len(t.Tokens) == 1 && t.Demean && t.Tokens[0].Scale == 1 {
		n.Index = int(t.Tokens[0].ID)
	}
	return n
}

// weights writes the rows into the graph's matrix.
func (b *builder) weights(g *attribution.Graph, column, order []int) {
	compat := b.cfg.Compat != ""
	active, layers, length := len(b.Active), b.LM.Config.Layers, len(b.Tokens)
	g.Weights = attribution.NewMatrix(len(g.Nodes), b.LM.Double)
	put := func(t int, r []float64) {
		for c, w := range r {
			n := column[c]
			switch {
			case n < 0 && c < active && !compat: // a feature beyond the cap
				a := b.Active[c]
				e := column[active+a.Layer*length+a.Pos]
				g.Weights.Set(t, e, g.Weight(t, e)+w)
				continue
			case n < 0:
				continue
			case compat && c >= active && c < active+layers*length && (c-active)%length == 0:
				continue // circuit-tracer has no errors at position 0
			}
			g.Weights.Set(t, n, g.Weight(t, n)+w)
		}
	}
	for i, f := range b.visited {
		put(i, b.rows[f])
	}
	for k, i := range order {
		put(len(g.Nodes)-len(order)+k, b.rows[active+i])
	}
}
