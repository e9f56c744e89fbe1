package features

import (
	"fmt"
	"unsafe"

	"github.com/etredal/cross-layer-transcoder/clt"
)

// collector adds up what features do on the windows of a corpus, in order.
type collector struct {
	cfg     Config
	layers  int
	perLay  int // features per layer
	vocab   int
	windows uint32 // seen so far
	tokens  uint64 // counted so far: position 0 is not
	steps   int    // batches seen so far
	every   int    // of a feature's activations, so many go by between two whose pairs are counted; 0 before the first batch
	blocks  []*block

	active []activeAt // scratch: of one token
}

// block is what is known of one feature.
type block struct {
	count  uint32
	met    uint32 // activations that pairs went over
	paired uint32 // of these, with pairs counted
	sum    float64
	max    float32
	hist   histogram
	top    topExamples
	groups []sample
	with   partners

	// What an activation must beat, beside the lists themselves: most do not.
	floor  float32  // of top; 0 while there is room
	limits []uint64 // of groups
}

// activeAt is an active feature of one token.
type activeAt struct {
	id    uint32
	value float32
}

func newCollector(cfg Config, t clt.Config, vocab int) *collector {
	return &collector{cfg: cfg, layers: t.Layers, perLay: t.Features, vocab: vocab, blocks: make([]*block, t.Layers*t.Features)}
}

// batch is windows with the activations of all layers: dense is layer ->
// [window, length, features], where each window has length positions, padded.
type batch struct {
	windows [][]int32
	length  int
	dense   [][]float32
}

// add takes one batch: the windows that follow those before.
func (c *collector) add(b batch) error {
	if len(b.dense) != c.layers {
		return fmt.Errorf("features: activations of %d layers, the transcoder has %d", len(b.dense), c.layers)
	}
	if c.every == 0 {
		if c.every = c.cfg.Every; c.every == 0 {
			c.every = c.thin(b)
		}
	}
	for i, w := range b.windows {
		end := len(w)
		if c.cfg.Tokens > 0 { // the pass may end inside a window
			end = min(end, 1+max(0, c.cfg.Tokens-int(c.tokens)))
		}
		for p := 1; p < end; p++ {
			c.active = c.active[:0]
			for l, dense := range b.dense {
				c.row(b, l, i, p, dense[(i*b.length+p)*c.perLay:][:c.perLay])
			}
			c.pair(c.active)
		}
		c.tokens += uint64(max(0, end-1))
	}
	c.windows += uint32(len(b.windows))
	c.steps++
	return nil
}

// row sees the active features of one layer and token; eight at a time are passed over
// where none is.
func (c *collector) row(b batch, l, i, p int, row []float32) {
	for lo := 0; lo < len(row); lo += 8 {
		part := row[lo:min(lo+8, len(row))]
		if len(part) == 8 {
			w := (*[4]uint64)(unsafe.Pointer(&part[0]))
			if w[0]|w[1]|w[2]|w[3] == 0 {
				continue
			}
		}
		for k, v := range part {
			if v > 0 {
				c.see(b, l, i, p, lo+k, v)
			}
		}
	}
}

const (
	pairsPerToken = 6  // that may be counted, on the average
	pairsAtFirst  = 32 // activations of a feature whose pairs are all counted
)

// thin is how far to thin out pairs, from the first batch.
func (c *collector) thin(b batch) int {
	sum, tokens := 0, 0
	for i, w := range b.windows {
		for p := 1; p < len(w); p++ {
			n := 0
			for _, dense := range b.dense {
				for _, v := range dense[(i*b.length+p)*c.perLay:][:c.perLay] {
					if v > 0 {
						n++
					}
				}
			}
			sum += n * n
			tokens++
		}
	}
	return max(1, sum/max(1, tokens)/pairsPerToken)
}

// see takes one activation.
func (c *collector) see(b batch, l, i, p, f int, v float32) {
	id := l*c.perLay + f
	c.active = append(c.active, activeAt{uint32(id), v})
	k := c.blocks[id]
	if k == nil {
		k = &block{groups: make([]sample, c.cfg.Groups)}
		k.bars(c.cfg)
		c.blocks[id] = k
	}
	k.count++
	k.sum += float64(v)
	k.hist.add(v)
	if v > k.max {
		k.raise(v, c.cfg)
	}
	window := c.windows + uint32(i)
	top := v >= k.floor
	g := k.group(v, c.cfg.Groups)
	priority := mix(uint64(id)<<32|uint64(window), uint64(p))
	sampled := priority < k.limits[g]
	if !top && !sampled {
		return
	}
	w := b.windows[i]
	lo := max(0, p-c.cfg.Before)
	e := example{value: v, window: window, pos: uint16(p), peak: uint16(p - lo), key: textKey(w[lo : p+1]), priority: priority}
	fill := func(e *example) {
		hi := min(len(w), p+c.cfg.After+1)
		e.ids = append(e.ids[:0], w[lo:hi]...)
		if e.values == nil {
			e.values = make([]float32, 0, c.cfg.context())
		}
		e.values = e.values[:0]
		for q := lo; q < hi; q++ {
			a := float32(0)
			if q > 0 { // position 0 is in nothing
				a = b.dense[l][(i*b.length+q)*c.perLay+f]
			}
			e.values = append(e.values, a)
		}
	}
	if top {
		k.top.add(e, c.cfg.Top, fill)
	}
	if sampled {
		k.groups[g].add(e, c.cfg.PerGroup, fill)
		k.limits[g] = k.groups[g].limit(c.cfg.PerGroup)
	}
	k.floor = k.top.floor(c.cfg.Top)
}

// bars sets what the next activation must beat.
func (k *block) bars(cfg Config) {
	k.floor = k.top.floor(cfg.Top)
	if k.limits == nil {
		k.limits = make([]uint64, cfg.Groups)
	}
	for g, s := range k.groups {
		k.limits[g] = s.limit(cfg.PerGroup)
	}
}

// group is the interval of (0, max] in which a value lies, the highest last.
func (k *block) group(v float32, groups int) int {
	return min(groups-1, int(float64(v)/float64(k.max)*float64(groups)))
}

// raise sets a new maximum and sorts the samples into the wider intervals.
func (k *block) raise(v float32, cfg Config) {
	k.max = v
	old := k.groups
	k.groups = make([]sample, cfg.Groups)
	for _, s := range old {
		for _, e := range s {
			g := k.group(e.value, cfg.Groups)
			k.groups[g].add(example{value: e.value, window: e.window, pos: e.pos, peak: e.peak, key: e.key, priority: e.priority}, cfg.PerGroup,
				func(x *example) { x.ids, x.values = e.ids, e.values })
		}
	}
	k.bars(cfg)
}

// pair counts which features are active together on one token: with the first
// activations of a feature, and with every so manyth of the later ones.
func (c *collector) pair(active []activeAt) {
	for i, a := range active {
		k := c.blocks[a.id]
		if k.met++; k.met > pairsAtFirst && int(k.met)%c.every != 0 {
			continue
		}
		k.paired++
		for j, o := range active {
			if i != j {
				k.with.add(o.id, a.value, o.value, c.cfg.Sketch)
			}
		}
	}
}
