package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// Session talks to the engine, where models, transcoders and graphs live on while cells come and go.
type Session struct {
	place place
	state wire.State // as of Open
	setup wire.Setup // what the verbs work on
}

// errInterrupted is the stop button.
var errInterrupted = errors.New("interrupted")

// Open connects to the engine of this kernel and starts it if there is none; it builds it first if its sources have
// changed. Every cell calls it: it takes some milliseconds when the engine runs.
//
// The verbs work on the pocket model and its transcoder unless a model (a folder relative to the clone, or a fetched name) and
// a transcoder are given.
func Open(model ...string) *Session {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	s, err := open(ctx)
	if err != nil {
		fail("open", err)
	}
	s.setup = wire.Setup{Model: "pocket", CLT: "pocket"}
	if len(model) > 0 {
		s.setup.Model = model[0]
		if _, err := os.Stat(s.path(model[0])); err == nil {
			s.setup.Model = s.path(model[0])
		}
	}
	if len(model) > 1 {
		s = s.With(model[1])
	}
	return s
}

func open(ctx context.Context) (*Session, error) {
	p, err := findPlace()
	if err != nil {
		return nil, err
	}
	s := newSession(p)
	if s.state, err = s.ask(ctx); err == nil {
		return s, s.checkRunning()
	}
	if p.watch == 1 {
		return nil, errors.New("lab: the kernel of this cell is gone; restart the kernel")
	}
	if p.outdated() {
		remark("building the engine; the first time takes a minute or two")
		if err := p.build(ctx); err != nil {
			return nil, err
		}
	}
	exited, err := p.start()
	if err != nil {
		return nil, err
	}
	return s, s.await(ctx, exited)
}

func newSession(p place) *Session { return &Session{place: p} }

// ask gets the engine's state.
func (s *Session) ask(ctx context.Context) (state wire.State, err error) {
	answer, err := s.place.request(ctx, "GET", "/state", nil)
	if err != nil {
		return state, err
	}
	defer answer.Close()
	return state, json.NewDecoder(answer).Decode(&state)
}

// await waits until the engine answers, or says why it ended.
func (s *Session) await(ctx context.Context, exited <-chan error) (err error) {
	limit := time.After(startLimit)
	for {
		if s.state, err = s.ask(ctx); err == nil {
			return s.checkRunning()
		}
		select {
		case <-ctx.Done():
			return errInterrupted
		case cause := <-exited:
			if s.state, err = s.ask(ctx); err == nil { // another cell was faster
				return s.checkRunning()
			}
			words := s.place.lastWords()
			if words == "" {
				words = fmt.Sprint(cause)
			}
			return &wire.Error{Message: "lab: the engine ended at its start: " + words, Cure: "run bin/clt doctor"}
		case <-limit:
			return &wire.Error{Message: fmt.Sprintf("lab: the engine does not answer after %v", startLimit), Cure: "read " + s.place.log}
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// checkRunning refuses an engine that speaks another protocol, and says once if the sources have changed since it started:
// it goes on, for it holds what the cells before have made.
func (s *Session) checkRunning() error {
	if s.state.Protocol != wire.Protocol {
		return fmt.Errorf("lab: the engine speaks protocol %d, this notebook %d; restart the kernel", s.state.Protocol, wire.Protocol)
	}
	if s.state.Build == wire.BuildID(s.place.program()) && !s.place.outdated() {
		return nil
	}
	mark := s.place.socket + ".old"
	if b, _ := os.ReadFile(mark); string(b) != s.state.Build {
		_ = os.WriteFile(mark, []byte(s.state.Build), 0o600)
		remark("the program has changed since this engine was started; restart the kernel to use the new one")
	}
	return nil
}

// State tells about the running engine.
func (s *Session) State() wire.State {
	state, err := s.ask(context.Background())
	if err != nil {
		fail("state", s.gone("state"))
	}
	return state
}

// Stop ends the engine and frees its memory. What was not saved is lost; the next Open starts a new one.
func (s *Session) Stop() {
	answer, err := s.place.request(context.Background(), "POST", "/stop", nil)
	if err != nil {
		return // it was gone already
	}
	answer.Close()
	for i := range 1000 {
		_, err := s.ask(context.Background())
		if err != nil && syscall.Kill(s.state.PID, 0) != nil { // the socket is closed before the process ends
			return
		}
		if i == 200 {
			_ = syscall.Kill(s.state.PID, syscall.SIGTERM)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// SelfTest lets the engine count so many steps of so many milliseconds: it shows that progress, the stop button and the
// engine's memory work. It returns the steps counted since the engine started.
func (s *Session) SelfTest(steps, everyMS int) int {
	var resp wire.SelfTestResponse
	s.do(wire.SelfTest, wire.SelfTestRequest{Steps: steps, EveryMS: everyMS}, &resp, nil)
	return resp.Steps
}

// do calls a verb as a cell does: with a progress bar, cancelled by the stop button, and with one red line and a non-zero
// exit if it fails, so that Run All stops. onProgress may be nil.
func (s *Session) do(verb string, req, resp any, onProgress func(wire.Progress)) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	b := newBar(verb)
	err := s.call(ctx, verb, req, resp, func(p wire.Progress) {
		b.update(p)
		if onProgress != nil {
			onProgress(p)
		}
	})
	b.finish(err)
	if err != nil {
		fail(verb, err)
	}
}

// forCells writes what the command line calls a cure as a cell would.
var forCells = strings.NewReplacer("with -fresh", "with Fresh: true")

// on is what a verb works on.
func (s *Session) on() wire.Setup {
	if s == nil {
		fail("session", &wire.Error{Message: "lab: this session is nil: variables end with their cell", Cure: `begin the cell with s := lab.Open("pocket")`})
		return wire.Setup{}
	}
	return s.setup
}

// call sends one request and follows its events. The error is errInterrupted, a *wire.Error from the engine, or one of the
// connection, also as *wire.Error.
func (s *Session) call(ctx context.Context, verb string, req, resp any, onProgress func(wire.Progress)) error {
	if s.state.Verbs != nil && !slices.Contains(s.state.Verbs, verb) {
		return &wire.Error{Message: fmt.Sprintf("lab: the running engine has no verb %q", verb), Cure: "restart the kernel"}
	}
	body, err := json.Marshal(req)
	if err != nil {
		return fmt.Errorf("lab: %s: request: %w", verb, err)
	}
	answer, err := s.place.request(ctx, "POST", wire.VerbPath+verb, body)
	if err != nil {
		return s.broken(ctx, verb)
	}
	defer answer.Close()
	for events := json.NewDecoder(answer); ; {
		var e wire.Event
		switch err := events.Decode(&e); {
		case err != nil: // the engine always ends with a result or an error
			return s.broken(ctx, verb)
		case e.Error != nil:
			e.Error.Cure = forCells.Replace(e.Error.Cure)
			return e.Error
		case e.Progress != nil && onProgress != nil:
			onProgress(*e.Progress)
		case e.Result != nil && resp != nil:
			if err := json.Unmarshal(e.Result, resp); err != nil {
				return fmt.Errorf("lab: %s: answer: %w; restart the kernel", verb, err)
			}
			return nil
		case e.Result != nil:
			return nil
		}
	}
}

// broken tells an interrupted call from an engine that is gone.
func (s *Session) broken(ctx context.Context, verb string) error {
	if ctx.Err() != nil {
		return errInterrupted
	}
	return s.gone(verb)
}

func (s *Session) gone(verb string) error {
	words := s.place.lastWords()
	if words != "" {
		words = " (its last line: " + words + ")"
	}
	return &wire.Error{Message: fmt.Sprintf("lab: the engine ended during %s%s", verb, words),
		Cure: "run this cell again, a new engine starts; too little memory is the usual cause"}
}
