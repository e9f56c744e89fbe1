package main

import (
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

const (
	barEvery  = 100 * time.Millisecond // on a terminal
	lineEvery = 15 * time.Second       // elsewhere
)

// bar shows progress: in place on a terminal, as a line now and then elsewhere.
// A nil bar shows nothing.
type bar struct {
	w        io.Writer
	verb     string
	terminal bool

	mu    sync.Mutex
	phase string
	begin time.Time // of the phase
	shown time.Time
	drawn bool
}

// progress is the report function of this call.
func (c *call) progress() func(wire.Progress) {
	if c.bar == nil {
		c.bar = &bar{w: c.err, verb: c.verb, terminal: isTerminal(c.err)}
	}
	return c.bar.report
}

// isTerminal takes any character device for a terminal: on the others, such as
// the null device, nobody sees the bar.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func (b *bar) report(p wire.Progress) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if p.Phase != b.phase || b.begin.IsZero() {
		b.phase, b.begin, b.shown = p.Phase, now, now
		if b.terminal {
			b.shown = time.Time{}
		}
	}
	every := lineEvery
	if b.terminal {
		every = barEvery
	}
	if now.Sub(b.shown) < every && !(b.terminal && p.Total > 0 && p.Done == p.Total) {
		return
	}
	b.shown = now
	text := describe(p, now.Sub(b.begin))
	if b.terminal {
		fmt.Fprintf(b.w, "\r\x1b[K%s", text)
		b.drawn = true
		return
	}
	fmt.Fprintf(b.w, "clt %s: %s\n", b.verb, text)
}

// clear removes the bar, so that a line can be written.
func (b *bar) clear() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.drawn {
		fmt.Fprint(b.w, "\r\x1b[K")
		b.drawn = false
	}
}

// describe is one line: "train 120/3000 [####      ] loss 1.31, l0 4.2, 1:10 left".
func describe(p wire.Progress, spent time.Duration) string {
	var parts []string
	head := p.Phase
	if p.Total > 0 {
		const width = 24
		full := min(width, width*p.Done/p.Total)
		head += fmt.Sprintf(" %d/%d [%s%s]", p.Done, p.Total, strings.Repeat("#", full), strings.Repeat(" ", width-full))
	} else if p.Done > 0 {
		head += fmt.Sprintf(" %d", p.Done)
	}
	names := make([]string, 0, len(p.Values))
	for n := range p.Values {
		names = append(names, n)
	}
	sort.Strings(names)
	for _, n := range names {
		parts = append(parts, fmt.Sprintf("%s %.4g", n, p.Values[n]))
	}
	if p.Message != "" {
		parts = append(parts, p.Message)
	}
	if p.Done > 0 && p.Done < p.Total && spent > 2*time.Second {
		left := time.Duration(float64(spent) * float64(p.Total-p.Done) / float64(p.Done))
		parts = append(parts, fmt.Sprintf("%d:%02d left", int(left.Minutes()), int(left.Seconds())%60))
	}
	return strings.TrimSpace(head + " " + strings.Join(parts, ", "))
}
