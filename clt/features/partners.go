package features

import (
	"cmp"
	"slices"
)

// partners is a Space-Saving sketch of the features that are active on the same
// tokens: as many counters as there is room for; a newcomer takes over the smallest.
type partners struct {
	list []partner
}

// partner is what was added up since the other feature got its counter.
type partner struct {
	id       uint32
	bound    uint32  // count and what its predecessors had: decides who goes
	count    uint32  // tokens on which both were active
	product  float64 // Σ a·a'
	own, its float64 // Σ a, Σ a' over those tokens
}

func (p *partners) add(id uint32, own, its float32, room int) {
	for i := range p.list {
		if p.list[i].id == id {
			p.list[i].see(own, its)
			return
		}
	}
	fresh := partner{id: id}
	if len(p.list) < room {
		fresh.see(own, its)
		p.list = append(p.list, fresh)
		return
	}
	least := 0
	for i := range p.list {
		if p.list[i].bound < p.list[least].bound {
			least = i
		}
	}
	fresh.bound = p.list[least].bound
	fresh.see(own, its)
	p.list[least] = fresh
}

func (p *partner) see(own, its float32) {
	p.bound++
	p.count++
	p.product += float64(own) * float64(its)
	p.own += float64(own)
	p.its += float64(its)
}

// most are the n with the largest counts, lower features first among equals.
func (p *partners) most(n int) []partner {
	list := slices.Clone(p.list)
	slices.SortFunc(list, func(a, b partner) int {
		return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.id, b.id))
	})
	return list[:min(n, len(list))]
}
