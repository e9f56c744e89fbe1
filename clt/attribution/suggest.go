package attribution

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// suggestAlike is how alike (cosine, 0-1) the inputs and outputs of two sets of
// features must be on average to become one suggestion.
const suggestAlike = 0.5

// suggestLimit bounds the features of one position that are compared, the most
// influential first.
const suggestLimit = 300

// SuggestGroups proposes supernodes: features at one position that get their
// input from the same nodes and act on the same nodes, with the same signs.
// Every group is marked as a guess: alike edges are a hint of a shared role and
// no proof. Prune first; on a whole graph the edges are mostly noise.
func (g *Graph) SuggestGroups() ([]Group, error) {
	sp, err := g.sparse()
	if err != nil {
		return nil, err
	}
	infl := sp.influence(g.targetWeights())
	at := map[int][]int{}
	last := 0
	for i := range g.Nodes {
		if g.Nodes[i].Kind == Feature {
			at[g.Nodes[i].Pos] = append(at[g.Nodes[i].Pos], i)
			last = max(last, g.Nodes[i].Pos)
		}
	}
	var groups []Group
	for pos := range last + 1 {
		features := at[pos]
		if len(features) < 2 {
			continue
		}
		if len(features) > suggestLimit {
			slices.SortStableFunc(features, func(a, b int) int { return cmp.Compare(infl[b], infl[a]) })
			features = features[:suggestLimit]
			slices.Sort(features)
		}
		for _, members := range cluster(g.alike(sp, features)) {
			if len(members) < 2 {
				continue
			}
			nodes := make([]int, len(members))
			for i, m := range members {
				nodes[i] = features[m]
			}
			groups = append(groups, g.guess(nodes, infl))
		}
	}
	return groups, nil
}

// alike compares the edges of features pairwise: the mean of the cosine of
// their incoming and of their outgoing shares.
func (g *Graph) alike(sp *sparse, features []int) [][]float64 {
	n := len(g.Nodes)
	in, out := make([][]float64, len(features)), make([][]float64, len(features))
	for i, f := range features {
		in[i], out[i] = make([]float64, n), make([]float64, n)
		for _, s := range sp.col[f] {
			in[i][s] = g.Weight(f, int(s))
		}
		for _, t := range sp.order {
			out[i][t] = g.Weight(int(t), f) / max(sp.mass[t], minRowMass)
		}
		unit(in[i])
		unit(out[i])
	}
	sim := make([][]float64, len(features))
	for i := range sim {
		sim[i] = make([]float64, len(features))
		for j := range i {
			sim[i][j] = (dot(in[i], in[j]) + dot(out[i], out[j])) / 2
			sim[j][i] = sim[i][j]
		}
	}
	return sim
}

func unit(v []float64) {
	if norm := math.Sqrt(dot(v, v)); norm > 0 {
		for i := range v {
			v[i] /= norm
		}
	}
}

func dot(a, b []float64) float64 {
	sum := 0.0
	for i, x := range a {
		sum += x * b[i]
	}
	return sum
}

// cluster joins the two most alike sets (mean over pairs) until no two are
// alike enough; the first pair wins among equals.
func cluster(sim [][]float64) [][]int {
	sets := make([][]int, len(sim))
	for i := range sets {
		sets[i] = []int{i}
	}
	for {
		besti, bestj, best := -1, -1, suggestAlike
		for i := range sets {
			for j := range i {
				if sets[i] != nil && sets[j] != nil && sim[i][j] > best {
					besti, bestj, best = i, j, sim[i][j]
				}
			}
		}
		if besti < 0 {
			break
		}
		a, b := float64(len(sets[bestj])), float64(len(sets[besti]))
		for k := range sets {
			mean := (a*sim[bestj][k] + b*sim[besti][k]) / (a + b)
			sim[bestj][k], sim[k][bestj] = mean, mean
		}
		sets[bestj] = append(sets[bestj], sets[besti]...)
		sets[besti] = nil
	}
	sets = slices.DeleteFunc(sets, func(s []int) bool { return s == nil })
	for _, s := range sets {
		slices.Sort(s)
	}
	return sets
}

// guess names a group after the label of its most influential member, else
// after the target that it acts on most, else after its place.
func (g *Graph) guess(nodes []int, infl []float64) Group {
	group := Group{Guess: true}
	first, layer0, layer1 := nodes[0], g.Nodes[nodes[0]].Layer, 0
	for _, i := range nodes {
		group.Nodes = append(group.Nodes, g.Nodes[i].ID)
		layer0, layer1 = min(layer0, g.Nodes[i].Layer), max(layer1, g.Nodes[i].Layer)
		labelled := g.Nodes[i].Label != ""
		if had := g.Nodes[first].Label != ""; labelled && !had || labelled == had && infl[i] > infl[first] {
			first = i
		}
	}
	target, most := -1, 0.0
	for t := range g.Nodes {
		if g.Nodes[t].Kind != Logit {
			continue
		}
		sum := 0.0
		for _, i := range nodes {
			sum += g.Weight(t, i)
		}
		if sum /= max(g.inputMass(t), minRowMass); math.Abs(sum) > math.Abs(most) {
			target, most = t, sum
		}
	}
	switch {
	case g.Nodes[first].Label != "":
		group.Label = g.Nodes[first].Label
	case target >= 0 && most >= .05:
		group.Label = "say " + g.Name(target)
	case target >= 0 && most <= -.05:
		group.Label = "not " + g.Name(target)
	default:
		group.Label = fmt.Sprintf("%d features at %s, layers %d-%d", len(nodes), g.place(g.Nodes[first].Pos), layer0, layer1)
	}
	return group
}
