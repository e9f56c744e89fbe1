package clt

import (
	"github.com/etredal/cross-layer-transcoder/internal/vec"
)

// selectActive finds the active features of all tokens and orders them by feature.
func (s *sparse) selectActive(t *sums) {
	if s.cfg.Activation == ActBatchTopK {
		t.threshold = s.batchThreshold(s.tokens * s.cfg.Layers * s.cfg.K)
		s.follow(t.threshold)
	}
	stretches := len(s.layers[0].lists)
	vec.Parallel(stretches, 1, func(lo, hi int) {
		for p := lo; p < hi; p++ {
			for l := range s.layers {
				s.layers[l].lists[p].clear()
			}
			for i := s.from(p); i < s.from(p+1); i++ {
				s.selectToken(p, i, t.threshold)
			}
		}
	})
	vec.Each(len(s.layers), func(l int) { s.layers[l].sortEntries(s.cfg.Features) })
	for l, y := range s.layers {
		t.active[l] += float64(len(y.token)) / float64(s.tokens) / s.parts()
		for f := range s.cfg.Features {
			if y.start[f*stretches] < y.start[(f+1)*stretches] {
				y.idle.v[f] = 0
			}
		}
	}
}

// parts is the number of batches that make a step.
func (s *sparse) parts() float64 { return float64(max(1, s.tc.Accumulate)) }

// follow updates the running threshold.
func (s *sparse) follow(now float32) {
	decay := s.tc.thresholdDecay()
	if v := s.vars[thresholdName].v; v[0] > 0 {
		v[0] = float32(float64(v[0])*decay + float64(now)*(1-decay))
	} else {
		v[0] = now
	}
}

func (e *entryList) clear() {
	e.token, e.feature, e.value = e.token[:0], e.feature[:0], e.value[:0]
	clear(e.count)
}

func (e *entryList) add(token, feature int, value float32) {
	e.token, e.feature, e.value = append(e.token, int32(token)), append(e.feature, int32(feature)), append(e.value, value)
	e.count[feature]++
}

// selectToken finds the active features of a token in all layers.
func (s *sparse) selectToken(p, i int, threshold float32) {
	n := s.cfg.Features
	if s.cfg.Activation == ActTokenTopK {
		list := &s.layers[0].lists[p]
		row := list.row[:0]
		for _, y := range s.layers {
			row = positives(row, y.h[i*n:(i+1)*n], y.bEnc.v)
		}
		threshold, list.row = rowCut(row, s.cfg.K*s.cfg.Layers), row
	}
	for _, y := range s.layers {
		h, bias, list := y.h[i*n:(i+1)*n], y.bEnc.v[:n], &y.lists[p]
		switch s.cfg.Activation {
		case ActJumpReLU:
			for f, theta := range y.theta[:n] {
				if a := h[f] + bias[f]; a > theta {
					list.add(i, f, a)
				}
			}
			continue
		case ActTopK:
			list.row = positives(list.row[:0], h, bias)
			threshold = rowCut(list.row, s.cfg.K)
		}
		for f, v := range h {
			if a := v + bias[f]; a > threshold {
				list.add(i, f, a)
			}
		}
	}
}

func positives(to, h, bias []float32) []float32 {
	for f, v := range h {
		if a := v + bias[f]; a > 0 {
			to = append(to, a)
		}
	}
	return to
}

// rowCut is a value that the k largest exceed (fewer with ties); 0 if there are
// not more than k.
func rowCut(row []float32, k int) float32 {
	if len(row) <= k {
		return 0
	}
	return vec.Largest(row, k+1)
}

// batchThreshold is a value t ≥ 0 that want of all pre-activations exceed. What it
// has to sort is first cut down with the running threshold.
func (s *sparse) batchThreshold(want int) float32 {
	for _, at := range []float32{0.8 * s.vars[thresholdName].v[0], 0} {
		if above := s.above(at); len(above) > want {
			return vec.Largest(above, want+1)
		}
	}
	return 0
}

// above lists all pre-activations above a value.
func (s *sparse) above(at float32) []float32 {
	n, stretches := s.cfg.Features, len(s.layers[0].lists)
	vec.Parallel(stretches, 1, func(lo, hi int) {
		for p := lo; p < hi; p++ {
			row := s.layers[0].lists[p].row[:0]
			for _, y := range s.layers {
				bias := y.bEnc.v[:n]
				for i := s.from(p); i < s.from(p+1); i++ {
					for f, v := range y.h[i*n : (i+1)*n] {
						if a := v + bias[f]; a > at {
							row = append(row, a)
						}
					}
				}
			}
			s.layers[0].lists[p].row = row
		}
	})
	var all []float32
	for _, list := range s.layers[0].lists {
		all = append(all, list.row...)
	}
	return all
}

// sortEntries orders the entries of all stretches by feature, then token.
func (y *sparseLayer) sortEntries(features int) {
	stretches := len(y.lists)
	total := int32(0)
	for f := range features {
		for p := range y.lists {
			y.start[f*stretches+p] = total
			total += y.lists[p].count[f]
		}
	}
	y.start[features*stretches] = total
	y.token, y.value = room(y.token, int(total)), room(y.value, int(total))
	for p := range y.lists {
		list := &y.lists[p]
		clear(list.count)
		for e, f := range list.feature {
			at := y.start[int(f)*stretches+p] + list.count[f]
			list.count[f]++
			y.token[at], y.value[at] = list.token[e], list.value[e]
		}
	}
}

func room[T any](v []T, n int) []T {
	if cap(v) < n {
		return make([]T, n, n+n/4)
	}
	return v[:n]
}
