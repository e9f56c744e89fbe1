package features

import (
	"cmp"
	"slices"
)

// partners is a Space-Saving sketch of the features that are active on the same
// tokens: as many counters as there is room for; a newcomer takes over the smallest.
type partners struct {
	ids    []uint32
	bounds []uint32 // count and what the predecessors had: decides who goes
	sums   []partner
}

// partner is what was added up since the other feature got its counter.
type partner struct {
	id       uint32
	count    uint32  // tokens on which both were active
	product  float64 // Σ a·a'
	own, its float64 // Σ a, Σ a' over those tokens
}

func (p *partners) add(id uint32, own, its float32, room int) {
	for i, other := range p.ids {
		if other == id {
			p.bounds[i]++
			p.sums[i].see(own, its)
			return
		}
	}
	fresh := partner{id: id}
	fresh.see(own, its)
	if len(p.ids) < room {
		p.ids, p.bounds, p.sums = append(p.ids, id), append(p.bounds, 1), append(p.sums, fresh)
		return
	}
	least := 0
	for i, b := range p.bounds {
		if b < p.bounds[least] {
			least = i
		}
	}
	p.ids[least] = id
	p.bounds[least]++
	p.sums[least] = fresh
}

func (p *partner) see(own, its float32) {
	p.count++
	p.product += float64(own) * float64(its)
	p.own += float64(own)
	p.its += float64(its)
}

// most are the n with the largest counts, lower features first among equals.
func (p *partners) most(n int) []partner {
	list := slices.Clone(p.sums)
	slices.SortFunc(list, func(a, b partner) int {
		return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.id, b.id))
	})
	return list[:min(n, len(list))]
}
