package replacement

// meetBytes is how much memory the sources that are carried up may take where they
// meet the targets that are carried down.
const meetBytes = 160 << 20

// forceCut, for tests, is the layer of the cut instead of the cheapest one; -2 for
// none.
var forceCut = -2

// chooseCut is the layer at whose hook_resid_post the sources of that layer and of
// those below, carried up, meet the targets of the layers above, carried down. An
// edge is a product with the Jacobian of frozen attention in the middle, which may be
// taken from either side: near the embedding there are fewer sources than targets
// above them, near the logits fewer targets. Targets up to the cut are read off the
// sources on their way. -1 if carrying targets alone is cheapest.
//
// Work is counted in vectors that are taken through a layer's attention.
func (b *builder) chooseCut(rows []row) int {
	layers, length := b.LM.Config.Layers, len(b.Tokens)
	switch {
	case b.CLT.Skip || b.capped(): // what is carried up would have to pass the skips; most rows are never asked for
		return -1
	case forceCut > -2:
		return min(forceCut, layers-1)
	case b.groups(len(rows)) == 1: // too little to compile for
		return -1
	}
	sources := b.upSources(layers - 1)
	size := 4
	if b.LM.Double {
		size = 8
	}
	best, least, groups := -1, -1.0, b.groups(len(rows))
	for cut := -1; cut < layers; cut++ {
		work, meeting, n, held := 0.0, 0.0, 0, 0
		for _, r := range rows {
			span, hops := float64(r.pos+1), r.layer-cut
			if r.layer == layers {
				hops--
			} else if hops > 0 {
				hops-- // the first takes one row alone
				work += (span + 1) / 2
			}
			if r.layer > cut {
				work += span * float64(hops)
				meeting += span
			}
		}
		for _, s := range sources {
			if s.layer <= cut && cut >= 0 {
				n++
				held += b.length() - groupStart(s.pos*groups/b.length(), groups, b.length())
				if s.layer < cut {
					span := float64(length - s.pos)
					work += span*float64(cut-s.layer-1) + (span+1)/2
				}
			}
		}
		work += meeting * float64(n) / float64(2*b.CLT.DModel)
		if cut >= 0 && held*b.CLT.DModel*size > meetBytes {
			break
		}
		if least < 0 || work < least {
			best, least = cut, work
		}
	}
	return best
}
