package server

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// A text that is told while nothing is sent goes with the next line that is.
func TestTextIsNotThinnedOut(t *testing.T) {
	w := httptest.NewRecorder()
	s := &stream{w: w}
	s.progress(wire.Progress{Phase: "generate", Done: 1})
	s.progress(wire.Progress{Phase: "generate", Done: 2, Text: "ab"})
	s.progress(wire.Progress{Phase: "generate", Done: 3})
	s.sent = time.Time{}
	s.progress(wire.Progress{Phase: "generate", Done: 4})
	s.progress(wire.Progress{Phase: "other", Done: 1})
	var got []string
	for _, line := range strings.Split(strings.TrimSpace(w.Body.String()), "\n") {
		var e wire.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		got = append(got, e.Progress.Text)
	}
	if strings.Join(got, "|") != "|ab|" {
		t.Errorf("texts of the lines: %q", got)
	}
}
