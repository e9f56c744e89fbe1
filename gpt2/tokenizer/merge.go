package tokenizer

// merge joins the tokens left and right into the token id. Its rank is its place in the merge list.
type merge struct{ left, right, id int32 }

// noRank is the rank of a pair that the merge list does not have.
const noRank = 1<<31 - 1

// pairTable finds the merge of a pair: open addressing, at most half full.
type pairTable struct {
	slots []pairSlot
	count int
	shift uint
}

type pairSlot struct {
	key  uint64 // pairKey + 1; 0 is an empty slot
	rank int32
	id   int32
}

func pairKey(left, right int32) uint64 { return uint64(uint32(left))<<32 | uint64(uint32(right)) }

func newPairTable(merges int) *pairTable {
	bits := uint(4)
	for 1<<bits < 2*merges {
		bits++
	}
	return &pairTable{slots: make([]pairSlot, 1<<bits), shift: 64 - bits}
}

func (t *pairTable) find(left, right int32) (rank, id int32) {
	key := pairKey(left, right) + 1
	for i := key * 0x9E3779B97F4A7C15 >> t.shift; ; i++ {
		slot := &t.slots[i&uint64(len(t.slots)-1)]
		if slot.key == key {
			return slot.rank, slot.id
		}
		if slot.key == 0 {
			return noRank, -1
		}
	}
}

// add enters a merge. It returns false when the pair is there already.
func (t *pairTable) add(m merge, rank int32) bool {
	if 2*(t.count+1) > len(t.slots) {
		old := t.slots
		*t = *newPairTable(2 * (t.count + 1))
		for _, s := range old {
			if s.key != 0 {
				t.insert(s)
			}
		}
	}
	return t.insert(pairSlot{pairKey(m.left, m.right) + 1, rank, m.id})
}

func (t *pairTable) insert(s pairSlot) bool {
	for i := s.key * 0x9E3779B97F4A7C15 >> t.shift; ; i++ {
		slot := &t.slots[i&uint64(len(t.slots)-1)]
		if slot.key == s.key {
			return false
		}
		if slot.key == 0 {
			*slot = s
			t.count++
			return true
		}
	}
}

// merger applies the merge list to one piece. Its buffers are reused from piece to piece.
//
// The piece is a doubly linked list of tokens over its byte positions; a heap holds the mergeable neighbours by rank,
// then position, each as rank<<32 | position of the left one. An entry of the heap whose pair has changed meanwhile
// is recognised by its rank and dropped. So n bytes take n log n steps, however repetitive.
type merger struct {
	parts []part
	heap  []uint64
}

type part struct {
	id         int32
	rank       int32 // of the pair with the next part
	merged     int32 // id of that pair joined
	prev, next int32
}

// apply appends the tokens of piece to dst.
func (m *merger) apply(t *Tokenizer, dst []int32, piece string) []int32 {
	if len(piece) == 1 {
		return append(dst, t.byteID[piece[0]])
	}
	m.parts, m.heap = m.parts[:0], m.heap[:0]
	for i := range len(piece) {
		m.parts = append(m.parts, part{id: t.byteID[piece[i]], rank: noRank, prev: int32(i - 1), next: int32(i + 1)})
	}
	m.parts[len(piece)-1].next = -1
	for i := range m.parts {
		m.setPair(t, int32(i))
	}
	for len(m.heap) > 0 {
		top := m.pop()
		at, rank := int32(uint32(top)), int32(top>>32)
		p := &m.parts[at]
		if p.rank != rank {
			continue
		}
		gone := &m.parts[p.next]
		p.id, p.next = p.merged, gone.next
		gone.rank = noRank
		if p.next >= 0 {
			m.parts[p.next].prev = at
		}
		m.setPair(t, at)
		if p.prev >= 0 {
			m.setPair(t, p.prev)
		}
	}
	for i := int32(0); i >= 0; i = m.parts[i].next {
		dst = append(dst, m.parts[i].id)
	}
	if cap(m.parts) > 1<<16 { // an unusually long piece: give the memory back
		m.parts, m.heap = nil, nil
	}
	return dst
}

// setPair looks up the pair that begins at a part and enters it in the heap.
func (m *merger) setPair(t *Tokenizer, at int32) {
	p := &m.parts[at]
	if p.next < 0 {
		p.rank = noRank
		return
	}
	p.rank, p.merged = t.pairs.find(p.id, m.parts[p.next].id)
	if p.rank != noRank {
		m.push(uint64(p.rank)<<32 | uint64(at))
	}
}

func (m *merger) push(x uint64) {
	h := append(m.heap, x)
	i := len(h) - 1
	for i > 0 {
		up := (i - 1) / 2
		if h[up] <= x {
			break
		}
		h[i] = h[up]
		i = up
	}
	h[i] = x
	m.heap = h
}

func (m *merger) pop() uint64 {
	h := m.heap
	top, x := h[0], h[len(h)-1]
	h = h[:len(h)-1]
	for i := 0; len(h) > 0; {
		down := 2*i + 1
		if down >= len(h) {
			h[i] = x
			break
		}
		if down+1 < len(h) && h[down+1] < h[down] {
			down++
		}
		if h[down] >= x {
			h[i] = x
			break
		}
		h[i] = h[down]
		i = down
	}
	m.heap = h
	return top
}
