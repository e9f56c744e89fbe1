package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// Config says where a server listens and when it ends.
type Config struct {
	Socket string        // path of the Unix socket; its folder must belong to the user alone
	Watch  int           // process to end with; 0: none
	Idle   time.Duration // end after so long without a call; 0: never
	Grace  time.Duration // how long running verbs have to stop when the server ends; 0: 400 ms
	Log    io.Writer     // one line an event; nil: nowhere
}

// ErrStopped is the cause that running verbs see when the server ends.
var ErrStopped = errors.New("engine: stopped")

// Serve answers until the context ends, the watched process is gone, a client says stop, or nobody has called for the idle
// time; all of these return nil. Verbs still running then are cancelled and get Grace to return. An occupied socket, a
// folder that others can enter and a path that is too long are errors. The verb "selftest" is always there.
func Serve(ctx context.Context, cfg Config, verbs Dispatcher) error {
	if cfg.Grace == 0 {
		cfg.Grace = 400 * time.Millisecond
	}
	if cfg.Log == nil {
		cfg.Log = io.Discard
	}
	listener, release, err := listen(cfg.Socket)
	if err != nil {
		return err
	}
	defer release()
	s := newServer(ctx, cfg, verbs)
	defer s.end(ErrStopped)

	srv := &http.Server{Handler: s.mux(), BaseContext: func(net.Listener) context.Context { return s.ctx }}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(listener) }()
	if cfg.Watch > 0 {
		go s.watch(cfg.Watch)
	}
	if cfg.Idle > 0 {
		go s.watchIdle(cfg.Idle)
	}
	s.logf("listening on %s, process %d, watching %d", cfg.Socket, os.Getpid(), cfg.Watch)
	select {
	case err = <-failed:
		return fmt.Errorf("engine: serve %s: %w", cfg.Socket, err)
	case <-s.ctx.Done():
	}
	s.logf("ending: %v", context.Cause(s.ctx))
	grace, cancel := context.WithTimeout(context.Background(), cfg.Grace)
	defer cancel()
	if srv.Shutdown(grace) != nil {
		s.logf("a verb did not stop in %v", cfg.Grace)
		_ = srv.Close()
	}
	return nil
}

type server struct {
	cfg   Config
	verbs Dispatcher
	self  Verb
	state wire.State // constant part
	ctx   context.Context
	end   context.CancelCauseFunc

	mu    sync.Mutex // guards what follows, and Log
	calls int
	busy  int
	last  time.Time // of the last sign of life
}

func newServer(ctx context.Context, cfg Config, verbs Dispatcher) *server {
	exe, _ := os.Executable()
	s := &server{cfg: cfg, verbs: verbs, self: selfTest(), last: time.Now()}
	names := append(slices.Clone(verbs.Names()), wire.SelfTest)
	slices.Sort(names)
	s.state = wire.State{Protocol: wire.Protocol, PID: os.Getpid(), Watch: cfg.Watch, Build: wire.BuildID(exe),
		Started: time.Now(), Verbs: slices.Compact(names)}
	s.ctx, s.end = context.WithCancelCause(ctx)
	return s
}

func (s *server) mux() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /state", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		state := s.state
		state.Calls, state.Busy, s.last = s.calls, s.busy, time.Now()
		s.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(state)
	})
	mux.HandleFunc("POST /stop", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusNoContent)
		s.end(errors.New("a client said stop"))
	})
	mux.HandleFunc("POST "+wire.VerbPath+"{verb}", s.call)
	return mux
}

// watch ends the server with the process.
func (s *server) watch(pid int) {
	waitExit(s.ctx, pid)
	s.end(fmt.Errorf("process %d is gone", pid))
}

func (s *server) watchIdle(idle time.Duration) {
	tick := time.NewTicker(min(idle/4+time.Millisecond, 5*time.Second))
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
		}
		s.mu.Lock()
		over := s.busy == 0 && time.Since(s.last) > idle
		s.mu.Unlock()
		if over {
			s.end(fmt.Errorf("idle for %v", idle))
			return
		}
	}
}

// enter counts a verb in; the function it returns counts it out.
func (s *server) enter() func() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls, s.busy, s.last = s.calls+1, s.busy+1, time.Now()
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.busy, s.last = s.busy-1, time.Now()
	}
}

func (s *server) logf(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.cfg.Log, "%s engine: %s\n", time.Now().Format("15:04:05.000"), fmt.Sprintf(format, args...))
}
