package features

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"os"

	"github.com/etredal/cross-layer-transcoder/internal/atomicfile"
)

// checkpointMagic starts the file that holds a pass under way.
const checkpointMagic = "clt-features-pass/1\n"

// codec writes or reads the numbers of a collector, in one order for both ways.
type codec struct {
	w   io.Writer // nil when reading
	r   io.Reader
	err error
	buf [8]byte
}

func (c *codec) u64(v uint64) uint64 {
	if c.err != nil {
		return 0
	}
	if c.w != nil {
		binary.LittleEndian.PutUint64(c.buf[:], v)
		_, c.err = c.w.Write(c.buf[:])
		return v
	}
	_, c.err = io.ReadFull(c.r, c.buf[:])
	return binary.LittleEndian.Uint64(c.buf[:])
}

func (c *codec) u32(v *uint32)  { *v = uint32(c.u64(uint64(*v))) }
func (c *codec) f64(v *float64) { *v = math.Float64frombits(c.u64(math.Float64bits(*v))) }
func (c *codec) f32(v *float32) {
	*v = math.Float32frombits(uint32(c.u64(uint64(math.Float32bits(*v)))))
}

// size is the length of a list, refused where it cannot be.
func (c *codec) size(n, most int) int {
	n = int(c.u64(uint64(n)))
	if c.err == nil && (n < 0 || n > most) {
		c.err = fmt.Errorf("a list of %d, at most %d can be", n, most)
	}
	if c.err != nil {
		return 0
	}
	return n
}

func (c *codec) example(e *example, room int) {
	c.f32(&e.value)
	c.u32(&e.window)
	c.u32(&e.repeats)
	at := c.u64(uint64(e.pos)<<16 | uint64(e.peak))
	e.pos, e.peak = uint16(at>>16), uint16(at)
	e.key, e.priority = c.u64(e.key), c.u64(e.priority)
	n := c.size(len(e.ids), room)
	if c.w == nil {
		e.ids, e.values = make([]int32, n, room), make([]float32, n, room)
	}
	for i := range n {
		e.ids[i] = int32(uint32(c.u64(uint64(uint32(e.ids[i])))))
		c.f32(&e.values[i])
	}
}

func (c *codec) examples(list []example, most, room int) []example {
	n := c.size(len(list), most)
	if c.w == nil {
		list = make([]example, n)
	}
	for i := range n {
		c.example(&list[i], room)
	}
	return list
}

func (c *codec) block(k *block, cfg Config) {
	c.u32(&k.count)
	c.u32(&k.met)
	c.u32(&k.paired)
	c.f64(&k.sum)
	c.f32(&k.max)
	k.hist.exponent = int(int64(c.u64(uint64(int64(k.hist.exponent)))))
	c.f64(&k.hist.scale)
	for i := range k.hist.counts {
		c.u32(&k.hist.counts[i])
	}
	k.top = c.examples(k.top, cfg.Top, cfg.context())
	if c.w == nil {
		k.groups = make([]sample, cfg.Groups)
	}
	for g := range k.groups {
		k.groups[g] = c.examples(k.groups[g], cfg.PerGroup, cfg.context())
	}
	n := c.size(len(k.with.ids), cfg.Sketch)
	if c.w == nil {
		k.with = partners{make([]uint32, n), make([]uint32, n), make([]partner, n)}
	}
	for i := range n {
		p := &k.with.sums[i]
		c.u32(&p.id)
		c.u32(&k.with.bounds[i])
		c.u32(&p.count)
		c.f64(&p.product)
		c.f64(&p.own)
		c.f64(&p.its)
		k.with.ids[i] = p.id
	}
	k.bars(cfg)
}

// state goes through everything that a pass has seen.
func (c *codec) state(s *collector) {
	c.u32(&s.windows)
	s.tokens = c.u64(s.tokens)
	s.steps = int(c.u64(uint64(s.steps)))
	s.every = int(c.u64(uint64(s.every)))
	for i := range s.blocks {
		if there := c.size(btoi(s.blocks[i] != nil), 1); there == 0 || c.err != nil {
			continue
		}
		if s.blocks[i] == nil {
			s.blocks[i] = &block{}
		}
		c.block(s.blocks[i], s.cfg)
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// save writes a pass under way, whole or not at all. header says what it is of.
func (s *collector) save(path string, header passHeader) error {
	f, err := atomicfile.Create(path)
	if err != nil {
		return err
	}
	defer f.Abort()
	text, err := json.Marshal(header)
	if err != nil {
		return fmt.Errorf("features: checkpoint: %w", err)
	}
	sum := crc32.NewIEEE()
	buffered := bufio.NewWriterSize(f, 1<<20)
	c := &codec{w: io.MultiWriter(buffered, sum)}
	if _, err := io.WriteString(c.w, checkpointMagic+string(text)+"\n"); err != nil {
		return fmt.Errorf("features: checkpoint: %w", err)
	}
	c.state(s)
	check := uint64(sum.Sum32())
	c.w = buffered
	c.u64(check)
	if c.err == nil {
		c.err = buffered.Flush()
	}
	if c.err != nil {
		return fmt.Errorf("features: checkpoint %s: %w; is the disk full?", path, c.err)
	}
	return f.Commit()
}

// load goes on with a pass; false if there is none. A pass of something else is an
// error.
func (s *collector) load(path string, header passHeader) (bool, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("features: checkpoint: %w", err)
	}
	const cure = "remove it to start again"
	body, ok := bytes.CutPrefix(data, []byte(checkpointMagic))
	text, body, found := bytes.Cut(body, []byte("\n"))
	var old passHeader
	if !ok || !found || json.Unmarshal(text, &old) != nil || len(body) < 8 {
		return false, fmt.Errorf("features: %s is no checkpoint of this program; %s", path, cure)
	}
	if other := old.differs(header); other != "" {
		return false, fmt.Errorf("features: %s is a pass of %s; %s", path, other, cure)
	}
	end := len(data) - 8
	if uint64(crc32.ChecksumIEEE(data[:end])) != binary.LittleEndian.Uint64(data[end:]) {
		return false, fmt.Errorf("features: %s is damaged; %s", path, cure)
	}
	c := &codec{r: bytes.NewReader(body[:len(body)-8])}
	if c.state(s); c.err != nil {
		return false, fmt.Errorf("features: %s: %w; %s", path, c.err, cure)
	}
	return true, nil
}
