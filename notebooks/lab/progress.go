package lab

import (
	"fmt"
	"html"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
	"github.com/etredal/cross-layer-transcoder/viz"
	"github.com/janpfeifer/gonb/gonbui"
)

const (
	barGap = 250 * time.Millisecond // at most four updates a second
)

// barDelay is how long a call takes before it shows a bar. Whether a call is just
// above or below depends on the machine, so notebooks that are to be committed show
// only what is long everywhere.
var barDelay = 400 * time.Millisecond

func init() {
	if noTimes {
		barDelay = 10 * time.Second
	}
}

// noTimes leaves elapsed times out of what is saved, so that two runs of a committed notebook give the same text.
var noTimes = os.Getenv("CLT_NO_TIMES") != ""

// bar shows the progress of one call: live while it runs, one line of text when it has ended.
type bar struct {
	verb       string
	now        func() time.Time
	draw       func(running bool, text, written string, fraction float64)
	begin      time.Time
	drawn      time.Time
	shown      bool
	phase      string
	phaseBegin time.Time
	phaseFrom  int // steps done when the phase was first seen
	latest     wire.Progress
	written    string // the text that grows, as far as it is
	most       int    // steps of the work itself: other phases count other things, tokens for one
}

func newBar(verb string) *bar {
	b := &bar{verb: verb, now: time.Now, begin: time.Now()}
	switch {
	case gonbui.IsNotebook:
		place := newLive()
		b.draw = func(running bool, text, written string, fraction float64) {
			place.final(barOutput(running, text, written, fraction))
		}
	case isTerminal(os.Stderr):
		b.draw = func(running bool, text, written string, _ float64) { drawTerminal(os.Stderr, running, text, written) }
	default:
		b.draw = func(bool, string, string, float64) {}
	}
	return b
}

func (b *bar) update(p wire.Progress) {
	t := b.now()
	if p.Phase != b.phase || b.phaseBegin.IsZero() {
		b.phase, b.phaseBegin, b.phaseFrom = p.Phase, t, p.Done
	}
	b.latest = p
	if p.Text != "" {
		b.written = viz.Visible(p.Text)
	}
	if p.Phase == "" || p.Phase == b.verb {
		b.most = max(b.most, p.Done)
	}
	if t.Sub(b.begin) < barDelay || (b.shown && t.Sub(b.drawn) < barGap) {
		return
	}
	b.drawn, b.shown = t, true
	fraction := -1.0
	if p.Total > 0 {
		fraction = min(1, float64(p.Done)/float64(p.Total))
	}
	b.draw(true, b.text(t), b.written, fraction)
}

// finish replaces the bar by the last state in words, and by the text that there is if it is all there will be. A call that
// was too quick for a bar leaves nothing.
func (b *bar) finish(err error) {
	if !b.shown {
		return
	}
	if err == nil {
		b.written = "" // the result has it
	}
	b.draw(false, b.last(err), b.written, -1)
}

// text is the line beside the bar: "train 120 / 300 · loss 0.031 · 12 s left".
func (b *bar) text(t time.Time) string {
	parts := []string{b.steps()}
	parts = append(parts, b.numbers()...)
	if left, ok := b.left(t); ok {
		parts = append(parts, span(left)+" left")
	}
	return strings.Join(parts, " · ")
}

func (b *bar) last(err error) string {
	first := b.verb + ": done"
	if b.most > 0 {
		first = fmt.Sprintf("%s: %d steps", b.verb, b.most)
	}
	if err != nil {
		first = fmt.Sprintf("%s: stopped at %s", b.verb, b.steps())
	}
	if !noTimes {
		first += " in " + span(b.now().Sub(b.begin))
	}
	return strings.Join(append([]string{first}, b.numbers()...), " · ")
}

func (b *bar) steps() string {
	p, name := b.latest, b.latest.Phase
	if name == "" {
		name = b.verb
	}
	switch {
	case p.Total > 0:
		return fmt.Sprintf("%s %d / %d", name, p.Done, p.Total)
	case p.Done > 0:
		return fmt.Sprintf("%s %d", name, p.Done)
	}
	return name
}

func (b *bar) numbers() []string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(b.latest.Values)) {
		if noTimes && strings.HasSuffix(name, "_per_s") {
			continue
		}
		parts = append(parts, fmt.Sprintf("%s %.4g", name, b.latest.Values[name]))
	}
	if b.latest.Message != "" {
		parts = append(parts, b.latest.Message)
	}
	return parts
}

// left is the time to the end of the phase at the rate of this phase so far.
func (b *bar) left(t time.Time) (time.Duration, bool) {
	p, took := b.latest, t.Sub(b.phaseBegin)
	steps := p.Done - b.phaseFrom
	if p.Total <= 0 || steps <= 0 || took < barGap || p.Done > p.Total {
		return 0, false
	}
	return time.Duration(float64(took) / float64(steps) * float64(p.Total-p.Done)), true
}

// span writes a duration with as many digits as a person wants.
func span(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	}
	return fmt.Sprintf("%d min %02d s", int(d.Minutes()), int(d.Seconds())%60)
}

// barOutput is the bar in a notebook, with the text that grows below it; the saved notebook keeps the last one, which has no
// bar.
func barOutput(running bool, text, written string, fraction float64) viz.Output {
	o := viz.Output{Markdown: text, Plain: text, Kind: "progress"}
	if written != "" {
		o.Markdown, o.Plain = text+"\n\n    "+written, text+"\n"+written
		written = `<div style="white-space:pre-wrap;margin-top:4px"><bdi>` + html.EscapeString(written) + `</bdi></div>`
	}
	style := ""
	switch {
	case running && fraction >= 0:
		text = fmt.Sprintf(`<progress max="1" value="%.4f" style="width:240px"></progress> %s`, fraction, html.EscapeString(text))
	case running:
		text = `<progress style="width:240px"></progress> ` + html.EscapeString(text)
	default:
		style, text = ` style="opacity:0.78"`, html.EscapeString(text)
	}
	o.HTML = `<div class="tex2jax_ignore mathjax_ignore"` + style + `>` + text + written + `</div>`
	return o
}

// writtenTail is how much of a growing text stands beside the bar of a terminal, in characters.
const writtenTail = 40

func drawTerminal(w io.Writer, running bool, text, written string) {
	end := ""
	if !running {
		end = "\n"
	}
	if written != "" {
		tail := []rune(written)
		if running && len(tail) > writtenTail {
			tail = append([]rune("…"), tail[len(tail)-writtenTail:]...)
		}
		text += " · " + string(tail)
	}
	fmt.Fprintf(w, "\r\x1b[K%s%s", text, end)
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
