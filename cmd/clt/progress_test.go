package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

func TestBar(t *testing.T) {
	var tty bytes.Buffer
	b := &bar{w: &tty, verb: "train", terminal: true}
	b.report(wire.Progress{Phase: "train", Done: 1, Total: 4, Values: map[string]float64{"loss": 1.5, "l0": 2}})
	b.report(wire.Progress{Phase: "train", Done: 2, Total: 4}) // too soon
	b.report(wire.Progress{Phase: "train", Done: 4, Total: 4}) // the last one always shows
	b.clear()
	b.clear()
	want := "\r\x1b[Ktrain 1/4 [######                  ] l0 2, loss 1.5\r\x1b[Ktrain 4/4 [########################]\r\x1b[K"
	if tty.String() != want {
		t.Errorf("terminal: %q, want %q", tty.String(), want)
	}
	var file bytes.Buffer
	b = &bar{w: &file, verb: "train"}
	for i := range 100 {
		b.report(wire.Progress{Phase: "train", Done: i, Total: 100})
	}
	b.clear()
	if file.Len() > 0 {
		t.Errorf("a short run tells a file %q", file.String())
	}
	b.shown = b.shown.Add(-2 * lineEvery)
	b.report(wire.Progress{Phase: "train", Done: 50, Total: 100})
	if s := file.String(); !strings.HasPrefix(s, "clt train: train 50/100 [") || strings.Contains(s, "\x1b") || strings.Count(s, "\n") != 1 {
		t.Errorf("file: %q", s)
	}
	var none *bar
	none.clear()
}

func TestDescribe(t *testing.T) {
	got := describe(wire.Progress{Phase: "x", Done: 10, Total: 40, Message: "note"}, 30*time.Second)
	if got != "x 10/40 [######                  ] note, 1:30 left" {
		t.Errorf("%q", got)
	}
	if got := describe(wire.Progress{Phase: "x", Done: 7}, time.Minute); got != "x 7" {
		t.Errorf("%q", got)
	}
}
