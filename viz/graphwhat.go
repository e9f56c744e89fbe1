package viz

import (
	"html/template"
	"math"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
)

const (
	mostKnobs   = 60        // features that can be changed in the frame
	mostCards   = 60        // feature cards in the frame
	cardBytes   = 256 << 10 // of all cards together
	leastEffect = 5e-4      // of the largest: smaller ones are written as 0
)

// whatIf are total effects: what the values of the nodes and then of the goals
// lose when one node falls silent, over all paths of the whole graph. With the
// active features and the attention fixed the local replacement model is linear,
// so the script adds them up (method: 8.7).
type whatIf struct {
	Nodes   []int       `json:"nodes"` // sources come before what they act on
	Goals   []int       `json:"goals"`
	Effects [][]decimal `json:"effects"` // [node][node, then goal]
}

// whatIf picks the most influential single features. It is empty where the graph
// has no activations: then there are no derivatives.
func (v *view) whatIf() whatIf {
	out := whatIf{Nodes: []int{}, Goals: []int{}, Effects: [][]decimal{}}
	index := make(map[attribution.ID]int, len(v.full.Nodes))
	for i, n := range v.full.Nodes {
		index[n.ID] = i
	}
	for _, i := range v.ranking() {
		if d := &v.nodes[i]; d.Kind == attribution.Feature && d.Activation != 0 && len(out.Nodes) < mostKnobs {
			out.Nodes = append(out.Nodes, i)
		}
	}
	sortBy(out.Nodes, func(i int) float64 { return -float64(v.nodes[i].row) })
	for i := range v.nodes {
		if v.nodes[i].Kind == attribution.Logit {
			out.Goals = append(out.Goals, i)
		}
	}
	sortBy(out.Goals, func(i int) float64 { return v.nodes[i].Prob })
	out.Goals = out.Goals[:min(10, len(out.Goals))]
	all := append(append([]int{}, out.Nodes...), out.Goals...)
	for range out.Nodes {
		out.Effects = append(out.Effects, make([]decimal, len(all)))
	}
	places := make([]int, len(all))
	for j, t := range all {
		places[j] = index[v.nodes[t].ID]
	}
	table, err := v.full.TotalEffectsOf(places...)
	if err != nil {
		return whatIf{Nodes: []int{}, Goals: []int{}, Effects: [][]decimal{}}
	}
	for j, t := range all {
		effects, most := table[j], 0.0
		for _, s := range out.Nodes {
			most = math.Max(most, math.Abs(effects[index[v.nodes[s].ID]]))
		}
		for k, s := range out.Nodes {
			if x := effects[index[v.nodes[s].ID]]; s != t && math.Abs(x) > leastEffect*most {
				out.Effects[k][j] = decimal(x)
			}
		}
	}
	return out
}

// cards are the feature cards of the most influential features, and by node the
// number of its card.
func (v *view) cards() (of []int, cards []template.HTML) {
	of = make([]int, len(v.nodes))
	for i := range of {
		of[i] = -1
	}
	if v.o.Features == nil {
		return of, nil
	}
	have := map[feature]int{}
	room := cardBytes
	for _, i := range v.ranking() {
		d := &v.nodes[i]
		if d.Kind != attribution.Feature {
			continue
		}
		f := feature{d.Layer, d.Index}
		k, ok := have[f]
		if !ok {
			k = -1
			if len(cards) < mostCards && room > 0 {
				if known, ok := v.o.Features(f.layer, f.index); ok {
					if html := FeatureBrief(known); len(html) <= room {
						room -= len(html)
						k = len(cards)
						cards = append(cards, template.HTML(html))
					}
				}
			}
			have[f] = k
		}
		of[i] = k
	}
	return of, cards
}
