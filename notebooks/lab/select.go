package lab

import (
	"fmt"
	"sort"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
)

// position is the last place where a token occurs in the prompt.
func (g *Graph) position(token string) int {
	pos := -1
	for i, t := range g.Tokens {
		if t == token {
			pos = i
		}
	}
	if pos < 0 {
		fail("graph", fmt.Errorf("lab: the prompt has no token %q; its tokens are %q", token, g.Tokens))
	}
	return pos
}

// At lists the graph's features at a token, which must occur in the prompt: the
// last place where it does.
func (g *Graph) At(token string) []attribution.ID {
	pos := g.position(token)
	var ids []attribution.ID
	for _, n := range g.Nodes {
		if n.Kind == attribution.Feature && n.Pos == pos {
			ids = append(ids, n.ID)
		}
	}
	return ids
}

// Reading lists the n features through which a token acts on the targets, the
// strongest first: those with the largest positive part of their input from the
// token itself, each weighted by its influence.
func (g *Graph) Reading(token string, n int) []attribution.ID {
	pos := g.position(token)
	influence, err := g.Influence()
	if err != nil {
		fail("graph", err)
	}
	type scored struct {
		id    attribution.ID
		score float64
	}
	var list []scored
	for t, node := range g.Nodes {
		if node.Kind != attribution.Feature {
			continue
		}
		for _, e := range g.Incoming(t) {
			s := g.Nodes[e.Source]
			if s.Kind == attribution.Token && s.Pos == pos && e.Weight > 0 {
				list = append(list, scored{node.ID, e.Share * influence[t]})
			}
		}
	}
	sort.SliceStable(list, func(i, j int) bool { return list[i].score > list[j].score })
	var ids []attribution.ID
	for _, s := range list[:min(n, len(list))] {
		ids = append(ids, s.id)
	}
	return ids
}
