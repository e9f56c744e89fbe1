package lab

import (
	"fmt"

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
// strongest first; see attribution.Graph.Readers.
func (g *Graph) Reading(token string, n int) []attribution.ID {
	pos := g.position(token)
	source := g.Find(attribution.ID{Kind: attribution.Token, Pos: pos, Index: int(g.IDs[pos])})
	nodes, err := g.Readers(source, n)
	if err != nil {
		fail("graph", err)
	}
	var ids []attribution.ID
	for _, i := range nodes {
		ids = append(ids, g.Nodes[i].ID)
	}
	return ids
}

// Kind lists the graph's nodes of a kind, in storage order.
func (g *Graph) Kind(kind attribution.Kind) []attribution.ID {
	var ids []attribution.ID
	for _, n := range g.Nodes {
		if n.Kind == kind {
			ids = append(ids, n.ID)
		}
	}
	return ids
}
