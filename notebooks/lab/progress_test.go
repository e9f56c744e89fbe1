package lab

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// The text of a generation grows below its bar, is gone when the result has it, and stays when there will be none.
func TestBarShowsGrowingText(t *testing.T) {
	now := time.Unix(0, 0)
	var drawn []string
	b := &bar{verb: "generate", now: func() time.Time { return now }, begin: now,
		draw: func(_ bool, _, written string, _ float64) { drawn = append(drawn, written) }}
	for i := 1; i <= 4; i++ {
		now = now.Add(time.Second)
		p := wire.Progress{Phase: "generate", Done: i, Total: 4}
		if i != 3 { // not told at every step
			p.Text = strings.Repeat("a\n", i)
		}
		b.update(p)
	}
	if got := strings.Join(drawn, " "); got != "a↵ a↵a↵ a↵a↵ a↵a↵a↵a↵" {
		t.Errorf("drawn %q", got)
	}
	b.finish(errInterrupted)
	if last := drawn[len(drawn)-1]; last != "a↵a↵a↵a↵" {
		t.Errorf("an interrupted generation leaves %q", last)
	}
	b.finish(nil)
	if last := drawn[len(drawn)-1]; last != "" {
		t.Errorf("beside a result stands %q", last)
	}
}

func TestGrowingTextIsHostile(t *testing.T) {
	b := newBar("generate")
	b.update(wire.Progress{Text: "<script>\x1b[2J\u202e# [x](javascript:1)\n"})
	for _, running := range []bool{true, false} {
		o := barOutput(running, "1 / 2", b.written, 0.5)
		if strings.Contains(o.HTML, "<script>") || !strings.Contains(o.HTML, "&lt;script&gt;") || !strings.Contains(o.HTML, "white-space:pre-wrap") {
			t.Errorf("html %s", o.HTML)
		}
		var tty bytes.Buffer
		drawTerminal(&tty, running, "1 / 2", b.written)
		for _, text := range []string{o.HTML, o.Markdown, o.Plain, strings.TrimPrefix(tty.String(), "\r\x1b[K")} {
			if strings.ContainsAny(text, "\x1b\u202e") {
				t.Errorf("%q can move what stands around it", text)
			}
		}
		if !strings.HasPrefix(o.Markdown, "1 / 2\n\n    <script>") { // indented: code, not markup
			t.Errorf("markdown %q", o.Markdown)
		}
	}
	var tty bytes.Buffer
	drawTerminal(&tty, true, "x", strings.Repeat("ä", 100))
	if want := fmt.Sprintf("\r\x1b[Kx · …%s", strings.Repeat("ä", writtenTail)); tty.String() != want {
		t.Errorf("terminal %q, want %q", tty.String(), want)
	}
}
