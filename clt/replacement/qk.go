package replacement

import (
	"context"
	"fmt"
	"math"
	"sort"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// QK attributes one attention score, before the softmax, to pairs of a query-side
// and a key-side source. The score is bilinear in what query and key position read,
//
//	score = q·k/sqrt(d_head)   q = W_Qᵀ LN1(x_query) + b_Q   k = W_Kᵀ LN1(x_key) + b_K
//
// and with the divisors and the patterns of earlier layers frozen each of q and k
// is a sum over sources: features, errors, tokens, positions, and one bias for all
// constants. A source at another position comes in through attention of earlier
// layers. The pairs add up to the score (method: 12.2, after Kamath et al. 2025).
// A pair says what the score is made of on this prompt, not what the softmax would
// do without it.
type QK struct {
	Layer, Head, Query, Key int
	Score                   float64
	Sources                 []attribution.ID // the bias is the last
	Q, K                    [][]float64      // by source: its part of q/sqrt(d_head) and of k, [d_head]
}

// Pair is one pair of sources.
type Pair struct {
	Query, Key attribution.ID
	Weight     float64
}

// Weight is the part of the score that comes from one pair, by index in Sources.
func (a *QK) Weight(query, key int) float64 {
	sum := 0.0
	for c, v := range a.Q[query] {
		sum += v * a.K[key][c]
	}
	return sum
}

// Top lists the n pairs of largest absolute weight, ties in the order of Sources.
func (a *QK) Top(n int) []Pair {
	type entry struct {
		query, key int
		weight     float64
	}
	var list []entry
	least := 0.0
	cut := func() {
		sort.SliceStable(list, func(i, j int) bool { return math.Abs(list[i].weight) > math.Abs(list[j].weight) })
		if len(list) > n {
			list = list[:n]
			least = math.Abs(list[n-1].weight)
		}
	}
	if n <= 0 {
		return nil
	}
	for i := range a.Sources {
		for j := range a.Sources {
			if w := a.Weight(i, j); math.Abs(w) > least {
				list = append(list, entry{i, j, w})
			}
		}
		if len(list) > 4*n+1000 {
			cut()
		}
	}
	cut()
	pairs := make([]Pair, len(list))
	for i, e := range list {
		pairs[i] = Pair{a.Sources[e.query], a.Sources[e.key], e.weight}
	}
	return pairs
}

// ByKind sums the pairs by kind of query-side and key-side source.
func (a *QK) ByKind() map[[2]attribution.Kind]float64 {
	q, k := a.kinds(a.Q), a.kinds(a.K)
	sums := map[[2]attribution.Kind]float64{}
	for x, qs := range q {
		for y, ks := range k {
			for c := range qs {
				sums[[2]attribution.Kind{attribution.Kind(x), attribution.Kind(y)}] += qs[c] * ks[c]
			}
		}
	}
	return sums
}

// kinds adds up one side by kind of source.
func (a *QK) kinds(parts [][]float64) (sums [attribution.Logit][]float64) {
	for kind := range sums {
		sums[kind] = make([]float64, len(parts[0]))
	}
	for i, s := range a.Sources {
		for c, v := range parts[i] {
			sums[s.Kind][c] += v
		}
	}
	return sums
}

// Sides is, by source, what each gives with everything on the other side: on the
// query's side first, then on the key's. Either adds up to the score.
func (a *QK) Sides() (sides [2][]float64) {
	for side, parts := range [2][2][][]float64{{a.Q, a.K}, {a.K, a.Q}} {
		all := make([]float64, len(parts[1][0]))
		for _, v := range parts[1] {
			for c, x := range v {
				all[c] += x
			}
		}
		for _, v := range parts[0] {
			sides[side] = append(sides[side], inner(v, all))
		}
	}
	return sides
}

// Pattern is the attention of one query of one head on the clean run, by key.
func (l *Local) Pattern(layer, head, query int) ([]float64, error) {
	if err := l.checkHead(layer, head, query, 0); err != nil {
		return nil, err
	}
	n := len(l.Tokens)
	row := make([]float64, n)
	for k := range row {
		row[k] = l.pattern[layer].At((head*n+query)*n + k)
	}
	return row, nil
}

func (l *Local) checkHead(layer, head, query, key int) error {
	c := l.LM.Config
	switch {
	case layer < 0 || layer >= c.Layers || head < 0 || head >= c.Heads:
		return refused("score of layer %d, head %d: there is no such head; layers are 0..%d and heads 0..%d", layer, head, c.Layers-1, c.Heads-1)
	case key < 0 || query < 0 || query >= len(l.Tokens) || key > query:
		return refused("score of query %d and key %d; want 0 <= key <= query <= %d", query, key, len(l.Tokens)-1)
	}
	return nil
}

// AttributeScore attributes the score of one query and key of one head. It fails
// if the pairs do not add up to the score of the clean run within RowTolerance.
func (l *Local) AttributeScore(ctx context.Context, layer, head, query, key int) (*QK, error) {
	if err := l.checkHead(layer, head, query, key); err != nil {
		return nil, err
	}
	cfg := DefaultAttributeConfig()
	cfg.Targets = []Target{l.tokenTarget(0, 0, query)} // not swept
	b, err := l.newBuilder(cfg)
	if err != nil {
		return nil, err
	}
	a := &QK{Layer: layer, Head: head, Query: query, Key: key, Sources: append(b.sourceIDs(), attribution.ID{Kind: attribution.Bias})}
	if a.Q, err = b.side(ctx, layer, head, query, 0, 1/math.Sqrt(float64(l.LM.Config.DHead()))); err != nil {
		return nil, err
	}
	if a.K, err = b.side(ctx, layer, head, key, 1, 1); err != nil {
		return nil, err
	}
	clean, err := l.LM.RunWithCache(l.Tokens, gpt2.AttnScores.At(layer))
	if err != nil {
		return nil, err
	}
	n := len(l.Tokens)
	a.Score = clean.Hooks[gpt2.AttnScores.At(layer)].At((head*n+query)*n + key)
	sum := 0.0
	for _, w := range a.ByKind() {
		sum += w
	}
	if tol := 10 * RowTolerance(l.LM.Double); !(math.Abs(sum-a.Score) <= tol*max(1, math.Abs(a.Score))) {
		return nil, fmt.Errorf("replacement: score of layer %d, head %d at (%d, %d) is %.8g, its pairs add up to %.8g; report this with the prompt", layer, head, query, key, a.Score, sum)
	}
	return a, nil
}

// side is every source's part of one head's query (which 0) or key (which 1) at one
// position, times scale; the bias is the last.
func (b *builder) side(ctx context.Context, layer, head, pos, which int, scale float64) ([][]float64, error) {
	d, width := b.CLT.DModel, b.LM.Config.DHead()
	w, err := b.hostHeads(layer)
	if err != nil {
		return nil, err
	}
	length := b.streamLength(pos)
	stream := gpt2.NewArray([]int{width, length, d}, b.LM.Double)
	gain := w.ln1.Float64s()
	for c := range width {
		in := make([]float64, d)
		for i := range in {
			in[i] = scale * w.attn.At(i*3*d+which*d+head*width+c)
		}
		hostNormTranspose(in, gain, b.scale1[layer].At(pos))
		for i, v := range in {
			set(stream, (c*length+pos)*d+i, v)
		}
	}
	edges, embed, err := b.carry(ctx, stream, layer-1)
	if err != nil {
		return nil, err
	}
	parts := make([][]float64, b.columns)
	for i := range parts {
		parts[i] = make([]float64, width)
	}
	for c := range width {
		for i, v := range b.sourceRow(c, length, edges, embed) {
			parts[i][c] = v
		}
	}
	site := []gpt2.Site{gpt2.AttnQ, gpt2.AttnK}[which].At(layer)
	constant, err := b.LM.RunProgram(b.constantProgram(), b.Tokens, site)
	if err != nil {
		return nil, err
	}
	for c := range width {
		parts[b.columns-1][c] = scale * constant.Hooks[site].At(pos*d+head*width+c)
	}
	return parts, nil
}

// constantProgram is the frozen model with nothing but its constants, as biasPass
// is, for any hook.
func (l *Local) constantProgram() gpt2.Program {
	in := l.frozenInputs()
	for _, bias := range l.CLT.BDec {
		in = append(in, gpt2.Array{Shape: []int{l.CLT.DModel}, F32: bias}.Tensor(l.LM.Double))
	}
	return gpt2.Program{Key: "constants|" + l.key, Inputs: append(in, l.skipTensors()...), Hook: constantsHook(l.CLT.Config)}
}
