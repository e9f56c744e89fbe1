//go:build unix

package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// running is a server of a test with its client.
type running struct {
	socket string
	client http.Client
	done   chan error
	log    *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}
func (l *lockedBuffer) String() string { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }

// socketDir is a private folder with a short path: t.TempDir is too long for a socket on some systems.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "clt")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func start(t *testing.T, cfg Config, table Table) *running {
	t.Helper()
	if cfg.Socket == "" {
		cfg.Socket = filepath.Join(socketDir(t), "e.sock")
	}
	r := &running{socket: cfg.Socket, done: make(chan error, 1), log: &lockedBuffer{}}
	cfg.Log = r.log
	r.client.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", cfg.Socket)
	}}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	go func() { r.done <- Serve(ctx, cfg, table) }()
	for range 200 {
		if resp, err := r.client.Get("http://engine/state"); err == nil {
			resp.Body.Close()
			return r
		}
		select {
		case err := <-r.done:
			t.Fatalf("server ended at once: %v", err)
		case <-time.After(5 * time.Millisecond):
		}
	}
	t.Fatal("server does not answer")
	return nil
}

// ended waits for the server's end and returns how long that took and its error.
func (r *running) ended(t *testing.T, limit time.Duration) (time.Duration, error) {
	t.Helper()
	begin := time.Now()
	select {
	case err := <-r.done:
		return time.Since(begin), err
	case <-time.After(limit):
		t.Fatalf("server still runs after %v; log:\n%s", limit, r.log)
		return 0, nil
	}
}

// call returns all events of one verb.
func (r *running) call(t *testing.T, ctx context.Context, verb, body string) []wire.Event {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, "POST", "http://engine"+wire.VerbPath+verb, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var events []wire.Event
	for sc := bufio.NewScanner(resp.Body); sc.Scan(); {
		var e wire.Event
		if err := json.Unmarshal(sc.Bytes(), &e); err != nil {
			t.Fatalf("line %q: %v", sc.Text(), err)
		}
		events = append(events, e)
	}
	return events
}

func (r *running) state(t *testing.T) (s wire.State) {
	t.Helper()
	resp, err := r.client.Get("http://engine/state")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
		t.Fatal(err)
	}
	return s
}

func last(events []wire.Event) wire.Event {
	if len(events) == 0 {
		return wire.Event{}
	}
	return events[len(events)-1]
}

func TestProgressThenResult(t *testing.T) {
	r := start(t, Config{}, Table{})
	for call := 1; call <= 2; call++ {
		events := r.call(t, t.Context(), wire.SelfTest, `{"steps":30,"every_ms":2}`)
		var res wire.SelfTestResponse
		if err := json.Unmarshal(last(events).Result, &res); err != nil {
			t.Fatal(err)
		}
		if res.Calls != call || res.Steps != 30*call {
			t.Errorf("call %d: %+v: state is not kept", call, res)
		}
		if n := len(events) - 1; n < 2 || n > 20 {
			t.Errorf("%d progress lines for 30 steps in 60 ms, want them thinned out", n)
		}
		if p := events[len(events)-2].Progress; p == nil || p.Done != 30 {
			t.Errorf("last progress %+v, want step 30", p)
		}
	}
	if s := r.state(t); s.Calls != 2 || s.Busy != 0 || s.Protocol != wire.Protocol || s.PID != os.Getpid() || s.Build == "" {
		t.Errorf("state %+v", s)
	}
}

func TestFailuresAreOneLineWithACure(t *testing.T) {
	type request struct {
		N int `json:"n"`
	}
	r := start(t, Config{}, Table{
		"nan": Handle(func(context.Context, request, func(wire.Progress)) (float64, error) { return math.NaN(), nil }),
		"nanprogress": Handle(func(_ context.Context, _ request, report func(wire.Progress)) (int, error) {
			report(wire.Progress{Phase: "x", Done: 1, Values: map[string]float64{"loss": math.NaN()}})
			return 1, nil
		}),
	})
	for _, c := range []struct{ verb, body, message, cure string }{
		{"nosuch", ``, `no verb "nosuch"`, "selftest"},
		{wire.SelfTest, `{"steps":1,"fail":"gpt2: no such model; use pocket"}`, "gpt2: no such model", "use pocket"},
		{wire.SelfTest, `{"panic":"index out of\nrange"}`, "selftest: index out of range", ""},
		{wire.SelfTest, `{"step":1}`, `unknown field "step"`, "restart the kernel"},
		{wire.SelfTest, `{"steps":`, "unexpected EOF", "restart"},
		{wire.SelfTest, `{} {}`, "more than one", "send one"},
		{"nan", `{}`, "NaN", ""},
	} {
		e := last(r.call(t, t.Context(), c.verb, c.body)).Error
		if e == nil || !strings.Contains(e.Message, c.message) || !strings.Contains(e.Cure, c.cure) || strings.Contains(e.Error(), "\n") {
			t.Errorf("%s %s: %+v, want %q; %q", c.verb, c.body, e, c.message, c.cure)
		}
	}
	events := r.call(t, t.Context(), "nanprogress", `{}`)
	if len(events) != 2 || events[0].Progress == nil || events[0].Progress.Done != 1 || string(events[1].Result) != "1" {
		t.Errorf("NaN in progress: %+v", events)
	}
	if !strings.Contains(r.log.String(), "table.go") {
		t.Error("the log has no stack of the panic")
	}
	if s := r.state(t); s.Busy != 0 {
		t.Errorf("busy %d after failures", s.Busy)
	}
}

func TestCancelByClosingTheRequest(t *testing.T) {
	r := start(t, Config{}, Table{})
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Millisecond)
	defer cancel()
	begin := time.Now()
	r.call(t, ctx, wire.SelfTest, `{"steps":1000,"every_ms":10}`)
	if took := time.Since(begin); took > time.Second {
		t.Errorf("the client waited %v", took)
	}
	for range 100 {
		if r.state(t).Busy == 0 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if s := r.state(t); s.Busy != 0 {
		t.Error("the verb still runs")
	}
	events := r.call(t, t.Context(), wire.SelfTest, `{"steps":1}`)
	var res wire.SelfTestResponse
	if err := json.Unmarshal(last(events).Result, &res); err != nil || res.Calls != 1 || res.Steps < 2 || res.Steps > 100 {
		t.Errorf("after a cancelled call: %+v (%v), want steps kept and one finished call", res, err)
	}
}

func TestEndsWithKilledProcess(t *testing.T) {
	sleep := exec.Command("sleep", "60")
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	defer sleep.Wait() // only now: until then the killed process is a zombie
	r := start(t, Config{Watch: sleep.Process.Pid}, Table{})
	go r.client.Post("http://engine"+wire.VerbPath+wire.SelfTest, "", strings.NewReader(`{"steps":10000,"every_ms":10}`))
	for r.state(t).Busy == 0 {
		time.Sleep(time.Millisecond)
	}
	sleep.Process.Kill()
	took, err := r.ended(t, time.Second)
	if err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(r.socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("socket is still there: %v", err)
	}
	t.Logf("ended %v after kill -9", took)
}

func TestEndsWhenIdleOrTold(t *testing.T) {
	r := start(t, Config{Idle: 80 * time.Millisecond}, Table{})
	r.call(t, t.Context(), wire.SelfTest, `{"steps":30,"every_ms":10}`) // busy longer than the idle time
	if _, err := r.ended(t, time.Second); err != nil {
		t.Error(err)
	}
	if !strings.Contains(r.log.String(), "idle") {
		t.Errorf("log: %s", r.log)
	}
	r = start(t, Config{}, Table{})
	if _, err := r.client.Post("http://engine/stop", "", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := r.ended(t, time.Second); err != nil {
		t.Error(err)
	}
}

// A verb that ignores its context must not keep the engine alive.
func TestEndsDespiteStubbornVerb(t *testing.T) {
	r := start(t, Config{Grace: 50 * time.Millisecond}, Table{"deaf": func(context.Context, json.RawMessage, func(wire.Progress)) (any, error) {
		time.Sleep(3 * time.Second)
		return 0, nil
	}})
	go r.client.Post("http://engine"+wire.VerbPath+"deaf", "", nil)
	for r.state(t).Busy == 0 {
		time.Sleep(time.Millisecond)
	}
	r.client.Post("http://engine/stop", "", nil)
	if _, err := r.ended(t, time.Second); err != nil {
		t.Error(err)
	}
}

func TestSocketOccupiedStaleForeign(t *testing.T) {
	r := start(t, Config{}, Table{})
	if err := Serve(t.Context(), Config{Socket: r.socket}, Table{}); !errors.Is(err, ErrRunning) {
		t.Errorf("second server: %v, want ErrRunning", err)
	}
	r.state(t) // the first one still answers

	stale := filepath.Join(socketDir(t), "e.sock") // as kill -9 leaves it
	l, err := net.Listen("unix", stale)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	start(t, Config{Socket: stale}, Table{}).state(t)

	foreign := filepath.Join(socketDir(t), "e.sock") // somebody answers who knows no lock
	if l, err = net.Listen("unix", foreign); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := Serve(t.Context(), Config{Socket: foreign}, Table{}); !errors.Is(err, ErrRunning) {
		t.Errorf("foreign server: %v, want ErrRunning", err)
	}

	file := filepath.Join(socketDir(t), "e.sock")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Serve(t.Context(), Config{Socket: file}, Table{}); err == nil || !strings.Contains(err.Error(), "not a socket") {
		t.Errorf("a file in the way: %v", err)
	}
	if b, _ := os.ReadFile(file); string(b) != "precious" {
		t.Error("the file was destroyed")
	}
}

func TestSocketFolderMustBePrivate(t *testing.T) {
	dir := socketDir(t)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Serve(t.Context(), Config{Socket: filepath.Join(dir, "e.sock")}, Table{}); err == nil || !strings.Contains(err.Error(), "chmod 700") {
		t.Errorf("folder with mode 755: %v", err)
	}
	long := filepath.Join(socketDir(t), strings.Repeat("x", 100), "e.sock")
	if err := Serve(t.Context(), Config{Socket: long}, Table{}); err == nil || !strings.Contains(err.Error(), "TMPDIR") {
		t.Errorf("long path: %v", err)
	}
}

// Two kernels of one user may start an engine at the same time: exactly one wins.
func TestRaceForOneSocket(t *testing.T) {
	socket := filepath.Join(socketDir(t), "e.sock")
	ctx, cancel := context.WithCancel(t.Context())
	results := make(chan error, 8)
	for range cap(results) {
		go func() { results <- Serve(ctx, Config{Socket: socket, Log: io.Discard}, Table{}) }()
	}
	for range cap(results) - 1 {
		if err := <-results; !errors.Is(err, ErrRunning) {
			t.Errorf("loser: %v", err)
		}
	}
	cancel()
	if err := <-results; err != nil {
		t.Errorf("winner: %v", err)
	}
}
