package features

import (
	"math"
	"slices"
)

// example is a place where a feature is active, with the text around it.
type example struct {
	value    float32
	window   uint32
	pos      uint16
	peak     uint16 // index of the token that counts
	repeats  uint32
	key      uint64 // of the text up to the peak
	priority uint64
	ids      []int32
	values   []float32
}

// topExamples are examples by falling activation; what stands earlier in the corpus
// comes first among equals. A text that is there already counts as a repetition.
type topExamples []example

// floor is what an activation must reach to have a place.
func (t topExamples) floor(most int) float32 {
	if len(t) < most {
		return 0
	}
	return t[most-1].value
}

// add puts an example in its place. fill is called for its text if it gets one.
func (t *topExamples) add(e example, most int, fill func(*example)) {
	list := *t
	for i := range list {
		if list[i].key != e.key {
			continue
		}
		list[i].repeats++
		if e.value <= list[i].value {
			return
		}
		e.repeats = list[i].repeats
		e.ids, e.values = list[i].ids, list[i].values // memory to use again
		list = slices.Delete(list, i, i+1)
		t.insert(list, e, fill)
		return
	}
	if len(list) == most {
		last := list[most-1]
		if e.value <= last.value {
			return
		}
		e.ids, e.values = last.ids, last.values
		list = list[:most-1]
	}
	t.insert(list, e, fill)
}

func (t *topExamples) insert(list topExamples, e example, fill func(*example)) {
	fill(&e)
	at := len(list)
	for at > 0 && list[at-1].value < e.value {
		at--
	}
	*t = slices.Insert(list, at, e)
}

// sample is examples by rising priority, a hash of their place.
type sample []example

// limit is below what a priority must be to have a place.
func (s sample) limit(most int) uint64 {
	switch {
	case most == 0:
		return 0
	case len(s) < most:
		return math.MaxUint64
	}
	return s[most-1].priority
}

// add puts an example in its place unless its text is there already.
func (s *sample) add(e example, most int, fill func(*example)) {
	list := *s
	if e.priority >= list.limit(most) || slices.ContainsFunc(list, func(o example) bool { return o.key == e.key }) {
		return
	}
	if len(list) == most {
		e.ids, e.values = list[most-1].ids, list[most-1].values
		list = list[:most-1]
	}
	if fill != nil {
		fill(&e)
	}
	at := len(list)
	for at > 0 && list[at-1].priority > e.priority {
		at--
	}
	*s = slices.Insert(list, at, e)
}

// mix is a hash of three numbers (splitmix64 between them).
func mix(values ...uint64) uint64 {
	h := uint64(0x9E3779B97F4A7C15)
	for _, v := range values {
		h ^= v
		h += 0x9E3779B97F4A7C15
		h = (h ^ h>>30) * 0xBF58476D1CE4E5B9
		h = (h ^ h>>27) * 0x94D049BB133111EB
		h ^= h >> 31
	}
	return h
}

// textKey is a hash of token ids.
func textKey(ids []int32) uint64 {
	h := uint64(14695981039346656037)
	for _, id := range ids {
		h = (h ^ uint64(uint32(id))) * 1099511628211
	}
	return mix(h)
}
