package replacement

import (
	"os"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// responses runs the frozen model forward with the output of one source doubled
// (none if negative) and returns the value of every target node. It shares no
// code with the sweep.
func (l *Local) responses(g *attribution.Graph, source int) ([]float64, error) {
	d := l.CLT.DModel
	c, err := l.LM.RunWithCache(l.Tokens, gpt2.HookEmbed, gpt2.HookPosEmbed)
	if err != nil {
		return nil, err
	}
	embed, pos := c.Hooks[gpt2.HookEmbed], c.Hooks[gpt2.HookPosEmbed]
	x0 := gpt2.NewArray([]int{1, len(l.Tokens), d}, l.LM.Double)
	for i := range embed.Len() {
		x0.F64[i] = embed.F64[i] + pos.F64[i]
	}
	writes := make([]gpt2.Array, len(l.mlpOut))
	for i, a := range l.mlpOut {
		writes[i] = gpt2.NewArray([]int{1, len(l.Tokens), d}, true)
		copy(writes[i].F64, a.F64)
	}
	if l.CLT.Skip { // the frozen pass adds the skip by itself
		writes = writesWithoutSkip(l)
	}
	if source >= 0 {
		n := g.Nodes[source]
		add := func(dst, src []float64) {
			for i := range src {
				dst[i] += src[i]
			}
		}
		at := n.Pos * d
		switch n.Kind {
		case attribution.Token:
			add(x0.F64[at:at+d], embed.F64[at:at+d])
		case attribution.Position:
			add(x0.F64[at:at+d], pos.F64[at:at+d])
		case attribution.Error:
			add(writes[n.Layer].F64[at:at+d], l.errors[n.Layer].F64[at:at+d])
		case attribution.Feature:
			targets := l.CLT.Targets(n.Layer)
			for k := range targets {
				addScaled(writes[n.Layer+k], at, l.CLT.WDec[n.Layer][(n.Index*targets+k)*d:][:d], n.Activation)
			}
		}
	}
	logits, reads, err := l.affine(x0, writes, nil)
	if err != nil {
		return nil, err
	}
	return l.values(g, logits, reads), nil
}

// writesWithoutSkip are the clean MLP outputs less what the skip of each layer
// makes of the clean reads.
func writesWithoutSkip(l *Local) []gpt2.Array {
	d := l.CLT.DModel
	list := make([]gpt2.Array, len(l.mlpOut))
	c, err := l.LM.RunWithCache(l.Tokens, "*"+gpt2.HookName(l.CLT.Read))
	if err != nil {
		panic(err)
	}
	for i, a := range l.mlpOut {
		list[i] = gpt2.NewArray([]int{1, len(l.Tokens), d}, true)
		copy(list[i].F64, a.F64)
		read := c.Hooks[l.CLT.Read.At(i)]
		for p := range l.Tokens {
			for j := range d {
				for k := range d {
					list[i].F64[p*d+k] -= read.F64[p*d+j] * float64(l.CLT.WSkip[i][j*d+k])
				}
			}
		}
	}
	return list
}

// values are the pre-activations and centred logits of the graph's targets.
func (l *Local) values(g *attribution.Graph, logits gpt2.Array, reads []gpt2.Array) []float64 {
	d, v := l.CLT.DModel, l.LM.Config.DVocab
	out := make([]float64, len(g.Nodes))
	for i, n := range g.Nodes {
		switch n.Kind {
		case attribution.Feature:
			out[i] = float64(l.CLT.BEnc[n.Layer][n.Index])
			for j := range d {
				out[i] += float64(l.CLT.WEnc[n.Layer][n.Index*d+j]) * reads[n.Layer].F64[n.Pos*d+j]
			}
		case attribution.Logit:
			row := logits.F64[n.Pos*v : (n.Pos+1)*v]
			mean := 0.0
			for _, x := range row {
				mean += x / float64(v)
			}
			out[i] = row[n.Index] - mean
		}
	}
	return out
}
