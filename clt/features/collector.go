package features

import (
	"fmt"

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
	blocks  []*block

	active [][]activeAt // scratch: by token of the batch
}

// block is what is known of one feature.
type block struct {
	count  uint32
	paired uint32 // tokens on which pairs were counted
	sum    float64
	max    float32
	hist   histogram
	top    topExamples
	groups []sample
	with   partners
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
	counted, allowed := c.budget(b.windows)
	for len(c.active) < len(b.windows)*b.length {
		c.active = append(c.active, nil)
	}
	for i := range b.windows {
		for p := range b.length {
			c.active[i*b.length+p] = c.active[i*b.length+p][:0]
		}
	}
	for l, dense := range b.dense {
		for i, w := range b.windows {
			for p := 1; p < min(len(w), allowed[i]); p++ {
				row := dense[(i*b.length+p)*c.perLay:][:c.perLay]
				for f, v := range row {
					if v > 0 {
						c.see(b, l, i, p, f, v)
					}
				}
			}
		}
	}
	for i, w := range b.windows {
		for p := 1; p < min(len(w), allowed[i]); p++ {
			if (c.tokens+uint64(counted[i]+p-1))%uint64(c.cfg.Every) == 0 {
				c.pair(c.active[i*b.length+p])
			}
		}
	}
	last := len(b.windows) - 1
	if last >= 0 {
		c.tokens += uint64(counted[last] + max(0, min(len(b.windows[last]), allowed[last])-1))
	}
	c.windows += uint32(len(b.windows))
	c.steps++
	return nil
}

// budget says for each window how many tokens of the batch stand before it, and up
// to which position it counts: the pass may end inside a window.
func (c *collector) budget(windows [][]int32) (before, allowed []int) {
	n := 0
	for _, w := range windows {
		end := len(w)
		if c.cfg.Tokens > 0 {
			end = min(end, 1+max(0, c.cfg.Tokens-int(c.tokens)-n))
		}
		before, allowed = append(before, n), append(allowed, end)
		n += max(0, end-1)
	}
	return before, allowed
}

// full says that the pass has seen as many tokens as it should.
func (c *collector) full() bool { return c.cfg.Tokens > 0 && c.tokens >= uint64(c.cfg.Tokens) }

// see takes one activation.
func (c *collector) see(b batch, l, i, p, f int, v float32) {
	id := l*c.perLay + f
	c.active[i*b.length+p] = append(c.active[i*b.length+p], activeAt{uint32(id), v})
	k := c.blocks[id]
	if k == nil {
		k = &block{groups: make([]sample, c.cfg.Groups)}
		c.blocks[id] = k
	}
	k.count++
	k.sum += float64(v)
	k.hist.add(v)
	if v > k.max {
		k.raise(v, c.cfg)
	}
	window := c.windows + uint32(i)
	top := k.top.wants(v, c.cfg.Top)
	g := k.group(v, c.cfg.Groups)
	priority := mix(uint64(id), uint64(window), uint64(p))
	sampled := k.groups[g].wants(priority, c.cfg.PerGroup)
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
}

// pair takes the active features of one token.
func (c *collector) pair(active []activeAt) {
	for i, a := range active {
		k := c.blocks[a.id]
		k.paired++
		for j, o := range active {
			if i != j {
				k.with.add(o.id, a.value, o.value, c.cfg.Sketch)
			}
		}
	}
}
