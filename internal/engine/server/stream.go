package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

const (
	maxRequest = 256 << 20             // bytes; prompts and edits are far smaller
	minGap     = 40 * time.Millisecond // between two progress lines of one phase
)

// call runs one verb and streams its events.
func (s *server) call(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("verb")
	verb, ok := s.verbs.Verb(name)
	if !ok && name == wire.SelfTest {
		verb, ok = s.self, true
	}
	out := &stream{w: w}
	w.Header().Set("Content-Type", "application/x-ndjson")
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		out.send(wire.Event{Error: &wire.Error{Message: fmt.Sprintf("engine: no verb %q", name),
			Cure: "it has " + strings.Join(s.state.Verbs, ", ")}})
		return
	}
	// The whole body first: only then does the server notice that the client closes the connection.
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		out.send(wire.Event{Error: wire.FromError(fmt.Errorf("engine: %s: request: %w", name, err))})
		return
	}
	defer s.enter()()
	begin := time.Now()
	result, err := s.run(r.Context(), name, verb, body, out.progress)
	out.finish(result, err)
	switch {
	case r.Context().Err() != nil:
		s.logf("%s cancelled after %v", name, time.Since(begin).Round(time.Millisecond))
	case err != nil:
		s.logf("%s failed after %v: %v", name, time.Since(begin).Round(time.Millisecond), err)
	default:
		s.logf("%s done in %v", name, time.Since(begin).Round(time.Millisecond))
	}
}

// run calls the verb; a panic in it is an error of this call, not the end of the engine.
func (s *server) run(ctx context.Context, name string, verb Verb, body []byte, report func(wire.Progress)) (raw json.RawMessage, err error) {
	defer func() {
		if p := recover(); p != nil {
			s.logf("%s panicked: %v\n%s", name, p, debug.Stack())
			err = fmt.Errorf("engine: %s: %v", name, p)
		}
	}()
	result, err := verb(ctx, body, report)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil && errors.Is(err, ctx.Err()) {
			err = fmt.Errorf("engine: %s was cancelled (%w)", name, cause)
		}
		return nil, err
	}
	raw, err = json.Marshal(result)
	if err != nil {
		return nil, fmt.Errorf("engine: %s: result: %w", name, err)
	}
	return raw, nil
}

// stream writes events, one a line. Progress that comes faster than minGap is thinned out; the last one always arrives.
type stream struct {
	mu      sync.Mutex
	w       http.ResponseWriter
	sent    time.Time
	phase   string
	pending *wire.Progress
	closed  bool
}

func (s *stream) progress(p wire.Progress) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	if s.pending != nil && p.Text == "" && p.Phase == s.pending.Phase {
		p.Text = s.pending.Text // not told at every step, so not to be thinned out
	}
	s.pending = &p
	if p.Phase != s.phase || time.Since(s.sent) >= minGap {
		s.flush()
	}
}

// flush sends what is pending; the caller holds the lock.
func (s *stream) flush() {
	if s.pending == nil {
		return
	}
	s.write(wire.Event{Progress: s.pending})
	s.sent, s.phase, s.pending = time.Now(), s.pending.Phase, nil
}

func (s *stream) finish(result json.RawMessage, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flush()
	if err != nil {
		s.write(wire.Event{Error: wire.FromError(err)})
	} else {
		s.write(wire.Event{Result: result})
	}
	s.closed = true
}

func (s *stream) send(e wire.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.write(e)
}

// write encodes one event; the caller holds the lock. A client that is gone shows in the request's context. A number that
// JSON cannot hold (NaN) in a progress line drops its values rather than the call.
func (s *stream) write(e wire.Event) {
	line, err := json.Marshal(e)
	if err != nil && e.Progress != nil {
		p := *e.Progress
		p.Values = nil
		line, err = json.Marshal(wire.Event{Progress: &p})
	}
	if err != nil {
		return
	}
	_, _ = s.w.Write(append(line, '\n'))
	_ = http.NewResponseController(s.w).Flush()
}
